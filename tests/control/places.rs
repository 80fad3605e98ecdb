//! Where and when jobs may run: clusters that they select, windows, whom clusters accept, and what waiting jobs are told.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{ComputeCluster, JobState, ManagedJob, RunOutcome};
use slowlane::spark::marks::{GRANT_ANNOTATION, JOB_ANNOTATION};

use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::world::{World, eventually, message_of, reason_of, state_of};

fn cluster_of(job: &ManagedJob) -> Option<&str> {
    job.status.as_ref()?.cluster_name.as_deref()
}

/// So many minutes from now: the time of the day in UTC.
fn clock(minutes: i64) -> String {
    (Timestamp::now() + minutes.minutes()).to_zoned(TimeZone::UTC).strftime("%H:%M").to_string()
}

/// Business hours that are on, or that are off for hours.
fn hours(on: bool) -> Value {
    let (from, to) = if on { (clock(-120), clock(120)) } else { (clock(120), clock(240)) };
    json!([{"name": "business-hours", "from": from, "to": to}])
}

/// The clusters of the sample, for this world only.
async fn active_and_passive(world: &World) {
    world.clusters().delete(&world.cluster, &DeleteParams::default()).await.unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/samples/active-passive/clusters.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let mut object = Value::deserialize(document).unwrap();
        let name = format!("{}-{}", world.cluster, object["metadata"]["name"].as_str().unwrap());
        object["metadata"]["name"] = json!(name);
        object["spec"]["namespaceSelector"] = json!({"matchLabels": {"test": world.namespace}});
        object["spec"]["windows"] = hours(true);
        let cluster: ComputeCluster = serde_json::from_value(object).unwrap();
        world.clusters().create(&PostParams::default(), &cluster).await.unwrap();
    }
}

/// Edits a cluster, and waits until the keeper goes by it.
pub(crate) async fn edit(world: &World, which: &str, spec: Value) {
    let name = format!("{}{which}", world.cluster);
    let patch = Patch::Merge(json!({"spec": spec}));
    let edited = world.clusters().patch(&name, &PatchParams::default(), &patch).await.unwrap();
    eventually(|| async {
        let cluster = world.clusters().get(&name).await.map_err(|error| error.to_string())?;
        let observed = cluster.status.and_then(|status| status.observed_generation);
        if observed >= edited.metadata.generation { Ok(()) } else { Err(format!("{observed:?}")) }
    })
    .await;
}

