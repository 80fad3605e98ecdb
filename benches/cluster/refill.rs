//! One slot and a queue: how long a freed slot stays free on a cluster where nothing else happens.

use std::time::{Duration, Instant};

use crate::figures::Samples;
use crate::{Bench, burst};

pub(crate) const REFILL: &str = "refill";
/// The first run is so long that what is to be said of those that wait has been said when it ends.
const FIRST: Duration = Duration::from_secs(5);

/// One run after the other, by the keeper.
pub(crate) async fn by_keeper(bench: &Bench) -> Samples {
    begin(bench).await;
    let handed_in = burst::hand_in(bench, REFILL, bench.options.samples + 1);
    bench.sight.until_ended(bench.options.samples + 1).await;
    drop(handed_in);
    samples(bench)
}

/// An operation with one slot, and a long first run.
pub(crate) async fn begin(bench: &Bench) {
    bench.sight.forget();
    bench.sight.lengthen_first(FIRST);
    bench.stage.operation(REFILL, Some(1)).await;
}

/// From each end to the next start.
pub(crate) fn samples(bench: &Bench) -> Samples {
    let (created, ended) = bench.sight.all();
    let pairs: Vec<(Instant, Instant)> = ended.into_iter().zip(created.into_iter().skip(1)).collect();
    Samples::between(pairs)
}
