//! The limits that stand in the ledger beside the holders, so that the API server itself refuses too many of them.

use std::collections::BTreeMap;

use super::Engine;
use crate::model::{Holder, Ledger, Name, ObjectKey, Resources, RunId, Share};

/// What the holders of a limit have of it together, save for those that are granted with this write: these are never let in over
/// a limit.
#[derive(Clone, Copy, Default)]
struct Held {
    runs: u32,
    permits: u32,
    resources: Resources,
    /// Some of them are taken in from elsewhere.
    grows: bool,
}

impl Held {
    fn add(&mut self, holder: &Holder, permits: u32, entrance: Entrance) {
        self.grows |= entrance == Entrance::TakenIn;
        if entrance != Entrance::Granted {
            self.runs += 1;
            self.permits = self.permits.saturating_add(permits);
            self.resources = self.resources.plus(holder.resources());
        }
    }
}

/// How a run comes into the ledger that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entrance {
    Stands,
    Granted,
    TakenIn,
}

/// What is held of everything that may be limited.
#[derive(Default)]
struct AllHeld {
    operations: BTreeMap<ObjectKey, Held>,
    clusters: BTreeMap<Name, Held>,
    /// By cluster and namespace, of clusters that bound it.
    shares: BTreeMap<(Name, Name), Held>,
    locks: BTreeMap<Name, Held>,
    /// By cluster and lock.
    cluster_locks: BTreeMap<(Name, Name), Held>,
}

impl AllHeld {
    fn add(&mut self, holder: &Holder, entrance: Entrance, is_shared: bool) {
        let Holder { cluster, job, .. } = holder;
        self.operations.entry(holder.operation_key()).or_default().add(holder, 0, entrance);
        self.clusters.entry(cluster.clone()).or_default().add(holder, 0, entrance);
        if is_shared {
            self.shares.entry((cluster.clone(), job.namespace.clone())).or_default().add(holder, 0, entrance);
        }
        for (lock, permits) in holder.locks.iter() {
            self.locks.entry(lock.clone()).or_default().add(holder, *permits, entrance);
            self.cluster_locks.entry((cluster.clone(), lock.clone())).or_default().add(holder, *permits, entrance);
        }
    }
}

impl Engine {
    /// Limits as declared. The API server refuses an entry that comes with more than its limit. So runs that have to be taken in
    /// over one (after a lost ledger) raise it for one write, and so does a share or a lock that is declared below what is held;
    /// the next write lowers it again.
    pub(super) fn compose_limits(&mut self, ledger: &mut Ledger, grants: &BTreeMap<RunId, Holder>) {
        let (before, gate, settings) = (&self.acknowledged, &self.gate, &self.settings);
        let declared = |name: &Name| gate.cluster(name)?.declared.as_ref();
        let clusters = gate.clusters().filter_map(|(name, entry)| Some((name, entry.declared.as_ref()?.share)));
        let shares: BTreeMap<&Name, Share> = clusters.filter(|(_, share)| share.is_bounded()).collect();
        let mut held = AllHeld::default();
        for (run, holder) in &ledger.holders {
            let entrance = if grants.contains_key(run) {
                Entrance::Granted
            } else if before.holders.contains_key(run) {
                Entrance::Stands
            } else {
                Entrance::TakenIn
            };
            held.add(holder, entrance, shares.contains_key(&holder.cluster));
        }
        let again = &mut self.ledger_dirty;
        let runs = |most: u32, held: &Held| most.max(held.runs);
        let permits = |most: u32, held: &Held| most.max(held.permits);
        ledger.operation_limits = limits_of(
            held.operations,
            |key| gate.operation(key)?.declared.as_ref()?.limit,
            // Less than there are may be declared of runs at any time.
            |_| true,
            runs,
            again,
        );
        ledger.cluster_limits =
            limits_of(held.clusters.clone(), |name| declared(name)?.max_jobs, |_| true, runs, again);
        ledger.cluster_capacity = limits_of(
            held.clusters,
            |name| Some(declared(name)?.capacity),
            |name| before.cluster_capacity.contains_key(name),
            |capacity, held| capacity.at_least(held.resources),
            again,
        );
        ledger.shares = limits_of(
            held.shares,
            |(cluster, _)| shares.get(cluster).copied(),
            |key| before.shares.contains_key(key),
            |share, held| Share {
                max_jobs: share.max_jobs.map(|most| most.max(held.runs)),
                max_executors: share.max_executors.map(|most| most.max(held.resources.executors)),
            },
            again,
        );
        ledger.lock_permits = limits_of(
            held.locks,
            |lock| settings.locks.get(lock).copied(),
            |lock| before.lock_permits.contains_key(lock),
            permits,
            again,
        );
        ledger.cluster_lock_permits = limits_of(
            held.cluster_locks,
            |(cluster, lock)| declared(cluster)?.locks.get(lock).copied(),
            |key| before.cluster_lock_permits.contains_key(key),
            permits,
            again,
        );
    }

