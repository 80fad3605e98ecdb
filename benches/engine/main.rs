//! What one event costs the engine while many jobs wait. The world around it is as brief as can be; only the engine's
//! steps are timed.
//!
//! An event is the next of an endless, realistic mix: jobs arrive, are told that they wait, start, run for some seconds,
//! end, and are forgotten; a slot that is freed is refilled by the same operation's next job, and a new one arrives for
//! it, so that the number of those that wait stays.
//!
//! The last line on standard output is one line of JSON with the figures. `--instructions` makes a few thousand steps and
//! measures nothing: `e2e/instructions` counts what they take. `-- engine/event/1000000` measures that scale alone.

#[expect(dead_code, reason = "a test of pacing needs the rest of it")]
mod world;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};

use world::{Scale, World};

/// Steps after which tombstones go as fast as they come, beside those that tell each job that it waits.
const SETTLED: usize = 250_000;
/// Steps over which single events are told apart.
const SAMPLE: usize = 200_000;

const SCALES: [(Scale, &str); 3] = [
    (Scale { queued: 10_000, operations: 100, clusters: 1 }, "10k"),
    (Scale { queued: 100_000, operations: 100, clusters: 1 }, "100k"),
    (Scale { queued: 1_000_000, operations: 10_000, clusters: 100 }, "1m"),
];

fn main() {
    if std::env::args().any(|argument| argument == "--instructions") {
        return world::few_steps(Scale { queued: 2_000, operations: 100, clusters: 10 }, 20_000, 10_000);
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut all = Vec::new();
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (scale, word) in SCALES {
        let name = format!("engine/event/{}", scale.queued);
        if !asked.is_empty() && !asked.contains(&name) {
            continue;
        }
        let mut world = settled(scale);
        let mut group = criterion.benchmark_group("engine");
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
        group.bench_function(BenchmarkId::new("event", scale.queued), |bencher| {
            bencher.iter_custom(|iterations| {
                let before = world.spent();
                (0..iterations).for_each(|_| world.step());
                world.spent().saturating_sub(before)
            });
        });
        group.finish();
        world.tell_apart();
        (0..SAMPLE).for_each(|_| world.step());
        println!("\n{} jobs wait; microseconds by kind of event:", scale.queued);
        let figures = world.print_kinds();
        all.push(format!(
            "\"engine_us_{word}\": {:.3}, \"engine_mean_us_{word}\": {:.3}",
            figures.median, figures.mean
        ));
        if word == "100k" {
            all.push(format!("\"engine_p999_us\": {:.3}", figures.p999));
        }
    }
    criterion.final_summary();
    println!("{{{}}}", all.join(", "));
}

fn settled(scale: Scale) -> World {
    let mut world = World::new(scale);
    while world.steps() < SETTLED + scale.queued * 3 {
        world.step();
    }
    world
}
