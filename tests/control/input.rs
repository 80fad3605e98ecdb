//! What people write wrongly, or change while jobs wait and run: each gets a clear word, and holds up nobody else.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{ComputeCluster, JobState, Operation};

use crate::account;
use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::places;
use crate::proxy::{Fault, Proxy};
use crate::scene::ledger_names;
use crate::world::{World, eventually, message_of, reason_of};

async fn start() -> (World, Keeper, Operator) {
    let world = World::new().await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    (world, keeper, operator)
}

async fn edit<K>(api: Api<K>, name: &str, spec: Value)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await.expect("it can be edited");
}

#[tokio::test]
async fn names_that_share_their_beginning_and_the_longest_name_there_is_are_runs_of_their_own() {
    let (world, keeper, operator) = start().await;
    world.operation("report", json!({})).await;
    let stem = "a-name-that-is-as-long-as-the-sixty-characters-that-others-cut-at";
    let names = [format!("{stem}-one"), format!("{stem}-two"), "x".repeat(253)];
    for name in &names {
        world.job(name, "report", json!({})).await;
    }
    for name in &names {
        let done = world.job_in(name, JobState::Succeeded).await;
        assert_eq!(done.status.unwrap().result_uri, Some(format!("s3a://lake/{name}")));
        assert_eq!(operator.submissions(name), 1);
    }
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_operation_that_is_edited_and_deleted_leaves_its_runs_alone_and_its_jobs_waiting() {
    let (world, keeper, operator) = start().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    operator.play("first", Play::Run);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    edit::<Operation>(world.api(), "report", json!({"maxConcurrentRuns": 0})).await;
    world.job_that("second", |job| reason_of(job) == "OperationHeld").await;
    world.api::<Operation>().delete("report", &DeleteParams::default()).await.unwrap();
    world.job_that("second", |job| reason_of(job) == "UnknownOperation").await;
    operator.play("first", Play::Succeed(String::new()));
    world.job_in("first", JobState::Succeeded).await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.submissions("first"), operator.submissions("second"), operator.peak()), (1, 1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn what_an_application_lacks_or_may_not_have_is_named_and_others_go_on() {
    let (world, keeper, operator) = start().await;
    world
        .operation("classless", json!({"application": {"type": "Java", "mainApplicationFile": "local:///a.jar"}}))
        .await;
    world
        .operation("greedy", json!({"application": {"sparkConf": {"spark.kubernetes.namespace": "kube-system"}}}))
        .await;
    world.operation("good", json!({})).await;
    for operation in ["classless", "greedy", "good"] {
        world.job(operation, operation, json!({})).await;
    }
    world.job_in("good", JobState::Succeeded).await;
    for (job, field) in [("classless", "application.mainClass"), ("greedy", "sparkConf[spark.kubernetes.namespace]")] {
        let waiting = world.job_that(job, |job| reason_of(job) == "InvalidParameters").await;
        assert!(message_of(&waiting).contains(field), "{}", message_of(&waiting));
    }
    edit::<Operation>(world.api(), "classless", json!({"application": {"mainClass": "com.example.Main"}})).await;
    world.job_in("classless", JobState::Succeeded).await;
    assert_eq!(operator.submissions("greedy"), 0);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_template_that_becomes_larger_while_a_job_waits_is_what_the_job_is_granted() {
    let (world, keeper, operator) = start().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    operator.play("first", Play::Run);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    edit::<ComputeCluster>(world.clusters(), &world.cluster, json!({"template": {"driver": {"memory": "1g"}}})).await;
    operator.play("first", Play::Succeed(String::new()));
    world.job_in("second", JobState::Succeeded).await;
    let all = world.all_applications().await;
    let memory = |job: &str| {
        let found = all.iter().find(|it| it.annotations().get("slowlane.dev/job").is_some_and(|name| name == job));
        found.unwrap().data["spec"]["driver"]["memory"].clone()
    };
    assert_eq!((memory("first"), memory("second")), (json!("512m"), json!("1024m")));
    drop(keeper);
    world.remove().await;
}

/// Somebody edits the cluster after `first` was granted there, and before its application can be created.
async fn edited_between_grant_and_creation(
    before: Value,
    job: Value,
    after: Value,
) -> (World, Proxy, Keeper, Operator) {
    let (world, proxy) = (World::new().await, Proxy::start().await);
    world.operation("report", json!({})).await;
    let kubeconfig = proxy.kubeconfig();
    let (keeper, operator) = (Keeper::start_through(&world, kubeconfig.to_str().unwrap()), Operator::start(&world));
    places::edit(&world, "", before).await;
    proxy.fail(http::Method::POST, "sparkapplications", Fault::Refuse(429), usize::MAX);
    world.job("first", "report", job).await;
    ledger_names(&world, 1).await;
    places::edit(&world, "", after).await;
    proxy.mend();
    (world, proxy, keeper, operator)
}

#[tokio::test]
async fn a_size_that_is_taken_back_between_grant_and_creation_is_waited_for() {
    let sized = json!({"sizes": {"M": {"executors": {"max": 2}}}});
    let job = json!({"executors": {"size": "M"}});
    let (world, _proxy, keeper, operator) =
        edited_between_grant_and_creation(sized.clone(), job, json!({"sizes": {"M": null}})).await;
    world.job_that("first", |job| reason_of(job) == "NoMatchingCluster").await;
    places::edit(&world, "", sized).await;
    let done = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(done.status.unwrap().runs.last().map(|run| run.number), Some(2), "the first grant was given back");
    assert_eq!(operator.submissions("first"), 1);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_template_that_becomes_larger_between_grant_and_creation_is_granted_anew() {
    let larger = json!({"template": {"driver": {"memory": "1g"}}});
    let (world, _proxy, keeper, operator) = edited_between_grant_and_creation(json!({}), json!({}), larger).await;
    let done = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(done.status.unwrap().runs.last().map(|run| run.number), Some(2), "the first grant was too small");
    let all = world.all_applications().await;
    let ran = all.iter().find(|application| application.data["spec"]["suspend"] != json!(true)).unwrap();
    assert_eq!((&ran.data["spec"]["driver"]["memory"], operator.submissions("first")), (&json!("1024m"), 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_that_no_cluster_admits_says_so_and_starts_when_one_does() {
    let (world, keeper, operator) = start().await;
    let stranger = world.tenant("another").await;
    for world in [&world, &stranger] {
        world.operation("report", json!({})).await;
    }
    world.job("lost", "report", json!({"clusterName": "nowhere"})).await;
    stranger.job("early", "report", json!({})).await;
    let lost = world.job_that("lost", |job| reason_of(job) == "NoMatchingCluster").await;
    assert!(message_of(&lost).contains("nowhere"), "{}", message_of(&lost));
    let early = stranger.job_that("early", |job| reason_of(job) == "NoMatchingCluster").await;
    assert!(message_of(&early).contains(&stranger.namespace), "{}", message_of(&early));
    let its_operator = Operator::start(&stranger);
    let label = Patch::Merge(json!({"metadata": {"labels": {"test": world.namespace}}}));
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&stranger.namespace, &PatchParams::default(), &label).await.unwrap();
    stranger.job_in("early", JobState::Succeeded).await;
    assert_eq!((its_operator.submissions("early"), operator.submissions("lost")), (1, 0));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_keeper_does_not_start_with_settings_that_make_no_sense_and_names_the_path() {
    let world = World::new().await;
    for (section, settings, path) in [
        ("runs", json!({"lingering": 1}), "runs.lingering: unknown field"),
        ("ledger", json!({"maxLiveRuns": "many"}), "ledger.maxLiveRuns"),
        ("writer", json!({"inFlight": -1}), "writer.inFlight"),
    ] {
        let mut keeper = Keeper::start_with(&world, account::kubeconfig(), |all| all[section] = settings);
        assert!(!keeper.ended().await.success());
        assert!(keeper.log().contains(path), "{}", keeper.log());
    }
    world.remove().await;
}

#[tokio::test]
async fn two_clusters_may_admit_one_namespace_and_a_job_goes_to_either() {
    let (world, keeper, operator) = start().await;
    let other = format!("{}-other", world.cluster);
    let mut spec = world.clusters().get(&world.cluster).await.unwrap().spec;
    spec.limits = serde_json::from_value(json!({"maxConcurrentJobs": 1})).unwrap();
    edit::<ComputeCluster>(world.clusters(), &world.cluster, json!({"limits": {"maxConcurrentJobs": 1}})).await;
    world.clusters().create(&PostParams::default(), &ComputeCluster::new(&other, spec)).await.unwrap();
    world.operation("report", json!({})).await;
    let jobs = ["a", "b", "c", "d"];
    for job in jobs {
        operator.play(job, Play::Run);
        world.job(job, "report", json!({})).await;
    }
    let running = eventually(|| async {
        let all = world.jobs().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let status = |job: &slowlane::api::v1alpha1::ManagedJob| job.status.clone().unwrap_or_default();
        let on: Vec<_> = all.iter().filter(|job| status(job).state == Some(JobState::Running)).map(status).collect();
        if on.len() == 2 { Ok(on) } else { Err(format!("{} run", on.len())) }
    })
    .await;
    assert_ne!(running[0].cluster_name, running[1].cluster_name);
    for job in jobs {
        operator.play(job, Play::Succeed(String::new()));
    }
    for job in jobs {
        world.job_in(job, JobState::Succeeded).await;
    }
    assert_eq!(operator.peak(), 2);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_megabyte_of_parameters_is_carried_and_one_that_no_process_takes_is_refused() {
    let (world, keeper, operator) = start().await;
    world.operation("report", json!({})).await;
    world.operation("printer", json!({"application": {"arguments": ["$(params.text)"]}})).await;
    let text = "x".repeat(1_000_000);
    world.job("carried", "report", json!({"parameters": {"text": text}})).await;
    world.job("refused", "printer", json!({"parameters": {"text": text}})).await;
    world.job_in("carried", JobState::Succeeded).await;
    let refused = world.job_in("refused", JobState::Failed).await;
    assert_eq!((reason_of(&refused), operator.submissions("refused")), ("SubmissionFailed", 0));
    assert!(message_of(&refused).starts_with("application.arguments[0] has 1000000 bytes"), "{}", message_of(&refused));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_settings_file_holds_when_it_is_changed_and_a_bad_one_changes_nothing() {
    let (world, keeper, operator) = start().await;
    keeper.ready().await;
    keeper.edit_settings(|settings| settings["ledger"] = json!({"maxLiveRuns": "many"}));
    let valid = |wanted: f64| {
        let keeper = &keeper;
        move || async move {
            let value = keeper.metric("slowlane_settings_valid", "").await;
            if (value - wanted).abs() < 0.5 { Ok(()) } else { Err(value) }
        }
    };
    eventually(valid(0.0)).await;
    assert!(keeper.log().contains("ledger.maxLiveRuns"), "the path is named");
    keeper.edit_settings(|settings| settings["ledger"] = json!({"maxLiveRuns": 1}));
    eventually(valid(1.0)).await;
    world.operation("report", json!({})).await;
    operator.play("first", Play::Run);
    world.job("first", "report", json!({})).await;
    world.job_in("first", JobState::Running).await;
    world.job("second", "report", json!({})).await;
    world.job_that("second", |job| message_of(job) == "the keeper's ledger is full").await;
    keeper.edit_settings(|settings| settings["ledger"] = json!({"maxLiveRuns": 2}));
    tokio::time::timeout(Duration::from_secs(20), world.job_in("second", JobState::Succeeded)).await.unwrap();
    operator.play("first", Play::Succeed(String::new()));
    world.job_in("first", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}
