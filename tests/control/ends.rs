//! Runs that are ended before they would have ended: cancelled, suspended, late. The slot is free when the pods are gone.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{JobState, ManagedJob, RunOutcome};

use crate::account;
use crate::keeper::Keeper;
use crate::operator::{Operator, Play, state};
use crate::proxy::{Fault, Proxy};
use crate::scene::ledger_names;
use crate::world::{World, assert_words, eventually, message_of, reason_of};

/// An operation that takes one run at a time, and two jobs of it: `first` runs, `second` waits.
async fn one_runs_and_one_waits(more: Value) -> (World, Keeper, Operator) {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    operator.play("first", Play::Run);
    world.job("first", "report", more).await;
    world.job_in("first", JobState::Running).await;
    world.job("second", "report", json!({})).await;
    world.job_in("second", JobState::Queued).await;
    (world, keeper, operator)
}

async fn set(world: &World, job: &str, field: &str, value: bool) {
    world.set(job, "test", json!({field: value})).await;
}

/// Cancels a job and waits until the keeper has seen that.
async fn cancel(world: &World, job: &str) {
    set(world, job, "cancel", true).await;
    let generation = |job: &ManagedJob| job.metadata.generation;
    world.job_that(job, |job| job.status.as_ref().and_then(|it| it.observed_generation) == generation(job)).await;
}

fn outcomes(job: &ManagedJob) -> Vec<(i32, Option<RunOutcome>)> {
    job.status.iter().flat_map(|status| &status.runs).map(|run| (run.number, run.outcome)).collect()
}

fn with_settings(world: &World, edit: impl FnOnce(&mut Value)) -> Keeper {
    Keeper::start_with(world, account::kubeconfig(), edit)
}

async fn an_application_stands(world: &World) {
    eventually(|| async { if world.all_applications().await.is_empty() { Err("none") } else { Ok(()) } }).await;
}

