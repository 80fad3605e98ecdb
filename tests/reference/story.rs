//! Small worlds, and what happens in them.

use crate::rng::Rng;
use crate::rule::{Cluster, EXPRESSIONS, Entry, Job, LOCKS, Operation, SIZES, Size, Window, World};

/// What happens; the numbers say to whom.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Comes(Job),
    Goes(u32),
    Ends(u32),
    TakenUp(u32),
    Operation(usize),
    Cluster(usize),
    Namespace(usize),
    Strangers(usize),
    /// A run's live pods take this much.
    Pods(u32, [u64; 3]),
    Served(bool),
    /// Runs of which nothing is known are expected to take another time.
    Unknown,
    Later,
    Limits,
}

const MINUTE: i64 = 60_000;

pub(crate) fn world(rng: &mut Rng) -> World {
    let plain = rng.chance(600);
    drawn(rng, plain)
}

/// A world in which only what is free decides, and the first that came goes first.
pub(crate) fn fair_world(rng: &mut Rng) -> World {
    let mut world = World { aging: 1, most_runs: 1000, ..drawn(rng, true) };
    for cluster in &mut world.clusters {
        cluster.accept.clear();
        cluster.max_pending = None;
    }
    world
}

fn drawn(rng: &mut Rng, plain: bool) -> World {
    let mut world = World {
        plain,
        now: 1_700_000_000_000 / 3_600_000 * 3_600_000,
        aging: [1, 30_000, 5 * MINUTE, 86_400_000][rng.below(4)],
        bound: [1000, 2 * MINUTE, 20 * MINUTE][rng.below(3)],
        most_runs: if rng.chance(200) { 3 } else { 1000 },
        locks: locks(rng, if plain { 1000 } else { 700 }, plain),
        served: true,
        expected_of_unknown: unknown(rng),
        window: usize::MAX,
        terminating: vec![false; 2],
        operations: vec![Operation::default(); 1 + rng.below(4)],
        clusters: vec![Cluster::default(); 1 + rng.below(3)],
        ..World::default()
    };
    for number in 0..world.operations.len() {
        world.operations[number] = operation(rng, plain);
    }
    for number in 0..world.clusters.len() {
        world.clusters[number] = cluster(rng, world.operations.len(), plain);
    }
    world
}

fn operation(rng: &mut Rng, plain: bool) -> Operation {
    Operation {
        declared: plain || rng.chance(950),
        namespace: rng.below(2),
        limit: [None, None, Some(1), Some(2), Some(0)][if !plain && rng.chance(100) { 4 } else { rng.below(4) }],
        defect: !plain && rng.chance(40),
        cores: 1 + rng.below(3) as u64,
        locks: if rng.chance(400) { lock_needs(rng) } else { Vec::new() },
        // Few runs outlast sixteen times what they were expected to take, but those of which seconds are expected.
        expected: rng.chance(700).then(|| rng.between(1, 30) * [1000, MINUTE, MINUTE][rng.below(3)]),
    }
}

fn unknown(rng: &mut Rng) -> Option<i64> {
    rng.chance(500).then(|| [1, 16, 128][rng.below(3)] * MINUTE)
}

fn lock_needs(rng: &mut Rng) -> Vec<(usize, u32)> {
    let some: Vec<usize> = (0..LOCKS).filter(|_| rng.chance(600)).collect();
    some.into_iter().map(|lock| (lock, 1 + u32::try_from(rng.below(2)).unwrap())).collect()
}

/// Permits of each lock, if it is declared.
fn locks(rng: &mut Rng, often: u32, plain: bool) -> [Option<u32>; LOCKS] {
    [(); LOCKS].map(|()| rng.chance(often).then(|| u32::try_from(rng.below(4)).unwrap() + 2 * u32::from(plain)))
}

fn cluster(rng: &mut Rng, operations: usize, plain: bool) -> Cluster {
    let executors = 1 + 3 * u64::from(plain) + rng.below(6) as u64;
    let order = rng.below(8);
    let windows: Vec<Window> = (0..rng.below(3)).map(|_| window(rng)).collect();
    let entries = if rng.chance(if plain { 900 } else { 500 }) { 0 } else { 1 + rng.below(3) };
    Cluster {
        declared: plain || rng.chance(950),
        defect: !plain && rng.chance(30),
        namespaces: [vec![0, 1], vec![0, 1], vec![0, 1], vec![0, 1], vec![0], vec![1], vec![]]
            [rng.below(if plain { 4 } else { 7 })]
        .clone(),
        capacity: [[executors, u64::MAX, u64::MAX], [executors, executors * 2000, executors * 2816], [u64::MAX; 3]]
            [rng.below(3)],
        most_jobs: [None, None, Some(1), Some(2), Some(0)][if rng.chance(50) { 4 } else { rng.below(4) }],
        share_jobs: rng.chance(200).then(|| u32::try_from(rng.below(3)).unwrap() + u32::from(plain)),
        share_executors: rng.chance(200).then(|| rng.below(5) as u64 + 2 * u64::from(plain)),
        locks: locks(rng, 150, plain),
        admit_below: rng.chance(150).then(|| [1, 30, 60, 100][rng.below(4)]),
        max_pending: rng.chance(200).then(|| 1 + u32::try_from(rng.below(2)).unwrap()),
        strict: order < 2,
        backfill: order >= 5,
        held: !plain && rng.chance(40),
        accept: (0..entries).map(|_| entry(rng, windows.len(), operations)).collect(),
        windows,
        cores: rng.chance(200).then(|| 1 + rng.below(3) as u64),
        sizes: [(); SIZES].map(|()| rng.chance(600).then(|| size(rng))),
    }
}

