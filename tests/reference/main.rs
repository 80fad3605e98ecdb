//! The gate against a brute-force program that follows `docs/decisions/0010-the-gate.md`, section 1, word for word and shares no
//! code with it: the same starts in the same order, and the same reason for each job that waits, after every event in
//! many small worlds. Since the reference decides from scratch each time, a lost wake-up shows as a missing start.
//!
//! `SLOWLANE_WORLDS=10000000 cargo test --release --no-default-features --test reference` looks at ten million;
//! `SLOWLANE_FROM=n SLOWLANE_WORLDS=1` at one alone, and tells its story.

mod cases;
mod drive;
mod peers;
#[path = "../simulation/rng.rs"]
#[expect(dead_code, reason = "another test needs the rest of it")]
mod rng;
mod rule;
mod story;
mod waiting;

use std::thread;

/// Worlds without a word: two seconds as compiled for debugging. CI looks at 200,000, compiled for release.
const WORLDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_gate_decides_as_the_rule_says() {
    let (from, worlds) = (number("SLOWLANE_FROM").unwrap_or(0), number("SLOWLANE_WORLDS").unwrap_or(WORLDS));
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let seen = thread::scope(|scope| {
        let share = |thread: u64| (from..from + worlds).filter(move |seed| seed % threads == thread);
        let parts: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || share(thread).map(|seed| drive::compare(seed, worlds == 1)).sum::<drive::Seen>())
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum::<drive::Seen>()
    });
    println!("{worlds} worlds: {seen:?}");
    if worlds >= 10_000 {
        seen.is_worth_it();
    }
}