async fn pods_of(world: &World, job: &str) -> Vec<String> {
    let pods: Vec<Pod> = world.pods().await;
    pods.iter().map(ResourceExt::name_any).filter(|pod| pod.starts_with(job)).collect()
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_it_runs_ends_with_its_pods_and_the_next_one_starts() {
    let (world, keeper, operator) = one_runs_and_one_waits(json!({})).await;
    set(&world, "first", "cancel", true).await;
    let cancelled = world.job_in("first", JobState::Cancelled).await;
    assert_eq!(reason_of(&cancelled), "Cancelled");
    assert_words(message_of(&cancelled), "cancelled by test at ", " while it ran");
    assert_eq!(outcomes(&cancelled), [(1, Some(RunOutcome::Cancelled))]);
    assert_eq!(pods_of(&world, "first").await, Vec::<String>::new(), "its pods go before it is said to have ended");
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("first")), (1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_between_its_grant_and_its_application_never_runs() {
    let (world, proxy) = (World::new().await, Proxy::start().await);
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let kubeconfig = proxy.kubeconfig();
    let (keeper, operator) = (Keeper::start_through(&world, kubeconfig.to_str().unwrap()), Operator::start(&world));
    proxy.fail(http::Method::POST, "sparkapplications", Fault::Refuse(429), usize::MAX);
    world.job("first", "report", json!({})).await;
    ledger_names(&world, 1).await;
    world.job("second", "report", json!({})).await;
    world.job_in("second", JobState::Queued).await;
    cancel(&world, "first").await;
    proxy.mend();
    let cancelled = world.job_in("first", JobState::Cancelled).await;
    assert_eq!(reason_of(&cancelled), "Cancelled");
    assert_words(message_of(&cancelled), "cancelled by test at ", " before it ran");
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("first")), (1, 0));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_application_in_submission_is_not_touched_before_its_state_is_known() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let patient = |settings: &mut Value| settings["runs"]["operatorAbsentSeconds"] = json!(3600);
    let (keeper, operator) = (with_settings(&world, patient), Operator::start(&world));
    operator.play("first", Play::Ignore);
    world.job("first", "report", json!({})).await;
    an_application_stands(&world).await;
    world.job("second", "report", json!({})).await;
    cancel(&world, "first").await;
    let untouched = &world.all_applications().await[0];
    assert_eq!((state(untouched), &untouched.metadata.deletion_timestamp), ("", &None));
    assert_eq!(untouched.metadata.generation, Some(1));
    operator.play("first", Play::Run);
    world.job_in("first", JobState::Cancelled).await;
    assert_eq!(pods_of(&world, "first").await, Vec::<String>::new(), "its pods go before it is said to have ended");
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("first")), (1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_when_its_driver_has_ended_keeps_its_own_end_and_its_slot_until_all_pods_are_gone() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let patient = |settings: &mut Value| settings["runs"]["lingeringSeconds"] = json!(3600);
    let (keeper, operator) = (with_settings(&world, patient), Operator::start(&world));
    operator.play("first", Play::Linger(json!({"resultUri": "s3a://lake/first"}).to_string()));
    world.job("first", "report", json!({})).await;
    world.job_in("first", JobState::Finishing).await;
    world.job("second", "report", json!({})).await;
    world.job_in("second", JobState::Queued).await;
    cancel(&world, "first").await;
    let left = pods_of(&world, "first").await;
    let executor = left.iter().find(|pod| pod.ends_with("-executor")).expect("it is still there");
    assert_eq!(operator.submissions("second"), 0);
    world.api::<Pod>().delete(executor, &DeleteParams::default()).await.unwrap();
    let done = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(done.status.unwrap().result_uri.as_deref(), Some("s3a://lake/first"));
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!(operator.peak(), 1);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_that_is_suspended_before_its_start_waits_until_it_is_resumed() {
    let (world, keeper, operator) = one_runs_and_one_waits(json!({})).await;
    set(&world, "second", "suspend", true).await;
    let suspended = world.job_in("second", JobState::Suspended).await;
    let condition = |job: &ManagedJob, type_: &str| {
        let conditions = &job.status.as_ref().unwrap().conditions;
        conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.clone())
    };
    assert_eq!(condition(&suspended, "Suspended").as_deref(), Some("True"));
    world.job("third", "report", json!({})).await;
    operator.play("first", Play::Succeed(String::new()));
    world.job_in("third", JobState::Succeeded).await;
    assert_eq!(operator.submissions("second"), 0, "it holds up nobody and does not start");
    set(&world, "second", "suspend", false).await;
    let done = world.job_in("second", JobState::Succeeded).await;
    assert_eq!((condition(&done, "Suspended"), outcomes(&done).len()), (None, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_job_that_is_suspended_while_it_runs_gives_its_slot_back_and_resumes_as_its_next_run() {
    let (world, mut keeper, operator) = one_runs_and_one_waits(json!({})).await;
    set(&world, "first", "suspend", true).await;
    let suspended = world.job_in("first", JobState::Suspended).await;
    assert_eq!(outcomes(&suspended), [(1, Some(RunOutcome::Suspended))]);
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!(pods_of(&world, "first").await, Vec::<String>::new());
    // What was suspended is known to the next leader as well.
    keeper.kill();
    let next = Keeper::start(&world);
    operator.play("first", Play::Succeed(json!({"resultUri": "s3a://lake/first"}).to_string()));
    set(&world, "first", "suspend", false).await;
    let done = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(outcomes(&done), [(1, Some(RunOutcome::Suspended)), (2, Some(RunOutcome::Succeeded))]);
    assert_eq!((operator.peak(), operator.submissions("first")), (1, 2));
    drop(next);
    world.remove().await;
}

#[tokio::test]
async fn a_suspended_job_can_be_cancelled_and_deleted() {
    let (world, keeper, _operator) = one_runs_and_one_waits(json!({})).await;
    for job in ["first", "second"] {
        set(&world, job, "suspend", true).await;
        world.job_in(job, JobState::Suspended).await;
    }
    set(&world, "first", "cancel", true).await;
    let cancelled = world.job_in("first", JobState::Cancelled).await;
    assert_eq!(outcomes(&cancelled), [(1, Some(RunOutcome::Suspended))]);
    world.jobs().delete("second", &DeleteParams::default()).await.unwrap();
    world.job("third", "report", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_run_that_takes_longer_than_it_may_is_ended() {
    let (world, keeper, operator) = one_runs_and_one_waits(json!({"activeDeadlineSeconds": 6})).await;
    let failed = world.job_in("first", JobState::Failed).await;
    assert_eq!(reason_of(&failed), "DeadlineExceeded");
    assert!(message_of(&failed).contains("activeDeadlineSeconds, which is 6"), "{}", message_of(&failed));
    assert_eq!(pods_of(&world, "first").await, Vec::<String>::new());
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("first")), (1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_driver_that_does_not_run_in_time_fails_the_job_and_says_who_is_to_blame() {
    let world = World::new().await;
    world.operation("report", json!({"defaults": {"startTimeoutSeconds": 12}})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    operator.play("lonely", Play::Ignore);
    operator.play("stuck", Play::Wait("ImagePullBackOff", "Back-off pulling image \"nowhere/spark\"".into()));
    operator.play("homeless", Play::Unschedulable("0/3 nodes are available: 3 Insufficient memory.".into()));
    // No operator watches that namespace.
    let elsewhere = world.tenant(&world.namespace).await;
    elsewhere.operation("report", json!({"defaults": {"startTimeoutSeconds": 12}})).await;
    for (world, job) in [(&elsewhere, "elsewhere"), (&world, "lonely")] {
        world.job(job, "report", json!({})).await;
        an_application_stands(world).await;
    }
    for job in ["stuck", "homeless"] {
        world.job(job, "report", json!({})).await;
    }
    let waiting = world.job_that("stuck", |job| reason_of(job) == "DriverWaiting").await;
    assert!(message_of(&waiting).starts_with("ImagePullBackOff: Back-off pulling image"), "{}", message_of(&waiting));
    for (world, job, words) in [
        (&world, "lonely", "the spark-operator has not come to it"),
        (&world, "stuck", "ImagePullBackOff: Back-off pulling image"),
        (&world, "homeless", "Unschedulable: 0/3 nodes are available: 3 Insufficient memory."),
        (&elsewhere, "elsewhere", "the spark-operator does not watch namespace tenant-"),
    ] {
        let failed = world.job_in(job, JobState::Failed).await;
        assert_eq!(reason_of(&failed), "StartTimeout");
        assert!(message_of(&failed).contains("startTimeoutSeconds, which is 12"), "{}", message_of(&failed));
        assert!(message_of(&failed).contains(words), "{}", message_of(&failed));
    }
    eventually(|| async { if world.pods().await.is_empty() { Ok(()) } else { Err("pods") } }).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_run_that_no_spark_operator_touches_says_that_there_may_be_none() {
    let world = World::new().await;
    world.operation("report", json!({"defaults": {"startTimeoutSeconds": 2}})).await;
    let keeper = Keeper::start(&world);
    world.job("first", "report", json!({})).await;
    let failed = world.job_in("first", JobState::Failed).await;
    assert_eq!(reason_of(&failed), "StartTimeout");
    let words = "no spark-operator has touched it: none is running, or none watches namespace";
    assert!(message_of(&failed).contains(words), "{}", message_of(&failed));
    drop(keeper);
    world.remove().await;
}
