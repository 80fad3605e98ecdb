//! What is counted beside operations and clusters: locks, shares of namespaces, how full a cluster may be, who may pass whom.

use serde_json::{Value, json};
use slowlane::api::v1alpha1::{JobState, ManagedJob, Operation};

use crate::account;
use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::places::edit;
use crate::world::{World, eventually, message_of, reason_of};

async fn told(world: &World, job: &str, reason: &str, message: &str) {
    let waits = world.job_that(job, |job| reason_of(job) == reason && message_of(job) == message).await;
    assert_eq!((reason_of(&waits), message_of(&waits)), (reason, message));
}

async fn cancel(world: &World, job: &str) {
    world.set(job, "test", json!({"cancel": true})).await;
    world.job_in(job, JobState::Cancelled).await;
}

fn holders(job: &ManagedJob) -> Vec<String> {
    let queue = job.status.as_ref().and_then(|status| status.queue.as_ref());
    queue.and_then(|queue| queue.blockers.first()).map(|blocker| blocker.holders.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_lock_spans_operations_and_namespaces_and_names_only_the_readers_own_holders() {
    let world = World::new().await;
    let tenant = world.tenant(&world.namespace).await;
    let lock = |permits: i32| json!({"locks": [{"name": "orders", "permits": permits}]});
    world.operation("load", lock(2)).await;
    world.operation("report", lock(1)).await;
    tenant.operation("export", lock(1)).await;
    let edit_locks = |settings: &mut Value| settings["locks"] = json!({"orders": 2});
    let keeper = Keeper::start_with(&world, account::kubeconfig(), edit_locks);
    let operator = Operator::start(&world);
    world.running(&operator, "holder", "load", json!({})).await;
    world.job("mine", "report", json!({})).await;
    tenant.job("theirs", "export", json!({})).await;
    told(&world, "mine", "LockTaken", "lock orders: 2 of 2 permits taken, needs 1: holder").await;
    told(&tenant, "theirs", "LockTaken", "lock orders: 2 of 2 permits taken, needs 1").await;
    let mine = world.job_that("mine", |job| !holders(job).is_empty()).await;
    assert_eq!(holders(&mine), [format!("{}/holder", world.namespace)]);
    // The ledger says what is taken, so that the API server itself refuses more.
    let taken = world.ledger().await.spec.locks;
    assert_eq!(taken.get("orders").map(|lock| (lock.permits, lock.max_permits)), Some((2, Some(2))));
    // An edit of the operation changes no run that is alive.
    world.operation("load", lock(1)).await;
    eventually(|| async {
        let operation = world.api::<Operation>().get("load").await.map_err(|error| error.to_string())?;
        let observed = operation.status.and_then(|status| status.observed_generation);
        if observed == operation.metadata.generation { Ok(()) } else { Err(format!("{observed:?}")) }
    })
    .await;
    assert_eq!(world.ledger().await.spec.locks.get("orders").map(|lock| lock.permits), Some(2));
    told(&world, "mine", "LockTaken", "lock orders: 2 of 2 permits taken, needs 1: holder").await;
    // More permits let one more in (the job that came first), and the next says of how many they are taken now.
    operator.play("mine", Play::Run);
    keeper.edit_settings(|settings| settings["locks"] = json!({"orders": 3}));
    world.job_in("mine", JobState::Running).await;
    told(&tenant, "theirs", "LockTaken", "lock orders: 3 of 3 permits taken, needs 1").await;
    // With the operation's new need, the place of the one that took two has room for both.
    cancel(&world, "holder").await;
    world.job("later", "load", json!({})).await;
    world.job_in("later", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn every_limit_of_a_cluster_is_told_with_what_it_counts() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    world.operation("locked", json!({"locks": [{"name": "lake"}]})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let (name, space) = (world.cluster.clone(), world.namespace.clone());
    edit(&world, "", json!({"executors": {"max": 4}})).await;
    world.running(&operator, "runs", "report", json!({"executors": {"min": 2, "max": 2}})).await;
    world.job("waits", "report", json!({"executors": {"min": 3, "max": 3}})).await;
    told(&world, "waits", "ClusterOccupied", &format!("needs 3 executors, {name} has free: 2")).await;
    // Nobody passes it where the cluster says so.
    edit(&world, "", json!({"ordering": {"strategy": "StrictFifo"}})).await;
    world.job("small", "report", json!({})).await;
    let strict = format!("a job ranked above waits for room on {name} (StrictFifo)");
    told(&world, "small", "HigherPriorityFirst", &strict).await;
    edit(&world, "", json!({"ordering": {"strategy": "PriorityFifo"}})).await;
    world.job_in("small", JobState::Succeeded).await;
    edit(&world, "", json!({"occupancy": {"admitBelowPercent": 50}})).await;
    told(&world, "waits", "ClusterOccupied", &format!("{name} admits below 50 % occupancy")).await;
    edit(&world, "", json!({"occupancy": null, "limits": {"perNamespace": {"maxExecutors": 4}}})).await;
    let share = format!("needs 3 executors, {space} has 2 of its 4 on {name}");
    told(&world, "waits", "NamespaceLimitReached", &share).await;
    edit(&world, "", json!({"limits": {"perNamespace": {"maxExecutors": null, "maxConcurrentJobs": 1}}})).await;
    told(&world, "waits", "NamespaceLimitReached", &format!("{space} runs 1 of its 1 jobs on {name}")).await;
    edit(&world, "", json!({"limits": {"perNamespace": {"maxConcurrentJobs": null, "maxExecutors": 2}}})).await;
    let never = format!("needs 3 executors, {name} gives a namespace 2");
    told(&world, "waits", "ExceedsClusterMaximum", &never).await;
    edit(&world, "", json!({"limits": {"perNamespace": null, "maxConcurrentJobs": 0}})).await;
    let held = format!("ComputeCluster {name} is held (limits.maxConcurrentJobs 0)");
    told(&world, "waits", "ClusterHeld", &held).await;
    edit(&world, "", json!({"limits": null})).await;
    world.job("locked", "locked", json!({})).await;
    let unknown = format!("Operation locked needs lock lake: neither the settings nor {name} declare it");
    told(&world, "locked", "InvalidParameters", &unknown).await;
    edit(&world, "", json!({"limits": {"locks": {"lake": 0}}})).await;
    told(&world, "locked", "ExceedsClusterMaximum", "needs 1 permits of lock lake, which has 0").await;
    edit(&world, "", json!({"limits": {"locks": {"lake": 1}}})).await;
    world.job_in("locked", JobState::Succeeded).await;
    keeper.edit_settings(|settings| settings["admission"]["hold"] = json!("maintenance until Monday"));
    told(&world, "waits", "Held", "held by the settings: maintenance until Monday").await;
    keeper.edit_settings(|_| {});
    cancel(&world, "runs").await;
    world.job_in("waits", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

/// What the run of a job was granted, as the job and its application say.
async fn granted(world: &World, job: &str) -> (i32, i64) {
    let of = |job: &ManagedJob| Some(job.status.as_ref()?.executors.as_ref()?.granted);
    let running = world.job_in(job, JobState::Running).await;
    let name = running.status.as_ref().map(|status| status.runs[0].spark_application.clone()).unwrap_or_default();
    let application = world.applications().get(&name.unwrap_or_default()).await.unwrap();
    let spec = &application.data["spec"];
    let most = spec["dynamicAllocation"]["maxExecutors"].as_i64().or_else(|| spec["executor"]["instances"].as_i64());
    (of(&running).unwrap_or_default(), most.unwrap_or_default())
}

#[tokio::test]
async fn jobs_that_come_together_share_what_is_free_by_class_and_evenly() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let gather = |settings: &mut Value| settings["admission"]["gatherSeconds"] = json!(3);
    let keeper = Keeper::start_with(&world, account::kubeconfig(), gather);
    let operator = Operator::start(&world);
    edit(&world, "", json!({"executors": {"max": 10}})).await;
    let executors = |max: i32| json!({"executors": {"min": 1, "max": max}});
    for (job, more) in [("first", json!({})), ("second", json!({})), ("urgent", json!({"priority": "High"}))] {
        operator.play(job, Play::Run);
        let mut spec = executors(8);
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        world.job(job, "report", spec).await;
    }
    let all = (granted(&world, "first").await, granted(&world, "second").await, granted(&world, "urgent").await);
    assert_eq!(all, ((1, 1), (1, 1), (8, 8)), "a High job has what it wants before others have more than their least");
    edit(&world, "", json!({"executors": {"max": 17}})).await;
    for job in ["third", "fourth"] {
        operator.play(job, Play::Run);
        world.job(job, "report", executors(6)).await;
    }
    assert_eq!((granted(&world, "third").await, granted(&world, "fourth").await), ((4, 4), (3, 3)), "seven were free");
    drop(keeper);
    world.remove().await;
}
