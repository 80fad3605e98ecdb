//! The scene of most faults: one run that is alive, one job that waits behind it, and others that have nothing to do with
//! either. Whatever happens to them, all of it is to end well.

use std::time::{Duration, Instant};

use serde_json::json;
use slowlane::api::v1alpha1::{JobState, RunLedger};

use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::proxy::Proxy;
use crate::world::{World, eventually};

/// How long after a fault has ended all has to be well.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// An operation that takes one run at a time, with `first` running and `second` waiting; jobs of `other` need wait for
/// nothing.
pub(crate) async fn one_runs_and_one_waits() -> (World, Keeper, Operator) {
    begin(Keeper::start).await
}

/// The same with a keeper that is started otherwise.
pub(crate) async fn begin(start: impl FnOnce(&World) -> Keeper) -> (World, Keeper, Operator) {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    world.operation("other", json!({})).await;
    let (keeper, operator) = (start(&world), Operator::start(&world));
    operator.play("first", Play::Run);
    world.job("first", "report", json!({})).await;
    world.job_in("first", JobState::Running).await;
    world.job("second", "report", json!({})).await;
    world.job_in("second", JobState::Queued).await;
    (world, keeper, operator)
}

/// The scene with a keeper that reaches the API server through a proxy.
pub(crate) async fn begin_through(proxy: &Proxy) -> (World, Keeper, Operator) {
    let kubeconfig = proxy.kubeconfig();
    begin(|world| Keeper::start_through(world, kubeconfig.to_str().unwrap())).await
}

/// Both jobs end as they should, one after the other, each with one run.
pub(crate) async fn all_is_well(world: &World, operator: &Operator) {
    operator.play("first", Play::Succeed(String::new()));
    for job in ["first", "second"] {
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!((operator.submissions(job), done.status.unwrap().runs.len()), (1, 1), "{job}");
    }
    assert_eq!(operator.peak_of("report"), 1, "the limit of the operation");
}

/// All is well soon enough after a fault has ended, with a job of another operation that was handed in meanwhile.
pub(crate) async fn all_is_well_since(ended: Instant, fault: &str, world: &World, operator: &Operator) {
    world.job_in("third", JobState::Succeeded).await;
    all_is_well(world, operator).await;
    assert_eq!(operator.submissions("third"), 1);
    println!("{fault}: all was well {:.1?} after it had ended", ended.elapsed());
    assert!(ended.elapsed() < BOUND, "{fault}: {:?}", ended.elapsed());
}

/// Waits until the ledger names so many runs.
pub(crate) async fn ledger_names(world: &World, runs: usize) {
    eventually(|| async {
        let found = world.api::<RunLedger>().get_opt("slowlane").await.map_err(|error| error.to_string())?;
        let named = found.as_ref().map(holders);
        if named == Some(runs) { Ok(()) } else { Err(format!("{named:?} holders")) }
    })
    .await;
}

fn holders(ledger: &RunLedger) -> usize {
    let operations = ledger.spec.limits.iter().filter(|(key, _)| key.starts_with("op/"));
    operations.map(|(_, limit)| limit.holders.len()).sum()
}
