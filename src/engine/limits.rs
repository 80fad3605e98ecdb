//! The limits that stand in the ledger beside the holders, so that the API server itself refuses too many of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use crate::admission::ClusterEntry;
use crate::model::{Cluster, Holder, Ledger, Name, Resources, RunId, Share};

/// What the holders of a limit have of it together, save for those that are granted with this write: these are never let in over
/// a limit.
#[derive(Clone, Copy, Default)]
struct Held {
    runs: u32,
    permits: u32,
    resources: Resources,
}

/// Limits as they are written.
struct Limits<'a> {
    before: &'a Ledger,
    holders: &'a BTreeMap<RunId, Arc<Holder>>,
    grants: &'a BTreeMap<RunId, Arc<Holder>>,
    /// Some runs are taken in from elsewhere.
    takes_in: bool,
    /// More is let in than was declared: the next write lowers it.
    again: bool,
}

impl Limits<'_> {
    /// A limit as declared; where runs are taken in, or it did not stand before, raised to what these runs hold. (The API server
    /// refuses runs that come over a limit, and a limit that comes below what is held, but for limits on runs.)
    fn of<'r, L: PartialEq + Copy>(
        &mut self,
        declared: L,
        stood: bool,
        runs: impl Iterator<Item = (&'r RunId, u32)>,
        raised: impl Fn(L, &Held) -> L,
    ) -> L {
        if stood && !self.takes_in {
            return declared;
        }
        let (mut held, mut grows) = (Held::default(), false);
        for (run, permits) in runs.filter(|(run, _)| !self.grants.contains_key(*run)) {
            let Some(holder) = self.holders.get(run) else { continue };
            grows |= !self.before.holders.contains_key(run);
            held.runs += 1;
            held.permits = held.permits.saturating_add(permits);
            held.resources = held.resources.plus(holder.resources());
        }
        let written = if grows || !stood { raised(declared, &held) } else { declared };
        self.again |= written != declared;
        written
    }
}

impl Engine {
    /// Limits as declared. The API server refuses an entry that comes with more than its limit. So runs that have to be taken in
    /// over one (after a lost ledger) raise it for one write, and so does a share or a lock that is declared below what is held;
    /// the next write lowers it again. Who holds what, the gate knows: it counts what this write says.
    pub(super) fn compose_limits(&mut self, ledger: &mut Ledger, grants: &BTreeMap<RunId, Arc<Holder>>) {
        let mut limits = Limits {
            before: &self.acknowledged,
            holders: &ledger.holders,
            grants,
            takes_in: self.rebuilding || !self.unnamed.is_empty(),
            again: false,
        };
        let runs = |most: u32, held: &Held| most.max(held.runs);
        let permits = |most: u32, held: &Held| most.max(held.permits);
        let (gate, settings) = (&self.gate, &self.settings);
        // Less than there are may be declared of runs at any time.
        let operations = gate.holding_operations().filter_map(|(key, entry)| {
            let most = entry.declared.as_ref()?.limit?;
            Some((key.clone(), limits.of(most, true, entry.holders.keys().map(uncounted), runs)))
        });
        ledger.operation_limits = operations.collect();
        let holding = gate.clusters().filter(|(_, entry)| !entry.holders.is_empty());
        let clusters: Vec<Place<'_>> =
            holding.filter_map(|(name, entry)| Some((name, entry, entry.declared.as_deref()?))).collect();
        let of_clusters = clusters.iter().filter_map(|(name, entry, declared)| {
            let most = declared.max_jobs?;
            Some(((*name).clone(), limits.of(most, true, entry.holders.keys().map(uncounted), runs)))
        });
        ledger.cluster_limits = of_clusters.collect();
        let capacities = clusters.iter().map(|(name, entry, declared)| {
            let stood = limits.before.cluster_capacity.contains_key(*name);
            let raised = |capacity: Resources, held: &Held| capacity.at_least(held.resources);
            let capacity = limits.of(declared.capacity, stood, entry.holders.keys().map(uncounted), raised);
            ((*name).clone(), capacity)
        });
        ledger.cluster_capacity = capacities.collect();
        ledger.shares = clusters.iter().flat_map(|place| shares(&mut limits, place)).collect();
        let held = settings.locks.iter().filter(|(lock, _)| gate.lock_holders(lock, None).next().is_some());
        let locks = held.map(|(lock, most)| {
            let stood = limits.before.lock_permits.contains_key(lock);
            (lock.clone(), limits.of(*most, stood, gate.lock_holders(lock, None), permits))
        });
        ledger.lock_permits = locks.collect();
        let declared = clusters.iter().flat_map(|(name, _, declared)| declared.locks.iter().map(move |it| (*name, it)));
        let held = declared.filter(|(name, (lock, _))| gate.lock_holders(lock, Some(name)).next().is_some());
        let locks = held.map(|(name, (lock, most))| {
            let key = (name.clone(), lock.clone());
            let stood = limits.before.cluster_lock_permits.contains_key(&key);
            (key, limits.of(*most, stood, gate.lock_holders(lock, Some(name)), permits))
        });
        ledger.cluster_lock_permits = locks.collect();
        self.ledger_dirty |= limits.again;
        self.compose_anew |= limits.again;
    }

