//! What one event costs the engine while many jobs wait. The world around it is as brief as can be; only the engine's
//! steps are timed.
//!
//! An event is the next of an endless, realistic mix: jobs arrive, are told that they wait, start, run for some seconds,
//! end, and are forgotten; a slot that is freed is refilled by the same operation's next job, and a new one arrives for
//! it, so that the number of those that wait stays.
//!
//! The last line on standard output is one line of JSON with the figures.

mod world;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};

use world::World;

/// Steps after which tombstones go as fast as they come, beside those that tell each job that it waits.
const SETTLED: usize = 250_000;
/// Steps over which single events are told apart.
const SAMPLE: usize = 200_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut figures = Vec::new();
    for (queued, word) in [(10_000, "10k"), (100_000, "100k")] {
        let mut world = settled(queued);
        let mut group = criterion.benchmark_group("engine");
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
        group.bench_function(BenchmarkId::new("event", queued), |bencher| {
            bencher.iter_custom(|iterations| {
                let before = world.spent();
                (0..iterations).for_each(|_| world.step());
                world.spent().saturating_sub(before)
            });
        });
        group.finish();
        world.tell_apart();
        (0..SAMPLE).for_each(|_| world.step());
        println!("\n{queued} jobs wait; microseconds by kind of event:");
        let (median, mean) = world.print_kinds();
        figures.push(format!("\"engine_us_{word}\": {median:.3}, \"engine_mean_us_{word}\": {mean:.3}"));
    }
    criterion.final_summary();
    println!("{{{}}}", figures.join(", "));
}

fn settled(queued: usize) -> World {
    let mut world = World::new(queued);
    while world.steps() < SETTLED + queued * 3 {
        world.step();
    }
    world
}
