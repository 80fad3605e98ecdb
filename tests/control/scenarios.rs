//! Whole jobs: the built program, a real API server, a fake spark-operator.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use slowlane::api::v1alpha1::{JobState, ManagedJob, ReportedBy, RunOutcome};

use crate::install::install;
use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::proxy::{Fault, Proxy};
use crate::spark::spark_definition;
use crate::world::{World, eventually, message_of, reason_of, release_names, state_of};

fn start(world: &World) -> (Keeper, Operator) {
    (Keeper::start(world), Operator::start(world))
}

fn result_of(job: &ManagedJob) -> Option<&str> {
    job.status.as_ref()?.result_uri.as_deref()
}

// ---- limits ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn three_jobs_of_an_operation_with_limit_1_take_turns() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    for job in ["north", "south", "west"] {
        world.job(job, "report", json!({})).await;
    }
    let waiting = world.job_that("west", |job| reason_of(job) == "OperationLimitReached").await;
    assert!(message_of(&waiting).starts_with("1 of 1"), "{}", message_of(&waiting));
    for job in ["north", "south", "west"] {
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!(result_of(&done), Some(format!("s3a://lake/{job}").as_str()));
        assert_eq!(operator.submissions(job), 1);
    }
    assert_eq!(operator.peak(), 1);
    eventually(|| async {
        let limits = world.ledger().await.spec.limits;
        if limits.is_empty() { Ok(()) } else { Err(limits) }
    })
    .await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn six_jobs_at_limit_2_are_never_more_than_two() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 2})).await;
    let (keeper, operator) = start(&world);
    for number in 0..6 {
        world.job(&format!("job-{number}"), "report", json!({})).await;
    }
    for number in 0..6 {
        world.job_in(&format!("job-{number}"), JobState::Succeeded).await;
    }
    assert_eq!(operator.peak(), 2);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn raising_a_limit_starts_the_next_job() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    for job in ["first", "second"] {
        operator.play(job, Play::Run);
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    assert_eq!(state_of(&world.job_in("second", JobState::Queued).await), Some(JobState::Queued));
    world.operation("report", json!({"maxConcurrentRuns": 2})).await;
    world.job_in("second", JobState::Running).await;
    assert_eq!(operator.peak(), 2);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_whose_operation_is_declared_later_waits_and_then_runs() {
    let world = World::new().await;
    let (keeper, _operator) = start(&world);
    world.job("early", "report", json!({})).await;
    let waiting = world.job_that("early", |job| reason_of(job) == "UnknownOperation").await;
    assert_eq!(state_of(&waiting), Some(JobState::Pending));
    world.operation("report", json!({})).await;
    world.job_in("early", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

// ---- results and failures -------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_result_arrives_by_message_by_annotation_and_as_declared() {
    let world = World::new().await;
    world.operation("report", json!({"defaults": {"result": {"uri": "s3a://lake/$(job.name)/$(run.number)"}}})).await;
    let (keeper, operator) = start(&world);
    let log = "starting\n{\"resultUri\": \"s3a://lake/x\", \"rows\": 3}\nShutdownHookManager: done";
    operator.play("told", Play::Succeed(log.into()));
    operator.play("marked", Play::Annotate("s3a://lake/y".into()));
    operator.play("silent", Play::Succeed(String::new()));
    for (job, uri, by) in [
        ("told", "s3a://lake/x", ReportedBy::TerminationMessage),
        ("marked", "s3a://lake/y", ReportedBy::PodAnnotation),
        ("silent", "s3a://lake/silent/1", ReportedBy::Declared),
    ] {
        world.job(job, "report", json!({"correlationId": "c-1"})).await;
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!((result_of(&done), message_of(&done)), (Some(uri), uri));
        assert_eq!(done.status.unwrap().result.unwrap().reported_by, by);
    }
    assert!(keeper.log().contains("c-1"), "the correlation id is logged");
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_failure_says_why_in_sparks_own_words() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (keeper, operator) = start(&world);
    let traceback = "Traceback (most recent call last):\n  File \"/app.py\", line 3, in <module>\n    raise\n\
                     ValueError: no such region: atlantis\n26/01/01 INFO ShutdownHookManager: Shutdown hook called\n";
    operator.play("typo", Play::Fail(1, "Error", traceback.into()));
    operator.play("large", Play::Fail(137, "OOMKilled", String::new()));
    operator.play("odd", Play::FailToSubmit("failed to run spark-submit: no such image".into()));
    for (job, reason, words) in [
        ("typo", "ApplicationFailed", "ValueError: no such region: atlantis"),
        ("large", "OutOfMemory", "OOMKilled"),
        ("odd", "SubmissionFailed", "no such image"),
    ] {
        world.job(job, "report", json!({})).await;
        let failed = world.job_in(job, JobState::Failed).await;
        assert!(message_of(&failed).contains(words), "{job}: {}", message_of(&failed));
        assert_eq!(reason_of(&failed), reason, "{job}");
        let runs = failed.status.unwrap().runs;
        assert_eq!((runs.len(), runs[0].outcome), (1, Some(RunOutcome::Failed)));
    }
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_that_lacks_a_parameter_says_which() {
    let world = World::new().await;
    world.operation("report", json!({"application": {"arguments": ["$(params.day)"]}})).await;
    let (keeper, _operator) = start(&world);
    world.job("dayless", "report", json!({})).await;
    let waiting = world.job_that("dayless", |job| reason_of(job) == "InvalidParameters").await;
    assert!(message_of(&waiting).contains("spec.parameters.day"), "{}", message_of(&waiting));
    drop(keeper);
    world.remove().await;
}

// ---- ends -----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_job_that_is_cancelled_before_its_start_never_runs() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    operator.play("first", Play::Run);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    world.set("second", "test", json!({"cancel": true})).await;
    world.job_in("second", JobState::Cancelled).await;
    assert_eq!((operator.submissions("second"), world.all_applications().await.len()), (0, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn deleting_a_job_ends_its_run_and_leaves_a_tombstone() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    operator.play("first", Play::Run);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    world.jobs().delete("first", &DeleteParams::default()).await.unwrap();
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!(operator.peak(), 1);
    eventually(|| async {
        let left: Vec<String> = world.pods().await.iter().map(ResourceExt::name_any).collect();
        if left.iter().any(|pod| pod.starts_with("first")) { Err(left) } else { Ok(()) }
    })
    .await;
    let standing = world.all_applications().await;
    let tombstone = standing.iter().find(|application| application.name_any().starts_with("first")).unwrap();
    assert!(tombstone.finalizers().iter().any(|finalizer| finalizer == "slowlane.dev/run"));
    assert!(tombstone.metadata.deletion_timestamp.is_some());
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_application_that_is_deleted_behind_our_back_is_not_started_again() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (keeper, operator) = start(&world);
    operator.play("daily", Play::Run);
    world.job("daily", "report", json!({})).await;
    world.job_in("daily", JobState::Running).await;
    let name = world.all_applications().await[0].name_any();
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world.applications().patch(&name, &PatchParams::default(), &bare).await.unwrap();
    world.applications().delete(&name, &DeleteParams::foreground()).await.unwrap();
    let failed = world.job_in("daily", JobState::Failed).await;
    assert_eq!((reason_of(&failed), operator.submissions("daily")), ("ApplicationDeleted", 1));
    world.no_pods().await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_application_that_is_called_failed_while_its_driver_lives_holds_its_slot() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    operator.play("liar", Play::Lie);
    world.job("liar", "report", json!({})).await;
    eventually(|| async { if operator.submissions("liar") == 1 { Ok(()) } else { Err("not yet") } }).await;
    world.job("honest", "report", json!({})).await;
    eventually(|| async {
        let states: Vec<String> =
            world.all_applications().await.iter().map(|it| crate::operator::state(it).to_owned()).collect();
        if states == ["FAILED"] { Ok(()) } else { Err(states) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(operator.submissions("honest"), 0);
    let liar = world.jobs().get("liar").await.unwrap();
    assert!(!matches!(state_of(&liar), Some(JobState::Failed | JobState::Succeeded)), "{liar:?}");
    operator.play("liar", Play::Fail(1, "Error", "RuntimeError: at last".into()));
    world.job_in("liar", JobState::Failed).await;
    world.job_in("honest", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_whose_operator_is_away_waits_and_can_be_deleted() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    operator.play("first", Play::Ignore);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Starting).await;
    world.jobs().delete("first", &DeleteParams::default()).await.unwrap();
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!(operator.submissions("first"), 0);
    drop(keeper);
    world.remove().await;
}

// ---- the keeper's own life ------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_keeper_that_is_killed_in_mid_run_loses_nothing() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (mut keeper, operator) = start(&world);
    operator.play("first", Play::Run);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    keeper.kill();
    operator.play("first", Play::Succeed("{\"resultUri\": \"s3a://lake/first\"}".into()));
    eventually(|| async {
        let all = world.all_applications().await;
        let state = all[0].data["status"]["applicationState"]["state"].clone();
        if state == "COMPLETED" { Ok(()) } else { Err(state) }
    })
    .await;
    let next = Keeper::start(&world);
    let done = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(result_of(&done), Some("s3a://lake/first"));
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("first"), operator.submissions("second")), (1, 1, 1));
    assert!(next.log().contains("first=false"));
    drop((keeper, next));
    world.remove().await;
}

#[tokio::test]
async fn the_standby_takes_over_from_a_leader_that_is_killed() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (mut leader, operator) = start(&world);
    leader.ready().await;
    let standby = Keeper::start(&world);
    standby.ready().await;
    assert!(standby.metric("slowlane_leading", "").await < 0.5);
    operator.play("first", Play::Run);
    for job in ["first", "second"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    leader.kill();
    operator.play("first", Play::Succeed(String::new()));
    world.job_in("first", JobState::Succeeded).await;
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("first")), (1, 1));
    assert!(standby.metric("slowlane_leading", "").await > 0.5);
    drop((leader, standby));
    world.remove().await;
}

#[tokio::test]
async fn a_keeper_that_is_told_to_stop_gives_its_lease_back() {
    let world = World::new().await;
    let mut keeper = Keeper::start(&world);
    keeper.ready().await;
    let leases: Api<Lease> = world.api();
    let holder = |lease: Lease| lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
    assert!(holder(leases.get("slowlane").await.unwrap()).starts_with("keeper_"));
    assert!(keeper.terminate().await.success());
    assert_eq!(holder(leases.get("slowlane").await.unwrap()), "");
    world.remove().await;
}

#[tokio::test]
async fn a_keeper_whose_lease_is_stolen_ends_with_an_error() {
    let world = World::new().await;
    let mut keeper = Keeper::start(&world);
    keeper.ready().await;
    let leases: Api<Lease> = world.api();
    let patch = Patch::Merge(json!({"spec": {"holderIdentity": "thief"}}));
    leases.patch("slowlane", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(keeper.ended().await.code(), Some(1));
    assert!(keeper.log().contains("thief"));
    world.remove().await;
}

#[tokio::test]
async fn a_keeper_whose_ledger_has_a_later_epoch_steps_down() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (mut keeper, operator) = start(&world);
    world.job("one", "report", json!({})).await;
    world.job_in("one", JobState::Succeeded).await;
    let epoch = world.ledger().await.spec.epoch + 1;
    let patch = Patch::Merge(json!({"spec": {"epoch": epoch, "leader": "thief"}}));
    let ledgers: Api<slowlane::api::v1alpha1::RunLedger> = world.api();
    ledgers.patch("slowlane", &PatchParams::default(), &patch).await.unwrap();
    world.job("two", "report", json!({})).await;
    assert_eq!(keeper.ended().await.code(), Some(1));
    assert_eq!(operator.submissions("two"), 0);
    world.remove().await;
}

#[tokio::test]
async fn nothing_is_written_while_nothing_happens() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = start(&world);
    operator.play("first", Play::Run);
    for job in ["first", "second", "third"] {
        world.job(job, "report", json!({})).await;
    }
    world.job_in("first", JobState::Running).await;
    world.job_in("third", JobState::Queued).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = keeper.metric("slowlane_commands_total", "").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = keeper.metric("slowlane_commands_total", "").await;
    assert!((after - before).abs() < 0.5, "{} commands", after - before);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn lost_answers_start_nothing_twice() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 2})).await;
    let (proxy, operator) = (Proxy::start().await, Operator::start(&world));
    let kubeconfig = proxy.kubeconfig();
    let keeper = Keeper::start_through(&world, kubeconfig.to_str().unwrap());
    keeper.ready().await;
    proxy.fail(http::Method::POST, "sparkapplications", Fault::CutAnswer, 2);
    proxy.fail(http::Method::POST, "sparkapplications", Fault::Refuse(429), 2);
    proxy.fail(http::Method::PUT, "runledgers", Fault::CutAnswer, 2);
    proxy.fail(http::Method::PUT, "runledgers", Fault::Refuse(503), 1);
    proxy.fail(http::Method::PATCH, "status", Fault::CutAnswer, 3);
    for number in 0..4 {
        world.job(&format!("job-{number}"), "report", json!({})).await;
    }
    for number in 0..4 {
        let job = format!("job-{number}");
        world.job_in(&job, JobState::Succeeded).await;
        assert_eq!(operator.submissions(&job), 1);
    }
    assert!(operator.peak() <= 2);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_cluster_without_spark_operator_is_a_condition_and_no_crash() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let spark = spark_definition();
    release_names(&world.client, &Api::all_with(world.client.clone(), &slowlane::spark::api_resource())).await;
    definitions.delete(&spark.name_any(), &DeleteParams::default()).await.unwrap();
    eventually(|| async {
        match definitions.get_opt(&spark.name_any()).await {
            Ok(None) => Ok(()),
            other => Err(format!("{:?}", other.map(|found| found.map(|it| it.name_any())))),
        }
    })
    .await;
    let (keeper, operator) = start(&world);
    keeper.ready().await;
    world.job("daily", "report", json!({})).await;
    let available = |wanted: &'static str| {
        let (clusters, name) = (world.clusters(), world.cluster.clone());
        async move {
            let status = clusters.get(&name).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
            let found = status.conditions.iter().find(|one| one.type_ == "SparkOperatorAvailable").cloned();
            if found.as_ref().is_some_and(|one| one.status == wanted) { Ok(()) } else { Err(format!("{found:?}")) }
        }
    };
    eventually(|| available("False")).await;
    install(world.client.clone(), vec![spark]).await;
    eventually(|| available("True")).await;
    world.job_in("daily", JobState::Succeeded).await;
    assert_eq!(operator.submissions("daily"), 1);
    drop(keeper);
    world.remove().await;
}
