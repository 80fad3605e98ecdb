//! A job of a higher class behind a burst is submitted within ten seconds, and a spark-operator is given as much as it can do:
//! the engine beside one that takes its time. See `docs/decisions/0013-pacing.md`.

#[path = "../benches/engine/world.rs"]
#[expect(dead_code, reason = "the benchmark needs the rest of it")]
mod world;

use world::{Scale, World};

const JOBS: usize = 6_000;
const OPERATIONS: usize = 600;
/// Milliseconds.
const SOON: i64 = 10_000;
const MINUTE: i64 = 60_000;
/// Jobs of a higher class.
const URGENT: usize = 5;

struct Found {
    /// The longest that a job of a higher class waited, in milliseconds.
    longest: i64,
    /// Submissions in the time for which they were counted.
    submissions: usize,
}

/// A burst, and some jobs of a higher class, one after the other.
fn behind_a_burst(clusters: usize, workers: usize, submission: i64, counted: i64) -> Found {
    let mut world = World::new(Scale { queued: JOBS, operations: OPERATIONS, clusters });
    world.set_workers(workers, submission);
    world.pass(MINUTE / 3);
    let before = world.submissions();
    world.pass(counted);
    let submissions = world.submissions() - before;
    let mut longest = 0;
    for number in 0..URGENT {
        world.pass(3_210);
        let urgent = world.hand_in_urgent(OPERATIONS + number);
        let created = world.taken_up(&urgent).0;
        let taken_up = loop {
            match world.taken_up(&urgent) {
                (_, Some(time)) => break time,
                (now, None) => assert!(now < created + MINUTE, "job {number} waits"),
            }
            world.step();
        };
        longest = longest.max(taken_up - created);
    }
    println!("{clusters} clusters, {workers} workers, {submission} ms: {longest} ms, {submissions} submissions");
    Found { longest, submissions }
}

/// 2.2 submissions a second: 132 a minute.
#[test]
fn a_high_job_behind_a_burst_is_submitted_within_ten_seconds() {
    for (clusters, workers, submission) in [(1, 1, 455), (1, 10, 4_545), (5, 10, 4_545)] {
        let found = behind_a_burst(clusters, workers, submission, MINUTE);
        assert!(found.longest < SOON, "{} ms", found.longest);
        assert!(found.submissions >= 128, "{} a minute", found.submissions);
    }
}

/// Fifty a second: a thousand in twenty seconds.
#[test]
fn a_fast_spark_operator_is_kept_busy() {
    let found = behind_a_burst(1, 10, 200, MINUTE / 3);
    assert!(found.longest < SOON, "{} ms", found.longest);
    assert!(found.submissions >= 950, "{} in twenty seconds", found.submissions);
}

/// Who waits behind a line that moves is now held by its operation, now by the pace: six thousand jobs, each of which has other words
/// every half minute. Twenty a second are told, and those who have just come.
#[test]
fn reasons_that_come_and_go_are_told_now_and_then() {
    let mut world = World::new(Scale { queued: JOBS, operations: OPERATIONS, clusters: 5 });
    world.set_workers(10, 4_545);
    world.pass(5 * MINUTE);
    let (told, submissions) = (world.told(), world.submissions());
    world.pass(10 * MINUTE);
    let (told, submissions) = (world.told() - told, world.submissions() - submissions);
    println!("{told} statuses of {JOBS} waiting jobs in ten minutes, {submissions} submissions");
    let most = 20 * 600 + submissions + 2 * OPERATIONS;
    assert!((most / 2..=most).contains(&told), "{told}, {most} at most");
}