#[tokio::test]
async fn the_active_cluster_has_its_hours_and_the_passive_one_the_rest() {
    let world = World::new().await;
    active_and_passive(&world).await;
    world.operation("report", json!({})).await;
    let (keeper, _operator) = (Keeper::start(&world), Operator::start(&world));
    let (active, passive) = (format!("{}-active", world.cluster), format!("{}-passive", world.cluster));
    let goes_to = async |job: &str, priority: &str, cluster: &String| {
        world.job(job, "report", json!({"priority": priority})).await;
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!(cluster_of(&done), Some(cluster.as_str()), "{job}");
    };
    goes_to("day-normal", "Normal", &active).await;
    goes_to("day-low", "Low", &passive).await;
    goes_to("day-high", "High", &active).await;
    // The evening comes.
    let evening = hours(false);
    for which in ["-active", "-passive"] {
        edit(&world, which, json!({"windows": evening})).await;
    }
    goes_to("night-high", "High", &active).await;
    goes_to("night-low", "Low", &passive).await;
    goes_to("night-normal", "Normal", &passive).await;
    let opens = format!("T{}:00Z", evening[0]["from"].as_str().unwrap());
    // The first by name never takes it; what people want to know is from when the other one does.
    let low = json!([{"priorities": ["Low"]}]);
    let never = ComputeCluster::new(&format!("{}-aaa", world.cluster), {
        let mut spec = world.clusters().get(&active).await.unwrap().spec;
        spec.accept = serde_json::from_value(low).unwrap();
        spec
    });
    world.clusters().create(&PostParams::default(), &never).await.unwrap();
    edit(&world, "-passive", json!({"stopPolicy": "Hold"})).await;
    world.job("waits", "report", json!({})).await;
    let waits = world.job_that("waits", |job| reason_of(job) == "OutsideWindow").await;
    let words = format!("{active} accepts it from ");
    assert!(message_of(&waits).starts_with(&words) && message_of(&waits).ends_with(" UTC"), "{}", message_of(&waits));
    eventually(|| async {
        let cluster = world.clusters().get(&active).await.map_err(|error| error.to_string())?;
        let status = cluster.status.unwrap_or_default();
        let next = status.next_window.map(|next| (next.name, next.opens.0.to_string()));
        let shown = next.as_ref().is_some_and(|(name, at)| name == "business-hours" && at.ends_with(&opens));
        let within = status.conditions.iter().find(|condition| condition.type_ == "WithinWindow");
        // High and Critical are accepted at any time.
        if shown && within.is_some_and(|within| within.status == "True") { Ok(()) } else { Err(format!("{next:?}")) }
    })
    .await;
    edit(&world, "-passive", json!({"stopPolicy": "None"})).await;
    world.job_in("waits", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn jobs_start_when_their_window_opens_and_are_ended_when_it_closes_if_the_cluster_says_so() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    // The next full minute that leaves time to see it waiting.
    let soon = (Timestamp::now() + 30.seconds()).to_zoned(TimeZone::UTC);
    let opens = soon.round(jiff::ZonedRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Ceil)).unwrap();
    let schedule = opens.strftime("%M %H * * *").to_string();
    edit(
        &world,
        "",
        json!({"windows": [{"name": "night", "schedule": schedule, "duration": "1m"}],
        "accept": [{"during": ["night"]}], "onWindowEnd": "Cancel"}),
    )
    .await;
    eventually(|| async {
        let cluster = world.clusters().get(&world.cluster).await.map_err(|error| error.to_string())?;
        let conditions = cluster.status.unwrap_or_default().conditions;
        let within = conditions.iter().find(|condition| condition.type_ == "WithinWindow").map(|it| it.status.clone());
        if within.as_deref() == Some("False") { Ok(()) } else { Err(format!("{within:?}")) }
    })
    .await;
    world.job("early", "report", json!({})).await;
    let waits = world.job_that("early", |job| reason_of(job) == "OutsideWindow").await;
    let from = opens.strftime("accepts it from %Y-%m-%d %H:%M UTC").to_string();
    assert!(message_of(&waits).contains(&from), "{}", message_of(&waits));
    assert_eq!(operator.submissions("early"), 0);
    operator.play("late", Play::Run);
    world.job("late", "report", json!({})).await;
    let left = opens.timestamp().duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    let done = world.job_in("early", JobState::Succeeded).await;
    assert!(done.creation_timestamp().is_some());
    let began = done.status.unwrap().start_time.unwrap().0;
    assert!(began >= opens.timestamp(), "it began at {began}, and the window opened at {opens}");
    world.job_in("late", JobState::Running).await;
    let left = (opens.timestamp() + 1.minute()).duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    let ended = world.job_that("late", |job| reason_of(job) == "OutsideWindow").await.status.unwrap();
    assert_eq!(ended.runs.iter().map(|run| run.reason.as_deref()).collect::<Vec<_>>(), [Some("WindowEnded")]);
    assert_eq!((operator.submissions("late"), operator.submissions("early")), (1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn runs_that_their_cluster_accepts_no_more_go_on_or_are_ended_as_it_says() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 2})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    operator.play("first", Play::Run);
    world.job("first", "report", json!({})).await;
    world.job_in("first", JobState::Running).await;
    edit(&world, "", json!({"accept": [{"priorities": ["High"]}]})).await;
    world.job("refused", "report", json!({})).await;
    let refused = world.job_that("refused", |job| reason_of(job) == "OutsideWindow").await;
    let never = format!("{} accepts no job of this operation and priority", world.cluster);
    assert!(message_of(&refused).contains(&never), "{}", message_of(&refused));
    assert_eq!(state_of(&world.jobs().get("first").await.unwrap()), Some(JobState::Running));
    edit(&world, "", json!({"onWindowEnd": "Cancel"})).await;
    let waits = world.job_that("first", |job| reason_of(job) == "OutsideWindow").await;
    let status = waits.status.unwrap();
    assert_eq!((status.state, status.runs.len()), (Some(JobState::Queued), 1));
    let run = (status.runs[0].outcome, status.runs[0].reason.as_deref());
    assert_eq!(run, (Some(RunOutcome::Suspended), Some("WindowEnded")));
    // One that is accepted now is not ended.
    world.job("urgent", "report", json!({"priority": "High"})).await;
    world.job_in("urgent", JobState::Succeeded).await;
    operator.play("first", Play::Succeed(json!({"resultUri": "s3a://lake/first"}).to_string()));
    edit(&world, "", json!({"accept": null})).await;
    let done = world.job_in("first", JobState::Succeeded).await.status.unwrap();
    let outcomes: Vec<_> = done.runs.iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, [Some(RunOutcome::Suspended), Some(RunOutcome::Succeeded)]);
    assert_eq!(done.result_uri.as_deref(), Some("s3a://lake/first"));
    world.job_in("refused", JobState::Succeeded).await;
    assert!(operator.peak_of("report") <= 2 && operator.submissions("first") == 2);
    drop(keeper);
    world.remove().await;
}

