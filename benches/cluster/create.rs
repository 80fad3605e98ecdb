//! One job at a time: how long until its application is there.

use std::time::{Duration, Instant};

use crate::figures::Samples;
use crate::{Bench, burst};

const CREATE: &str = "create";

/// On an idle cluster.
pub(crate) async fn measure(bench: &Bench) -> Samples {
    one_by_one(bench, CREATE).await
}

/// Hands in one job of an operation after the other, each after the one before has ended and all is said of it.
pub(crate) async fn one_by_one(bench: &Bench, operation: &str) -> Samples {
    bench.sight.forget();
    bench.stage.operation(operation, None).await;
    let mut pairs = Vec::new();
    for number in 0..bench.options.samples {
        let job = burst::name(operation, number);
        let sent = Instant::now();
        bench.stage.job(&job, operation).await;
        bench.sight.until_job_ended(&job).await;
        let created = bench.sight.times(&job).expect("it has ended").created;
        pairs.push((sent, created));
        // The end is written meanwhile. Not in step with anything that comes by the clock.
        tokio::time::sleep(Duration::from_millis(100 + number as u64 * 37 % 50)).await;
    }
    Samples::between(pairs)
}
