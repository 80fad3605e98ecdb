//! Deterministic fault simulation of the engine: the real engine over a simulated API server, spark-operator and
//! garbage collector, with every fault that the protocol promises to hold under. What happened is judged from the world
//! alone.
//!
//! `SLOWLANE_SEED=n cargo test --no-default-features --test simulation` replays one case with its whole trace;
//! `SLOWLANE_SEEDS=n` runs so many.

#![allow(
    clippy::cast_precision_loss,
    clippy::items_after_statements,
    clippy::match_same_arms,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    reason = "the world here imitates the shapes of the real one, and tables are read row by row"
)]

mod ambush;
mod auditor;
mod bill;
mod deeds;
mod keeper;
mod meddling;
mod moves;
mod mutants;
mod objects;
mod peers;
mod people;
mod profile;
mod requests;
mod rng;
mod settle;
mod simulation;
mod spent;
mod story;
mod told;
mod trouble;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mutants::Mutant;
use profile::Profile;
use simulation::Simulation;

const SEEDS: u64 = 400;

/// What some of the cases have to come to, so that what is judged there is judged at all.
const MET: [&str; 21] = [
    "a bill that a job tells",
    "all permits of the lock are taken",
    "as many wait for the spark-operator as may",
    "a window ended a run",
    "a spark-operator that is away was told of",
    "a reservation was told",
    "ambush Create",
    "ambush Delete",
    "ambush Grant",
    "ambush Lie",
    "ambush TakeOver",
    "status Queued Held",
    "status Queued ClusterHeld",
    "status Queued OperationHeld",
    "status Queued LockTaken",
    "status Queued NamespaceLimitReached",
    "status Queued SubmissionPaced",
    "status Queued HigherPriorityFirst",
    "status Queued OutsideWindow",
    "status Refused OperationLimitReached",
    "status Refused QueueFull",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct Ended {
    verdict: Result<(), String>,
    prints: Vec<u64>,
    trace: Vec<String>,
    seen: BTreeMap<String, u64>,
}

/// One case: how it ended, and the fingerprints of all that the engines were told and asked for.
fn case(seed: u64, mutant: Mutant, prints: bool, traced: bool) -> Ended {
    let mut simulation = Simulation::new(seed, mutant, prints, traced);
    let verdict = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let verdict = verdict.unwrap_or_else(|cause| {
        let words = cause.downcast_ref::<String>().cloned();
        Err(format!(
            "panic: {}",
            words.or_else(|| cause.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default()
        ))
    });
    let mut all = std::mem::take(&mut simulation.prints);
    simulation.keepers.iter_mut().for_each(|keeper| all.append(&mut keeper.prints));
    let seen = std::mem::take(&mut simulation.world.auditor.seen);
    Ended { verdict, prints: all, trace: simulation.trace.unwrap_or_default(), seen }
}

#[test]
fn the_engine_keeps_its_promises_under_every_fault() {
    if let Some(seed) = number("SLOWLANE_SEED") {
        let ended = case(seed, Mutant::None, false, true);
        ended.trace.iter().for_each(|line| println!("{line}"));
        assert_eq!(ended.verdict, Ok(()), "seed {seed}");
        return;
    }
    let (mut failures, mut seen) = (Vec::new(), BTreeMap::<String, u64>::new());
    for seed in number("SLOWLANE_FROM").unwrap_or(0)..number("SLOWLANE_SEEDS").unwrap_or(SEEDS) {
        let ended = case(seed, Mutant::None, false, false);
        failures.extend(ended.verdict.err().map(|words| (seed, words)));
        ended.seen.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    seen.iter().for_each(|(what, times)| println!("{times:>9} {what}"));
    let shown: Vec<String> =
        failures.iter().take(40).map(|(seed, words)| format!("SLOWLANE_SEED={seed}: {words}")).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), shown.join("\n"));
    let all = number("SLOWLANE_FROM").is_none() && number("SLOWLANE_SEEDS").is_none_or(|seeds| seeds >= SEEDS);
    let missed: Vec<_> = MET.iter().filter(|what| all && !seen.contains_key(**what)).collect();
    assert!(missed.is_empty(), "no case comes to: {missed:?}");
}

#[test]
fn the_same_inputs_give_the_same_commands() {
    for seed in 0..60 {
        let [first, second] = [(); 2].map(|()| case(seed, Mutant::None, true, false).prints);
        assert!(!first.is_empty() && first == second, "seed {seed} is not deterministic");
    }
}

/// Fewer would be luck: so many cases have to notice each defect.
const FINDS: usize = 5;

/// Each in the profile in which it hurts. `SLOWLANE_SEEDS=n` counts all of n cases that notice; otherwise five are enough.
#[test]
fn each_deliberate_defect_is_found_and_not_by_luck() {
    let seeds = number("SLOWLANE_SEEDS");
    let most = if seeds.is_some() { usize::MAX } else { FINDS };
    let mut missed = Vec::new();
    for mutant in Mutant::ALL {
        let seeds = Profile::seeds(mutant.home()).take(usize::try_from(seeds.unwrap_or(SEEDS)).expect("a number"));
        let cases = seeds.filter_map(|seed| Some((seed, case(seed, mutant, false, false).verdict.err()?)));
        let found: Vec<(u64, String)> = cases.take(most).collect();
        println!("{mutant:?}: {} cases of {}: {:?}", found.len(), mutant.home(), found.first());
        missed.extend((found.len() < FINDS).then_some((mutant, found.len())));
    }
    assert!(missed.is_empty(), "not found often enough: {missed:?}");
}
