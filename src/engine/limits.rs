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
struct AllHeld<'a> {
    operations: BTreeMap<ObjectKey, Held>,
    clusters: BTreeMap<&'a Name, Held>,
    /// By cluster and namespace.
    shares: BTreeMap<(&'a Name, &'a Name), Held>,
    locks: BTreeMap<&'a Name, Held>,
    /// By cluster and lock.
    cluster_locks: BTreeMap<(&'a Name, &'a Name), Held>,
}

impl<'a> AllHeld<'a> {
    fn add(&mut self, holder: &'a Holder, entrance: Entrance) {
        let Holder { cluster, job, .. } = holder;
        self.operations.entry(holder.operation_key()).or_default().add(holder, 0, entrance);
        self.clusters.entry(cluster).or_default().add(holder, 0, entrance);
        self.shares.entry((cluster, &job.namespace)).or_default().add(holder, 0, entrance);
        for (lock, permits) in holder.locks.iter() {
            self.locks.entry(lock).or_default().add(holder, *permits, entrance);
            self.cluster_locks.entry((cluster, lock)).or_default().add(holder, *permits, entrance);
        }
    }
}

impl Engine {
    /// Limits as declared. The API server refuses an entry that comes with more than its limit. So runs that have to be taken in
    /// over one (after a lost ledger) raise it for one write, and so does a share or a lock that is declared below what is held;
    /// the next write lowers it again.
    pub(super) fn compose_limits(&mut self, ledger: &mut Ledger, grants: &BTreeMap<RunId, Holder>) {
        let mut held = AllHeld::default();
        for (run, holder) in &ledger.holders {
            let entrance = if grants.contains_key(run) {
                Entrance::Granted
            } else if self.acknowledged.holders.contains_key(run) {
                Entrance::Stands
            } else {
                Entrance::TakenIn
            };
            held.add(holder, entrance);
        }
        ledger.operation_limits = self.limits_of_operations(&held);
        (ledger.cluster_limits, ledger.cluster_capacity) = self.limits_of_clusters(&held);
        ledger.shares = self.limits_of_shares(&held);
        ledger.lock_permits = self.limits_of_locks(&held);
        ledger.cluster_lock_permits = self.limits_of_cluster_locks(&held);
    }

    fn limits_of_operations(&mut self, held: &AllHeld<'_>) -> BTreeMap<ObjectKey, u32> {
        let mut limits = BTreeMap::new();
        for (key, held) in &held.operations {
            let declared = self.gate.operation(key).and_then(|entry| entry.declared.as_ref()?.limit);
            if let Some(limit) = declared {
                limits.insert(key.clone(), self.raised(limit, held.runs, held.grows));
            }
        }
        limits
    }

    fn limits_of_clusters(&mut self, held: &AllHeld<'_>) -> (BTreeMap<Name, u32>, BTreeMap<Name, Resources>) {
        let (mut limits, mut capacities) = (BTreeMap::new(), BTreeMap::new());
        for (&name, held) in &held.clusters {
            let Some(declared) = self.gate.cluster(name).and_then(|entry| entry.declared.as_ref()) else { continue };
            let (limit, capacity) = (declared.max_jobs, declared.capacity);
            if let Some(limit) = limit {
                limits.insert(name.clone(), self.raised(limit, held.runs, held.grows));
            }
            let comes = !self.acknowledged.cluster_capacity.contains_key(name);
            let fits = if held.grows || comes { capacity.at_least(held.resources) } else { capacity };
            self.ledger_dirty |= fits != capacity;
            capacities.insert(name.clone(), fits);
        }
        (limits, capacities)
    }

    fn limits_of_shares(&mut self, held: &AllHeld<'_>) -> BTreeMap<(Name, Name), Share> {
        let mut shares = BTreeMap::new();
        for (&(cluster, namespace), held) in &held.shares {
            let Some(share) = self.share(cluster) else { continue };
            let key = (cluster.clone(), namespace.clone());
            let grows = held.grows || !self.acknowledged.shares.contains_key(&key);
            let max_jobs = share.max_jobs.map(|most| self.raised(most, held.runs, grows));
            let max_executors = share.max_executors.map(|most| self.raised(most, held.resources.executors, grows));
            shares.insert(key, Share { max_jobs, max_executors });
        }
        shares
    }

    /// What each namespace may have of a cluster, where that is bounded.
    fn share(&self, cluster: &Name) -> Option<Share> {
        let declared = self.gate.cluster(cluster)?.declared.as_ref()?;
        Some(declared.share).filter(|share| share.is_bounded())
    }

    fn limits_of_locks(&mut self, held: &AllHeld<'_>) -> BTreeMap<Name, u32> {
        let mut limits = BTreeMap::new();
        for (&lock, held) in &held.locks {
            let Some(permits) = self.settings.locks.get(lock).copied() else { continue };
            let grows = held.grows || !self.acknowledged.lock_permits.contains_key(lock);
            limits.insert(lock.clone(), self.raised(permits, held.permits, grows));
        }
        limits
    }

    fn limits_of_cluster_locks(&mut self, held: &AllHeld<'_>) -> BTreeMap<(Name, Name), u32> {
        let mut limits = BTreeMap::new();
        for (&(cluster, lock), held) in &held.cluster_locks {
            let declared = self.gate.cluster(cluster).and_then(|entry| entry.declared.as_ref()?.locks.get(lock));
            let Some(permits) = declared.copied() else { continue };
            let key = (cluster.clone(), lock.clone());
            let grows = held.grows || !self.acknowledged.cluster_lock_permits.contains_key(&key);
            let written = self.raised(permits, held.permits, grows);
            limits.insert(key, written);
        }
        limits
    }

    /// A limit as it is written. Where it lets in more than was declared, the next write lowers it.
    fn raised<N: Ord + Copy>(&mut self, declared: N, held: N, grows: bool) -> N {
        let written = if grows { declared.max(held) } else { declared };
        self.ledger_dirty |= written != declared;
        written
    }

    /// A declared limit changed: the ledger's copy follows with a write of its own where runs hold it.
    pub(super) fn limits_changed(&mut self) {
        self.ledger_dirty |= !self.runs.is_empty();
    }
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
