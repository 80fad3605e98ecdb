//! What one event costs the engine while many jobs wait. The world around it is as brief as can be; only the engine's
//! steps are timed.
//!
//! An iteration is one event of an endless, realistic mix: jobs arrive, are told that they wait, start, run for some
//! seconds, end, and are forgotten; a slot that is freed is refilled by the same operation's next job, and a new one
//! arrives for it, so that the number of those that wait stays.

mod world;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group};

use world::World;

/// Steps after which tombstones go as fast as they come, and every status stands that is due at the start.
const SETTLED: usize = 300_000;
/// Steps over which single events are told apart.
const SAMPLE: usize = 500_000;

const QUEUED: [usize; 2] = [10_000, 100_000];

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for queued in QUEUED {
        let mut world = settled(queued);
        group.bench_function(BenchmarkId::new("event", queued), |bencher| {
            bencher.iter_custom(|iterations| {
                let before = world.spent();
                (0..iterations).for_each(|_| world.step());
                world.spent() - before
            });
        });
    }
    group.finish();
}

fn settled(queued: usize) -> World {
    let mut world = World::new(queued);
    while world.steps() < SETTLED + queued * 3 {
        world.step();
    }
    world
}

/// Where the time goes: by kind of event.
fn kinds() {
    for queued in QUEUED {
        let mut world = settled(queued);
        world.tell_apart();
        (0..SAMPLE).for_each(|_| world.step());
        println!("\n{queued} jobs wait; microseconds by kind of event:");
        world.print_kinds();
    }
}

criterion_group!(benches, events);

fn main() {
    benches();
    kinds();
    Criterion::default().configure_from_args().final_summary();
}
