//! The bill: the same in a job, its operation, its cluster and the metrics, whoever leads.

use kube::api::Api;
use serde_json::json;
use slowlane::api::v1alpha1::{ExecutorGrant, JobState, JobUsage, ManagedJob, Operation};

use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::world::{World, eventually};

/// What a job's status says that its runs took.
pub(crate) fn usage_of(job: &ManagedJob) -> JobUsage {
    job.status.as_ref().and_then(|status| status.usage).expect("its runs were closed")
}

pub(crate) fn sum(one: JobUsage, other: JobUsage) -> JobUsage {
    JobUsage {
        granted_core_seconds: one.granted_core_seconds + other.granted_core_seconds,
        granted_memory_gib_seconds: one.granted_memory_gib_seconds + other.granted_memory_gib_seconds,
        used_core_seconds: one.used_core_seconds + other.used_core_seconds,
        used_memory_gib_seconds: one.used_memory_gib_seconds + other.used_memory_gib_seconds,
    }
}

/// Waits until an operation, and the cluster, say that their runs took this.
pub(crate) async fn is_booked(world: &World, operation: &str, due: JobUsage) {
    let operations: Api<Operation> = world.api();
    eventually(|| async {
        let told = operations.get(operation).await.map_err(|error| error.to_string())?.status.and_then(|it| it.usage);
        let operation = told.map(|it| JobUsage {
            granted_core_seconds: it.granted_core_seconds,
            granted_memory_gib_seconds: it.granted_memory_gib_seconds,
            used_core_seconds: it.used_core_seconds,
            used_memory_gib_seconds: it.used_memory_gib_seconds,
        });
        let told = world.clusters().get(&world.cluster).await.map_err(|error| error.to_string())?;
        let told = told.status.and_then(|it| it.usage);
        let cluster = told.map(|it| JobUsage {
            granted_core_seconds: it.granted_core_seconds,
            granted_memory_gib_seconds: it.granted_memory_gib_seconds,
            used_core_seconds: it.used_core_seconds,
            used_memory_gib_seconds: it.used_memory_gib_seconds,
        });
        let is_due = operation == Some(due) && cluster == Some(due);
        if is_due { Ok(()) } else { Err(format!("{operation:?} and {cluster:?}, due: {due:?}")) }
    })
    .await;
}

/// What the keeper has counted: core-seconds and GiB-seconds that were granted, and that were used.
async fn counted(keeper: &Keeper, world: &World) -> JobUsage {
    let of = async |name: &str, kind: &str| {
        let labels = format!("{{cluster=\"{}\",kind=\"{kind}\",namespace=\"{}\"}}", world.cluster, world.namespace);
        #[expect(clippy::cast_possible_truncation, reason = "a counter of whole numbers")]
        let number = keeper.metric(name, &labels).await as i64;
        number
    };
    let (cores, memory) = ("slowlane_usage_core_seconds_total", "slowlane_usage_memory_gib_seconds_total");
    JobUsage {
        granted_core_seconds: of(cores, "granted").await,
        granted_memory_gib_seconds: of(memory, "granted").await,
        used_core_seconds: of(cores, "used").await,
        used_memory_gib_seconds: of(memory, "used").await,
    }
}

async fn is_counted(keeper: &Keeper, world: &World, due: JobUsage) {
    eventually(|| async {
        let counted = counted(keeper, world).await;
        if counted == due { Ok(()) } else { Err(format!("{counted:?}, due: {due:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_run_is_billed_once_and_alike_everywhere_whoever_leads() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (mut before, operator) = (Keeper::start(&world), Operator::start(&world));
    world.running(&operator, "first", "report", json!({"executors": {"min": 1, "max": 2}})).await;
    let executors = |job: &ManagedJob| job.status.as_ref().and_then(|status| status.executors);
    let runs = ExecutorGrant { granted: 2, ready: 1, peak: 1 };
    world.job_that("first", |job| executors(job) == Some(runs)).await;

    // It dies while the run is alive, and the next one sees it end.
    before.kill();
    let mut keeper = Keeper::start(&world);
    keeper.ready().await;
    operator.play("first", Play::Succeed(String::new()));
    let first = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(executors(&first), Some(ExecutorGrant { ready: 0, ..runs }));
    let (usage, status) = (usage_of(&first), first.status.unwrap());
    let run = &status.runs[0];
    assert_eq!(run.usage, Some(usage));
    // A driver and two executors of a core and 896 MiB each.
    let took = run.completion.as_ref().unwrap().0.as_second() - run.start.as_ref().unwrap().0.as_second();
    let cores = usage.granted_core_seconds;
    assert!((3 * (took - 1)..=3 * (took + 1)).contains(&cores), "{cores} in {took} s");
    let memory = usage.granted_memory_gib_seconds;
    assert!(((cores - 1) * 7 / 8..=cores * 7 / 8 + 1).contains(&memory), "{memory} beside {cores}");
    assert!(usage.used_core_seconds > 0 && usage.used_core_seconds < usage.granted_core_seconds, "{usage:?}");
    is_booked(&world, "report", usage).await;
    is_counted(&keeper, &world, usage).await;

    // The next one goes on where it left off, and counts what it books itself.
    keeper.kill();
    let keeper = Keeper::start(&world);
    world.job("second", "report", json!({})).await;
    let second = usage_of(&world.job_in("second", JobState::Succeeded).await);
    is_booked(&world, "report", sum(usage, second)).await;
    is_counted(&keeper, &world, second).await;
    // Bills that are booked leave with the next write.
    world.job("third", "report", json!({})).await;
    let third = usage_of(&world.job_in("third", JobState::Succeeded).await);
    is_booked(&world, "report", sum(sum(usage, second), third)).await;
    let bills = world.ledger().await.spec.bills;
    assert!(bills.len() <= 1, "{bills:?}");
    drop(keeper);
    world.remove().await;
}
