//! Nobody waits for ever: see `docs/decisions/0010-the-gate.md`, "Why nobody waits for ever". Clusters are overrun by jobs that
//! come after, and everybody still starts within the bound that only those who came before may stretch.

use std::collections::BTreeMap;

use crate::drive::Driven;
use crate::rng::Rng;
use crate::rule::World;
use crate::story::{Event, fair_world, job};

const MINUTE: i64 = 60_000;
const LONGEST_RUN: i64 = 10 * MINUTE;
const MINUTES: u32 = 240;
const WORLDS: u64 = 200;
/// How many come before the large one.
const LARGE: usize = 3;

struct Fate {
    rank: (i64, u32),
    created: i64,
    started: Option<i64>,
}

#[test]
fn nobody_waits_longer_than_those_who_came_before_make_him() {
    let passed_over = (0..WORLDS).filter(|seed| overrun(*seed)).count();
    // Else the bound would say nothing here.
    assert!(passed_over > 40, "only in {passed_over} worlds a large job was passed over for longer than the bound");
}

/// After some jobs a large one comes, and then small ones, always. Tells whether the large one waited for the bound.
fn overrun(seed: u64) -> bool {
    let mut rng = Rng::new(seed);
    let mut world = fair_world(&mut rng);
    let mut driven = Driven::new(&world);
    let mut fates: BTreeMap<u32, Fate> = BTreeMap::new();
    let mut ends: BTreeMap<u32, i64> = BTreeMap::new();
    let mut born = 0;
    for _ in 0..MINUTES {
        world.now += MINUTE;
        driven.apply(&Event::Later, &world);
        let over: Vec<u32> = ends.iter().filter(|(_, end)| **end <= world.now).map(|(job, _)| *job).collect();
        for job in over {
            ends.remove(&job);
            driven.apply(&Event::Ends(job), &world);
            start(&mut driven, &world, &mut fates, &mut ends, &mut rng);
        }
        for _ in 0..rng.below(4) {
            let mut job = job(&mut rng, &world, born);
            job.created = world.now;
            if fates.len() == LARGE {
                let cluster = rng.below(world.clusters.len());
                job.max = world.clusters[cluster].capacity[0].min(6);
                (job.min, job.cluster, job.selected) = (job.max, Some(cluster), None);
            } else if fates.len() > LARGE {
                (job.min, job.max) = (1, 1);
            }
            // Jobs with limits of their own are not bounded yet.
            (job.own_limit, job.size, job.defect) = (None, None, false);
            born += 1;
            if world.can_ever_start(&job) {
                fates.insert(job.number, Fate { rank: world.rank(&job), created: world.now, started: None });
                driven.apply(&Event::Comes(job), &world);
                start(&mut driven, &world, &mut fates, &mut ends, &mut rng);
            }
        }
    }
    // Who takes longer than was expected is borne with for sixteen times that, each by itself.
    let expected = world.operations.iter().map(|it| it.expected.or(world.expected_of_unknown));
    let patience = 16 * expected.flatten().filter(|it| *it < LONGEST_RUN).max().unwrap_or(0);
    for (number, fate) in &fates {
        let waited = fate.started.unwrap_or(world.now) - fate.created;
        // One of the same minute may rank above that came after.
        let above = fates.values().filter(|other| other.rank < fate.rank);
        let before = above.filter(|other| other.started.is_none_or(|time| time >= fate.created));
        let n = i64::try_from(before.count()).unwrap();
        let bound = world.bound + patience + 3 * (n + 1) * LONGEST_RUN;
        assert!(waited <= bound, "seed {seed}: job {number} waited {waited} ms; with {n} before it at most {bound}");
    }
    let large = fates.values().nth(LARGE);
    large.is_some_and(|fate| fate.started.unwrap_or(world.now) - fate.created > world.bound)
}

fn start(
    driven: &mut Driven,
    world: &World,
    fates: &mut BTreeMap<u32, Fate>,
    ends: &mut BTreeMap<u32, i64>,
    rng: &mut Rng,
) {
    for (job, _, _) in driven.starts(world) {
        fates.get_mut(&job).unwrap().started = Some(world.now);
        ends.insert(job, world.now + rng.between(1, LONGEST_RUN / MINUTE) * MINUTE);
        driven.apply(&Event::TakenUp(job), world);
    }
}
