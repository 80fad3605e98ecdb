//! Many jobs that wait: what the keeper holds for them, and what it does meanwhile (nothing).

use std::time::{Duration, Instant};

use crate::figures::{Crowd, Tally};
use crate::keeper::{Change, Keeper};
use crate::server::{Counts, between};
use crate::stage::HandedIn;
use crate::{Bench, burst, create, number};

/// Operations, all held, among which the jobs are.
const OPERATIONS: usize = 100;
/// Jobs are handed in by so many at once.
const CHUNK: usize = 1_000;
/// How long it is watched doing nothing.
const IDLE: Duration = Duration::from_mins(1);
/// An operation whose jobs may start, behind all the others.
const BEHIND: &str = "behind";

/// A tenth of the jobs, then all of them, then a new keeper that finds them.
pub(crate) async fn measure(bench: &Bench, tally: &mut Tally) {
    for operation in 0..OPERATIONS {
        bench.stage.operation(&held(operation), Some(0)).await;
    }
    let (before, without) = (bench.server.writes().await, requests_of_a_minute(bench).await);
    let mut keeper = Keeper::start(bench, Change::None).await;
    let mut there = 0;
    for crowd in [bench.options.queued / 10, bench.options.queued] {
        fill(bench, there, crowd).await;
        there = crowd;
        keeper.queued(number(crowd)).await;
        until_told(bench, &before, number(crowd)).await;
        tally.crowds.push(look(bench, &keeper, crowd, without).await);
    }
    tally.behind = create::one_by_one(bench, BEHIND).await;
    keeper.stop().await;
    let keeper = Keeper::start(bench, Change::None).await;
    keeper.queued(number(there)).await;
    tally.restarted = Some(look(bench, &keeper, there, without).await);
}

/// Requests but for leases that reach the API server in a minute: without a keeper, those that it makes of itself.
async fn requests_of_a_minute(bench: &Bench) -> f64 {
    let before = bench.server.requests().await;
    tokio::time::sleep(IDLE).await;
    sum(&between(&before, &bench.server.requests().await))
}

/// All but leases. An empty sum of floats is -0.
fn sum(counts: &Counts) -> f64 {
    counts.iter().filter(|((resource, _), _)| resource != "leases").fold(0.0, |sum, (_, it)| sum + it)
}

fn held(operation: usize) -> String {
    format!("held-{operation:03}")
}

async fn fill(bench: &Bench, from: usize, to: usize) {
    let started = Instant::now();
    for chunk in (from..to).step_by(CHUNK) {
        let jobs = chunk..(chunk + CHUNK).min(to);
        bench
            .stage
            .each(jobs, async |number| {
                let operation = held(number % OPERATIONS);
                let _: HandedIn = bench.stage.job(&burst::name(&operation, number), &operation).await;
            })
            .await;
        if (chunk + CHUNK).is_multiple_of(10 * CHUNK) {
            bench.say(&format!(
                "{} jobs wait, {:.0} a second",
                chunk + CHUNK,
                number(chunk + CHUNK - from) / started.elapsed().as_secs_f64()
            ));
        }
    }
}

/// Until each job's status says that it waits.
async fn until_told(bench: &Bench, before: &Counts, jobs: f64) {
    let statuses = ("managedjobs/status".to_owned(), "PATCH".to_owned());
    while between(before, &bench.server.writes().await).get(&statuses).is_none_or(|told| *told < jobs) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn look(bench: &Bench, keeper: &Keeper, jobs: usize, without: f64) -> Crowd {
    // What follows from the last status: its echo, the operations' and the cluster's own.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let process = keeper.process();
    let cpu = process.cpu_ms();
    let requests = requests_of_a_minute(bench).await;
    let crowd = Crowd {
        jobs,
        resident_mib: process.resident_mib(),
        peak_mib: process.peak_mib(),
        idle_requests: (requests - without).max(0.0),
        idle_cpu_percent: (process.cpu_ms() - cpu) / 10.0 / IDLE.as_secs_f64(),
        ready_ms: keeper.ready_ms,
    };
    bench.say(&format!("{crowd}"));
    crowd
}