    /// Limits as they were acknowledged, save for those of which a run comes or goes.
    pub(super) fn adjust_limits<'a>(&self, ledger: &mut Ledger, changed: impl Iterator<Item = &'a Arc<Holder>>) {
        let (gate, settings) = (&self.gate, &self.settings);
        for holder in changed {
            let key = holder.operation_key();
            let operation = gate.operation(&key).filter(|entry| !entry.holders.is_empty());
            let most = operation.and_then(|entry| entry.declared.as_ref()?.limit);
            put(&mut ledger.operation_limits, key, most);
            let (name, namespace) = (&holder.cluster, &holder.job.namespace);
            let entry = gate.cluster(name).filter(|entry| !entry.holders.is_empty());
            let declared = entry.and_then(|entry| entry.declared.as_ref());
            put(&mut ledger.cluster_limits, name.clone(), declared.and_then(|declared| declared.max_jobs));
            put(&mut ledger.cluster_capacity, name.clone(), declared.map(|declared| declared.capacity));
            let shares = entry.is_some_and(|entry| entry.shares.contains_key(namespace));
            let share = declared.map(|declared| declared.share).filter(|share| shares && share.is_bounded());
            put(&mut ledger.shares, (name.clone(), namespace.clone()), share);
            for (lock, _) in holder.locks.iter() {
                let is_held = |cluster| gate.lock_holders(lock, cluster).next().is_some();
                let most = settings.locks.get(lock).copied().filter(|_| is_held(None));
                put(&mut ledger.lock_permits, lock.clone(), most);
                let most = declared.and_then(|declared| declared.locks.get(lock).copied());
                let most = most.filter(|_| is_held(Some(name)));
                put(&mut ledger.cluster_lock_permits, (name.clone(), lock.clone()), most);
            }
        }
    }

    /// A declared limit changed: the ledger's copy follows with a write of its own where runs hold it.
    pub(super) fn limits_changed(&mut self) {
        self.ledger_dirty |= !self.runs.is_empty();
        self.compose_anew = true;
    }
}

fn put<K: Ord, L>(limits: &mut BTreeMap<K, L>, key: K, limit: Option<L>) {
    match limit {
        Some(limit) => _ = limits.insert(key, limit),
        None => _ = limits.remove(&key),
    }
}

fn uncounted(run: &RunId) -> (&RunId, u32) {
    (run, 0)
}

/// A cluster that has live runs.
type Place<'a> = (&'a Name, &'a ClusterEntry, &'a Cluster);

/// What each namespace that has runs on a cluster may have of it.
fn shares(limits: &mut Limits<'_>, (name, entry, declared): &Place<'_>) -> Vec<((Name, Name), Share)> {
    let namespaces = entry.shares.keys().filter(|_| declared.share.is_bounded());
    let shares = namespaces.map(|namespace| {
        let key = ((*name).clone(), namespace.clone());
        let mine = entry.holders.iter().filter(|(_, job)| job.namespace == *namespace);
        let stood = limits.before.shares.contains_key(&key);
        let share = limits.of(declared.share, stood, mine.map(|(run, _)| uncounted(run)), |share, held| Share {
            max_jobs: share.max_jobs.map(|most| most.max(held.runs)),
            max_executors: share.max_executors.map(|most| most.max(held.resources.executors)),
        });
        (key, share)
    });
    shares.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Footprint, Locks, ObjectKey, Settings, Time};

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
    fn holders() -> BTreeMap<RunId, Arc<Holder>> {
        let holder = Arc::new(Holder {
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
        });
        (1..=2).map(|number| (RunId { job: "u".into(), number }, holder.clone())).collect()
    }

    fn engine() -> Engine {
        let settings = Settings { locks: BTreeMap::from([("lake".into(), 9)]), ..Settings::default() };
        let mut engine = Engine::new(settings);
        engine.gate.set_cluster(Box::new(cluster()), Time(0));
        holders().iter().for_each(|(run, holder)| engine.gate.take(run, holder));
        Arc::make_mut(&mut engine.acknowledged).holders = holders();
        engine
    }

    /// What is written of the share, of the lock everywhere and of the cluster's, and whether another write has to follow.
    fn composed(engine: &mut Engine, grants: &BTreeMap<RunId, Arc<Holder>>) -> (Share, u32, u32, bool) {
        let mut ledger = Ledger { holders: holders(), ..Ledger::default() };
        engine.ledger_dirty = false;
        engine.compose_limits(&mut ledger, grants);
        let of = |name: &str| (Name::from("business"), Name::from(name));
        let share = ledger.shares[&of("jobs")];
        let permits = (ledger.lock_permits["lake"], ledger.cluster_lock_permits[&of("lake")]);
        engine.acknowledged = Arc::new(ledger);
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
        Arc::make_mut(&mut engine.acknowledged).holders.clear();
        engine.unnamed = holders().into_keys().collect();
        assert_eq!(composed(&mut engine, &none).2, 4);
        assert_eq!(composed(&mut engine, &none).2, 3);
    }

    #[test]
    fn a_grant_raises_nothing() {
        let mut engine = engine();
        let grants: BTreeMap<_, _> = holders().into_iter().skip(1).collect();
        Arc::make_mut(&mut engine.acknowledged).holders.pop_last();
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