fn size(rng: &mut Rng) -> Size {
    let min = rng.below(4) as u64;
    Size {
        min,
        max: min.max(1) + rng.below(3) as u64,
        cores: [(); 2].map(|()| rng.chance(500).then(|| 1 + rng.below(3) as u64)),
        heap: rng.chance(300).then(|| 1 + rng.below(5) as u64),
    }
}

/// None, often; the driver takes a core of them, as ours do.
fn strangers(rng: &mut Rng) -> [u64; 3] {
    let executors = rng.below(5) as u64;
    if executors == 0 { [0; 3] } else { [executors, 1000 * (executors + 1), 1408 * (executors + 1)] }
}

fn window(rng: &mut Rng) -> Window {
    let period = [5, 10, 20, 30][rng.below(4)];
    Window { period, minutes: rng.between(1, period) }
}

fn entry(rng: &mut Rng, windows: usize, operations: usize) -> Entry {
    let some = |rng: &mut Rng, of: usize| (0..of).filter(|_| rng.chance(400)).collect::<Vec<_>>();
    let classes = if rng.chance(400) { (0..4).filter(|_| rng.chance(500)).collect() } else { Vec::new() };
    Entry {
        during: some(rng, windows),
        outside: some(rng, windows),
        classes,
        operations: if rng.chance(300) { some(rng, operations) } else { Vec::new() },
        when: rng.chance(250).then(|| rng.below(EXPRESSIONS)),
    }
}

/// What happens next; the world is changed with it, except for starts.
pub(crate) fn event(rng: &mut Rng, world: &mut World, born: u32) -> Event {
    match rng.below(20) {
        0..8 => {
            let job = job(rng, world, born);
            world.jobs.push(job.clone());
            Event::Comes(job)
        }
        8 if !world.jobs.is_empty() => Event::Goes(world.jobs.swap_remove(rng.below(world.jobs.len())).number),
        9..11 if world.runs.iter().any(|run| run.pending.is_some()) => {
            let mut pending: Vec<_> = world.runs.iter_mut().filter(|run| run.pending.is_some()).collect();
            let at = rng.below(pending.len());
            pending[at].pending = None;
            Event::TakenUp(pending[at].job)
        }
        9..14 if !world.runs.is_empty() => Event::Ends(world.runs.swap_remove(rng.below(world.runs.len())).job),
        14 => {
            let number = rng.below(world.operations.len());
            let namespace = world.operations[number].namespace;
            world.operations[number] = Operation { namespace, ..operation(rng, world.plain) };
            Event::Operation(number)
        }
        15 => {
            let number = rng.below(world.clusters.len());
            let drawn = cluster(rng, world.operations.len(), world.plain);
            let it = &mut world.clusters[number];
            // Often only what its sizes are.
            *it = if rng.chance(300) { Cluster { sizes: drawn.sizes, ..it.clone() } } else { drawn };
            Event::Cluster(number)
        }
        16 if rng.chance(if world.terminating.contains(&true) { 800 } else { 100 }) => {
            let number = world.terminating.iter().position(|it| *it).unwrap_or(rng.below(2));
            world.terminating[number] = !world.terminating[number];
            Event::Namespace(number)
        }
        17 if rng.chance(if world.served { 100 } else { 800 }) => {
            world.served = !world.served;
            Event::Served(world.served)
        }
        17 if rng.chance(500) => {
            world.expected_of_unknown = unknown(rng);
            Event::Unknown
        }
        18 if rng.chance(200) => {
            world.bound = [1000, 2 * MINUTE, 20 * MINUTE][rng.below(3)];
            world.most_runs = if rng.chance(300) { 3 } else { 1000 };
            world.locks = locks(rng, 700, world.plain);
            world.held = rng.chance(if world.plain { 50 } else { 300 });
            Event::Limits
        }
        19 if !world.runs.is_empty() && rng.chance(300) => {
            let run = rng.below(world.runs.len());
            let executors = rng.below(9) as u64;
            world.runs[run].there = [executors, 1000 * rng.below(9) as u64, 1408 * (executors + 1)];
            Event::Pods(world.runs[run].job, world.runs[run].there)
        }
        19 if rng.chance(500) => {
            let number = rng.below(2);
            world.strangers[number] = strangers(rng);
            Event::Strangers(number)
        }
        _ => {
            world.now += [rng.between(1, 1000), rng.between(1, 90) * 1000, rng.between(1, 40) * MINUTE][rng.below(3)];
            Event::Later
        }
    }
}

pub(crate) fn job(rng: &mut Rng, world: &World, born: u32) -> Job {
    let min = rng.below(4) as u64;
    let cluster = rng.chance(200).then(|| rng.below(world.clusters.len()));
    let selects = cluster.is_none() && rng.chance(200);
    Job {
        number: born,
        arrival: born,
        operation: rng.below(world.operations.len()),
        class: rng.between(0, 3),
        // Whole seconds, and some have been underway for a while.
        created: (world.now - if rng.chance(200) { rng.between(0, 30) * MINUTE } else { 0 }) / 1000 * 1000,
        cluster,
        selected: selects.then(|| (0..world.clusters.len()).filter(|_| rng.chance(600)).collect()),
        min,
        max: min.max(1) + rng.below(3) as u64,
        size: rng.chance(250).then(|| rng.below(SIZES)),
        own_limit: rng.chance(150).then(|| 1 + u32::try_from(rng.below(2)).unwrap()),
        answers: [(); EXPRESSIONS].map(|()| [Some(true), Some(true), Some(false), None][rng.below(4)]),
        defect: rng.chance(20),
    }
}