    /// A declared limit changed: the ledger's copy follows with a write of its own where runs hold it.
    pub(super) fn limits_changed(&mut self) {
        self.ledger_dirty |= !self.runs.is_empty();
    }
}

/// What is declared of each thing that is held; where runs are taken in, or the limit did not stand before, raised to what is held.
/// Where that lets in more than was declared, the next write lowers it: `again`.
fn limits_of<K: Ord, L: PartialEq + Copy>(
    held: BTreeMap<K, Held>,
    declared: impl Fn(&K) -> Option<L>,
    stood: impl Fn(&K) -> bool,
    raised: impl Fn(L, &Held) -> L,
    again: &mut bool,
) -> BTreeMap<K, L> {
    let limits = held.into_iter().filter_map(|(key, held)| {
        let declared = declared(&key)?;
        let written = if held.grows || !stood(&key) { raised(declared, &held) } else { declared };
        *again |= written != declared;
        Some((key, written))
    });
    limits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cluster, Footprint, Locks, Settings, Time};

    fn cluster() -> Cluster {
        Cluster {
            name: "business".into(),
            generation: 1,
            share: Share { max_jobs: Some(1), max_executors: Some(9) },
            locks: BTreeMap::from([("lake".into(), 3)]),
            ..Cluster::default()
        }
    }

    /// Two runs of one namespace, each with two permits of `lake` and four executors.
    fn holders() -> BTreeMap<RunId, Holder> {
        let holder = Holder {
            job: ObjectKey::new("jobs", "daily"),
            operation: "report".into(),
            cluster: "business".into(),
            footprint: Footprint::default(),
            min_executors: 1,
            max_executors: 4,
            locks: Locks::from([("lake".into(), 2)]),
            expected: None,
            granted: Time(0),
            seen: false,
        };
        (1..=2).map(|number| (RunId { job: "u".into(), number }, holder.clone())).collect()
    }

    fn engine() -> Engine {
        let settings = Settings { locks: BTreeMap::from([("lake".into(), 9)]), ..Settings::default() };
        let mut engine = Engine::new(settings);
        engine.gate.set_cluster(Box::new(cluster()), Time(0));
        engine.acknowledged.holders = holders();
        engine
    }

    /// What is written of the share, of the lock everywhere and of the cluster's, and whether another write has to follow.
    fn composed(engine: &mut Engine, grants: &BTreeMap<RunId, Holder>) -> (Share, u32, u32, bool) {
        let mut ledger = Ledger { holders: holders(), ..Ledger::default() };
        engine.ledger_dirty = false;
        engine.compose_limits(&mut ledger, grants);
        let of = |name: &str| (Name::from("business"), Name::from(name));
        let share = ledger.shares[&of("jobs")];
        let permits = (ledger.lock_permits["lake"], ledger.cluster_lock_permits[&of("lake")]);
        engine.acknowledged = ledger;
        (share, permits.0, permits.1, engine.ledger_dirty)
    }

    #[test]
    fn what_is_declared_below_what_is_held_is_raised_for_one_write() {
        let (mut engine, none) = (engine(), BTreeMap::new());
        let raised = Share { max_jobs: Some(2), max_executors: Some(9) };
        assert_eq!(composed(&mut engine, &none), (raised, 9, 4, true));
        assert_eq!(composed(&mut engine, &none), (cluster().share, 9, 3, false));
    }

    #[test]
    fn runs_that_are_taken_in_raise_what_they_exceed() {
        let (mut engine, none) = (engine(), BTreeMap::new());
        composed(&mut engine, &none);
        engine.acknowledged.holders.clear();
        assert_eq!(composed(&mut engine, &none).2, 4);
        assert_eq!(composed(&mut engine, &none).2, 3);
    }

    #[test]
    fn a_grant_raises_nothing() {
        let mut engine = engine();
        let grants: BTreeMap<_, _> = holders().into_iter().skip(1).collect();
        engine.acknowledged.holders.pop_last();
        assert_eq!(composed(&mut engine, &grants), (cluster().share, 9, 3, false));
    }

    #[test]
    fn what_nobody_declares_any_more_stands_in_no_ledger() {
        let mut engine = engine();
        engine.settings.locks.clear();
        engine.gate.remove_cluster(&"business".into());
        let mut ledger = Ledger { holders: holders(), ..Ledger::default() };
        engine.compose_limits(&mut ledger, &BTreeMap::new());
        assert!(ledger.shares.is_empty() && ledger.lock_permits.is_empty() && ledger.cluster_lock_permits.is_empty());
    }
}
