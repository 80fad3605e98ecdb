//! Who holds jobs back and since when, in the words of jobs, clusters and operations; and jobs that are refused.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use slowlane::api::v1alpha1::{JobState, ManagedJob, Operation};

use crate::account;
use crate::keeper::Keeper;
use crate::operator::Operator;
use crate::world::{World, assert_words, eventually, message_of, reason_of};

fn by(manager: &str) -> PatchParams {
    PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() }
}

async fn hold_cluster(world: &World, policy: &str) {
    let patch = Patch::Merge(json!({"spec": {"stopPolicy": policy}}));
    world.clusters().patch(&world.cluster, &by("ann"), &patch).await.unwrap();
}

fn message(conditions: &[Condition], kind: &str) -> Option<String> {
    let found = conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True");
    found.map(|condition| condition.message.clone())
}

fn condition<'a>(job: &'a ManagedJob, kind: &str) -> Option<&'a str> {
    let conditions = job.status.as_ref()?.conditions.iter();
    conditions.into_iter().find(|it| it.type_ == kind).map(|it| it.status.as_str())
}

#[tokio::test]
async fn a_held_cluster_an_operation_and_a_job_say_who_holds_them_and_since_when() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (keeper, _operator) = (Keeper::start(&world), Operator::start(&world));
    hold_cluster(&world, "Hold").await;
    world.job("first", "report", json!({})).await;
    let held = world.job_that("first", |job| message_of(job).contains(" by ")).await;
    assert_eq!(reason_of(&held), "ClusterHeld");
    let before = format!("ComputeCluster {} is held by ann since ", world.cluster);
    assert_words(message_of(&held), &before, " (stopPolicy Hold)");
    let said = eventually(|| async {
        let cluster = world.clusters().get(&world.cluster).await.unwrap();
        message(&cluster.status.unwrap_or_default().conditions, "Held").ok_or("not held")
    })
    .await;
    assert_words(&said, "held by ann since ", ": spec.stopPolicy is Hold");

    world.operation("report", json!({"maxConcurrentRuns": 0})).await;
    let held = world.job_that("first", |job| reason_of(job) == "OperationHeld").await;
    assert_words(message_of(&held), "Operation report is held by test since ", " (maxConcurrentRuns 0)");
    let said = eventually(|| async {
        let operation = world.api::<Operation>().get("report").await.unwrap();
        message(&operation.status.unwrap_or_default().conditions, "Held").ok_or("not held")
    })
    .await;
    assert_words(&said, "held by test since ", ": spec.maxConcurrentRuns is 0");

    world.set("first", "bob", json!({"suspend": true})).await;
    let suspended = world.job_in("first", JobState::Suspended).await;
    let after = ": set spec.suspend to false to let it go on";
    assert_words(message_of(&suspended), "suspended by bob since ", after);
    world.set("first", "eve", json!({"cancel": true})).await;
    let cancelled = world.job_in("first", JobState::Cancelled).await;
    assert_words(message_of(&cancelled), "cancelled by eve at ", " before it started");
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_operation_refuses_jobs_at_its_limit_and_a_job_that_was_accepted_never() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1, "whenAtLimit": "Refuse"})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    world.running(&operator, "first", "report", json!({})).await;
    world.job("second", "report", json!({})).await;
    let refused = world.job_in("second", JobState::Refused).await;
    assert_eq!(reason_of(&refused), "OperationLimitReached");
    let words = "Operation report refuses jobs at its limit: 1 of 1 running; submit it again later";
    assert_eq!(message_of(&refused), words);
    let truths = ["Accepted", "Finished", "Succeeded", "Stalled"].map(|kind| condition(&refused, kind));
    assert_eq!(truths, [Some("False"), Some("True"), Some("False"), Some("True")]);

    // Suspended and resumed, the first one waits for its turn however full it is.
    world.set("first", "bob", json!({"suspend": true})).await;
    world.job_in("first", JobState::Suspended).await;
    world.running(&operator, "third", "report", json!({})).await;
    world.set("first", "bob", json!({"suspend": false})).await;
    world.job_in("first", JobState::Queued).await;
    assert_eq!(operator.submissions("second"), 0);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_and_one_that_nobody_may_wait_in_starts_now_or_never() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1, "maxQueued": 1})).await;
    world.operation("now", json!({"maxQueued": 0})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    world.running(&operator, "first", "report", json!({})).await;
    world.job("second", "report", json!({})).await;
    world.job_in("second", JobState::Queued).await;
    world.job("third", "report", json!({})).await;
    let refused = world.job_in("third", JobState::Refused).await;
    assert_eq!(reason_of(&refused), "QueueFull");
    let words = "the queue of Operation report is full: 1 of 1 waiting; submit it again later";
    assert_eq!(message_of(&refused), words);
    world.job("at-once", "now", json!({})).await;
    world.job_in("at-once", JobState::Succeeded).await;
    hold_cluster(&world, "Hold").await;
    eventually(|| async {
        let cluster = world.clusters().get(&world.cluster).await.unwrap();
        message(&cluster.status.unwrap_or_default().conditions, "Held").ok_or("not held")
    })
    .await;
    world.job("too-late", "now", json!({})).await;
    let refused = world.job_in("too-late", JobState::Refused).await;
    assert!(message_of(&refused).contains("lets no job wait: ComputeCluster"), "{}", message_of(&refused));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn the_next_keeper_refuses_nobody_who_was_accepted() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    world.running(&operator, "first", "report", json!({})).await;
    world.job("second", "report", json!({})).await;
    world.job_in("second", JobState::Queued).await;
    drop(keeper);
    world.operation("report", json!({"maxConcurrentRuns": 1, "whenAtLimit": "Refuse"})).await;
    world.job("third", "report", json!({})).await;
    let keeper = Keeper::start_with(&world, account::kubeconfig(), |_| {});
    world.job_in("third", JobState::Refused).await;
    world.job_in("second", JobState::Queued).await;
    let operations: Api<Operation> = world.api();
    let finish = Patch::Merge(json!({"spec": {"maxConcurrentRuns": 2}}));
    operations.patch("report", &by("test"), &finish).await.unwrap();
    world.job_in("second", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}