/// Small reports go to one cluster, large ones to the other, by what the jobs say.
#[tokio::test]
async fn jobs_go_where_the_expression_of_a_cluster_wants_them() {
    let world = World::new().await;
    let large = format!("{}-large", world.cluster);
    let spec = world.clusters().get(&world.cluster).await.unwrap().spec;
    world.clusters().create(&PostParams::default(), &ComputeCluster::new(&large, spec)).await.unwrap();
    world.operation("report", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    edit(&world, "", json!({"accept": [{"when": "job.spec.parameters.rows < 1000"}]})).await;
    edit(&world, "-large", json!({"accept": [{"when": "job.spec.parameters.rows >= 1000"}]})).await;
    for (job, rows, cluster) in [("small", 10, &world.cluster), ("big", 5000, &large)] {
        world.job(job, "report", json!({"parameters": {"rows": rows}})).await;
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!(cluster_of(&done), Some(cluster.as_str()), "{job}");
    }

    // Who says nothing of rows is accepted by neither, and is told why.
    world.job("silent", "report", json!({"parameters": {"lines": 3}})).await;
    let waits = world.job_that("silent", |job| reason_of(job) == "OutsideWindow").await;
    let why =
        format!("{} does not accept it: spec.accept[0].when cannot be said of it: no such key: rows", world.cluster);
    assert_eq!(message_of(&waits), why);
    // An edit asks all that wait anew.
    edit(&world, "-large", json!({"accept": [{"when": "!has(job.spec.parameters.rows)"}]})).await;
    let done = world.job_in("silent", JobState::Succeeded).await;
    assert_eq!(cluster_of(&done), Some(large.as_str()));

    // Runs are judged by the new expression once their jobs were asked, and not before.
    operator.play("stays", Play::Run);
    world.job("stays", "report", json!({"parameters": {"rows": 1}})).await;
    world.job_in("stays", JobState::Running).await;
    edit(&world, "", json!({"onWindowEnd": "Cancel", "accept": [{"when": "job.spec.parameters.rows < 100"}]})).await;
    edit(&world, "", json!({"accept": [{"when": "job.spec.parameters.rows > 1"}]})).await;
    let turned_out = world.job_that("stays", |job| reason_of(job) == "OutsideWindow").await;
    let runs = turned_out.status.unwrap().runs;
    assert_eq!(runs.iter().map(|run| run.reason.as_deref()).collect::<Vec<_>>(), [Some("WindowEnded")]);
    assert_eq!(operator.submissions("stays"), 1);

    // What is no expression is the cluster's defect.
    let patch = Patch::Merge(json!({"spec": {"accept": [{"when": "job.spec.parameters.rows >"}]}}));
    world.clusters().patch(&world.cluster, &PatchParams::default(), &patch).await.unwrap();
    eventually(|| async {
        let cluster = world.clusters().get(&world.cluster).await.map_err(|error| error.to_string())?;
        let ready = cluster.status.unwrap_or_default().conditions.into_iter().find(|it| it.type_ == "Ready");
        let said = ready.map(|it| (it.status, it.reason, it.message)).unwrap_or_default();
        let is_named = said.2.starts_with("spec.accept[0].when: is no CEL expression: ");
        if said.0 == "False" && said.1 == "InvalidSpec" && is_named { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_goes_to_a_cluster_whose_labels_it_selects() {
    let world = World::new().await;
    let night = format!("{}-night", world.cluster);
    let selector = |tier: &str| json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": [tier]}]});
    world.operation("report", json!({})).await;
    world.operation("nightly", json!({"defaults": {"clusterSelector": selector("night")}})).await;
    let (keeper, _operator) = (Keeper::start(&world), Operator::start(&world));
    world.job("first", "report", json!({"clusterSelector": selector("night")})).await;
    let waits = world.job_that("first", |job| reason_of(job) == "NoMatchingCluster").await;
    let words = format!("no ComputeCluster with labels tier=night admits namespace {}", world.namespace);
    assert!(message_of(&waits).contains(&words), "{}", message_of(&waits));
    let mut spec = world.clusters().get(&world.cluster).await.unwrap().spec;
    spec.template = Some(spec.template.unwrap_or_default());
    let mut other = ComputeCluster::new(&night, spec);
    other.labels_mut().insert("tier".into(), "day".into());
    world.clusters().create(&PostParams::default(), &other).await.unwrap();
    world.job("by-name", "nightly", json!({"clusterName": world.cluster})).await;
    let done = world.job_in("by-name", JobState::Succeeded).await;
    assert_eq!(cluster_of(&done), Some(world.cluster.as_str()), "the job's own choice stands above the default");
    world.job("second", "nightly", json!({})).await;
    world.job_that("second", |job| reason_of(job) == "NoMatchingCluster").await;
    let patch = Patch::Merge(json!({"metadata": {"labels": {"tier": "night"}}}));
    world.clusters().patch(&night, &PatchParams::default(), &patch).await.unwrap();
    for job in ["first", "second"] {
        assert_eq!(cluster_of(&world.job_in(job, JobState::Succeeded).await), Some(night.as_str()), "{job}");
    }
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_picks_a_size_and_each_cluster_says_what_that_is() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    world.operation("sized", json!({"defaults": {"executors": {"size": "S"}}})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let executor = json!({"cores": 2, "memory": "2g"});
    let small = json!({"executors": {"min": 2, "max": 3}, "driver": {"memory": "1g"}, "executor": executor});
    edit(&world, "", json!({"sizes": {"S": small, "M": {"executors": {"max": 4}}}})).await;
    world.running(&operator, "small", "report", json!({"executors": {"size": "S"}})).await;
    let of = async |job: &str| {
        let wanted = |it: &DynamicObject| it.annotations().get(JOB_ANNOTATION).is_some_and(|name| name == job);
        world.all_applications().await.into_iter().find(wanted).unwrap()
    };
    let application = of("small").await;
    let spec = &application.data["spec"];
    let executors = &spec["dynamicAllocation"];
    assert_eq!((&executors["minExecutors"], &executors["maxExecutors"]), (&json!(2), &json!(3)));
    let pod =
        |role: &str| [spec[role]["cores"].clone(), spec[role]["coreRequest"].clone(), spec[role]["memory"].clone()];
    assert_eq!(pod("executor"), [json!(2), json!("2000m"), json!("2048m")]);
    assert_eq!(pod("driver"), [json!(1), json!("1000m"), json!("1024m")]);
    // Driver and three executors, with four tenths of the heap beside it.
    let grant = "executors=2..3,cores=7000m,memory=10034Mi";
    assert_eq!(application.annotations()[GRANT_ANNOTATION], grant);
    world.job("large", "report", json!({"executors": {"size": "XL"}})).await;
    let waits = world.job_that("large", |job| reason_of(job) == "NoMatchingCluster").await;
    let words = format!("no cluster that it may use declares the size XL: {} has M, S", world.cluster);
    assert_eq!(message_of(&waits), words);
    // An edit is for those who wait.
    let large = json!({"executors": {"min": 1, "max": 1}, "executor": {"cores": 4, "memory": "3g"}});
    edit(
        &world,
        "",
        json!({"sizes": {"XL": large, "S": {"executors": {"min": 1, "max": 1}, "executor": {"cores": 1}}}}),
    )
    .await;
    world.job_in("large", JobState::Succeeded).await;
    assert_eq!(of("large").await.annotations()[GRANT_ANNOTATION], "executors=1..1,cores=5000m,memory=5196Mi");
    world.job("default", "sized", json!({})).await;
    world.job_in("default", JobState::Succeeded).await;
    assert_eq!(of("default").await.annotations()[GRANT_ANNOTATION], "executors=1..1,cores=2000m,memory=4300Mi");
    let same = of("small").await;
    assert_eq!((same.metadata.generation, &same.annotations()[GRANT_ANNOTATION][..]), (Some(1), grant));
    operator.play("small", Play::Succeed(String::new()));
    let done = world.job_in("small", JobState::Succeeded).await.status.unwrap();
    assert_eq!((done.runs.len(), operator.submissions("small")), (1, 1));
    drop(keeper);
    world.remove().await;
}
