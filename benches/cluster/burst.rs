//! A burst: many jobs are handed in at once, and run some at a time.

use std::fmt;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::figures::Samples;
use crate::keeper::{Change, Keeper};
use crate::server::{Counts, between};
use crate::stage::HandedIn;
use crate::{Bench, milliseconds, number};

/// The operation of a burst, and the beginning of its jobs' names.
pub(crate) const BURST: &str = "burst";
/// Jobs that are handed in at once.
const HANDS: usize = 8;

/// What one burst showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Burst {
    pub(crate) starts_per_s: f64,
    pub(crate) refilled: Samples,
    /// Milliseconds a job.
    pub(crate) system_cpu: f64,
    pub(crate) server_cpu: f64,
    pub(crate) etcd_cpu: f64,
    /// Writes a job, the jobs' own creation and what plays Spark left out.
    pub(crate) writes: Counts,
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { starts_per_s, refilled, system_cpu, server_cpu, .. } = self;
        let writes: f64 = self.writes.values().sum();
        write!(f, "{starts_per_s:.1} starts/s, refill {refilled}, {writes:.2} writes, ")?;
        write!(f, "CPU {system_cpu:.2} + {server_cpu:.1} ms a job")
    }
}

/// What is read before and after.
pub(crate) struct Before {
    started: Instant,
    system_ms: f64,
    server_ms: (f64, f64),
    writes: Counts,
}

impl Before {
    pub(crate) async fn look(bench: &Bench, system_ms: f64) -> Self {
        let (writes, server_ms) = (bench.server.writes().await, bench.server.cpu_ms());
        Self { started: Instant::now(), system_ms, server_ms, writes }
    }

    /// What happened since then; everything has ended.
    pub(crate) async fn burst(self, bench: &Bench, system_ms: f64) -> Burst {
        let jobs = number(bench.options.burst);
        let (created, ended) = bench.sight.all();
        assert_eq!((created.len(), ended.len()), (bench.options.burst, bench.options.burst), "each job runs once");
        let slots = bench.options.slots as usize;
        let last = created.last().copied().unwrap_or(self.started);
        let (server_ms, etcd_ms) = bench.server.cpu_ms();
        let mut writes = between(&self.writes, &bench.server.writes().await);
        writes.retain(|(resource, verb), _| is_systems(resource, verb));
        writes.values_mut().for_each(|count| *count /= jobs);
        Burst {
            starts_per_s: jobs * 1e3 / milliseconds(self.started, last),
            // The first run that ends makes room for the first one that had to wait, and so on.
            refilled: Samples::between(ended.into_iter().zip(created.into_iter().skip(slots))),
            system_cpu: (system_ms - self.system_ms) / jobs,
            server_cpu: (server_ms - self.server_ms.0) / jobs,
            etcd_cpu: (etcd_ms - self.server_ms.1) / jobs,
            writes,
        }
    }
}

/// Whether a write is that of the system under test: nobody else writes these.
fn is_systems(resource: &str, verb: &str) -> bool {
    let ours = ["managedjobs/status", "operations/status", "computeclusters/status", "runledgers", "sparkapplications"];
    ours.contains(&resource) || (resource == "events" && verb == "POST")
}

/// Hands in so many jobs of an operation; the channel tells of each.
pub(crate) fn hand_in(bench: &Bench, operation: &'static str, jobs: usize) -> UnboundedReceiver<HandedIn> {
    let (tell, told) = unbounded_channel();
    for hand in 0..HANDS {
        let (stage, tell) = (bench.stage.clone(), tell.clone());
        tokio::spawn(async move {
            for number in (hand..jobs).step_by(HANDS) {
                let job = stage.job(&name(operation, number), operation).await;
                // Nobody listens where the keeper finds the jobs by itself.
                let _ = tell.send(job);
            }
        });
    }
    told
}

/// The name of a job: all are of one length, so that one can stand for another.
pub(crate) fn name(operation: &str, number: usize) -> String {
    format!("{operation}-{number:06}")
}

/// A burst that the keeper works off.
pub(crate) async fn by_keeper(bench: &Bench, keeper: &Keeper) -> Burst {
    bench.sight.forget();
    bench.stage.operation(BURST, Some(bench.options.slots)).await;
    let before = Before::look(bench, keeper.process().cpu_ms()).await;
    let handed_in = hand_in(bench, BURST, bench.options.burst);
    bench.sight.until_ended(bench.options.burst).await;
    keeper.settled().await;
    drop(handed_in);
    before.burst(bench, keeper.process().cpu_ms()).await
}

/// Writes a job until its tombstone is gone, counted with a keeper that does not wait an hour for that.
pub(crate) async fn tombstones(bench: &Bench) -> f64 {
    let before = bench.server.writes().await;
    let standing = bench.stage.applications().await;
    let mut keeper = Keeper::start(bench, Change::DropsTombstones).await;
    keeper.without_tombstones().await;
    keeper.stop().await;
    let writes = between(&before, &bench.server.writes().await);
    let ours = writes.iter().filter(|((resource, _), _)| resource == "sparkapplications");
    ours.map(|(_, count)| count).sum::<f64>() / number(standing.max(1))
}
