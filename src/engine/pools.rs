//! How large the pools of clusters are, and who holds what is warm in them. See `docs/decisions/0014-the-pool.md`.

use super::{Engine, Phase, Wake};
use crate::admission::{ClusterEntry, Pool};
use crate::command::{Command, Failure, Kind};
use crate::lifecycle::RETRY;
use crate::model::{
    Cluster, ClusterStatus, Load, Name, ObjectKey, PlaceholdersSeen, PoolWords, Resized, RunId, Span, Time, Uid, units,
};

/// How long placeholders may take to come: an autoscaler needs some minutes for a node, and people are told before.
const PENDING: Span = Span::seconds(60);
const REFUSED: &str = "PlaceholdersRefused";

/// A cluster's pool, and its placeholders as far as the engine has to do with them.
#[derive(Debug, Default)]
pub(super) struct PoolEntry {
    /// `None`: the cluster has no pool.
    pub(super) pool: Option<Pool>,
    /// How many executors it was to hold by the cluster's status.
    pub(super) left: Option<u64>,
    /// Its last change, since this keeper leads.
    pub(super) last: Option<Resized>,
    /// The placeholders as they are.
    pub(super) seen: Option<PlaceholdersSeen>,
    /// Since when fewer of them run than are to be there.
    pending: Option<Time>,
    /// Why the last write failed for good.
    pub(super) refused: Option<Box<str>>,
    /// Why the last write failed otherwise.
    failed: Option<Box<str>>,
    /// It has failed: nothing is written before this.
    not_before: Time,
    /// Somebody undid what is being written, as far as can be told.
    undone: bool,
    /// What was written last, unless it failed or somebody undid it.
    written: Option<Written>,
    writing: bool,
}

impl PoolEntry {
    /// Fewer of them run than are to be there, from now on or for some time already.
    fn wait(&mut self, now: Time) {
        self.pending.get_or_insert(now);
    }

    /// What is seen is not what was written: it is written again, once a write that is on its way has ended.
    fn write_again(&mut self) {
        if self.writing {
            self.undone = true;
        } else {
            self.written = None;
        }
    }

    /// Placeholders that run.
    pub(super) fn ready(&self) -> Option<u64> {
        self.seen.as_ref().map(|seen| seen.ready)
    }

    /// How the pool came to be as large as it is, and what keeps its placeholders from coming.
    pub(super) fn words(&self, entry: &ClusterEntry, cluster: &Cluster, now: Time) -> Option<PoolWords> {
        let pool = self.pool.as_ref()?;
        let wanted = wanted(cluster, Some(pool), load_of(entry)?).map(|(warm, _)| warm);
        let refused = self.refused.as_ref().or(self.seen.as_ref().and_then(|seen| seen.refused.as_ref()));
        let ready = self.ready().unwrap_or(0);
        let lacks = wanted.filter(|wanted| *wanted > ready);
        let late = lacks.zip(self.pending.filter(|since| now >= *since + PENDING));
        let (reason, message) = if let Some(words) = refused.filter(|_| lacks.is_some()) {
            let cure = "raise its quota, relax its Pod Security, or set spec.warmCapacity to None";
            (REFUSED, format!("placeholders cannot be created in the keeper's namespace ({cure}): {words}"))
        } else if let Some(words) = &cluster.pool_defect {
            ("BoundsConflict", words.to_string())
        } else if let Some(words) = self.failed.as_ref().filter(|_| late.is_some()) {
            (REFUSED, format!("placeholders cannot be written: {words}"))
        } else if let Some((wanted, since)) = late {
            let where_to = "spec.template.executor's nodeSelector and tolerations say where they may";
            let words =
                format!("{ready} of {wanted} placeholders run since {since}: no node takes the others; {where_to}");
            ("PlaceholdersPending", words)
        } else if let Some(last) = &self.last {
            (last.cause.as_str(), last.to_string())
        } else {
            ("Steady", format!("{} executors", pool.desired()))
        };
        let is_changing = wanted.is_some_and(|wanted| ready != wanted);
        Some(PoolWords { is_changing, reason: reason.into(), message: message.into() })
    }
}

/// How many placeholders there are to be, and how many executors the pool holds (`None`: no trace of them), for which generation of
/// the cluster.
type Written = (Option<(u64, u64)>, i64);

impl Engine {
    /// Pools whose load or rules may have changed are looked at: at the end of each step.
    pub(super) fn look_at_pools(&mut self) {
        // Before the runs are known it would look as if nothing were taken.
        if !self.synced || self.phase != Phase::Open || !self.relists.was_listed(Kind::Placeholders) {
            return;
        }
        let reloaded = self.gate.take_reloaded();
        self.dirty_pools.extend(reloaded);
        for name in std::mem::take(&mut self.dirty_pools) {
            self.look_at_pool(&name);
        }
    }

    /// A cluster's status was read: a pool that is yet to be looked at goes on from what it says.
    pub(super) fn pool_said(&mut self, cluster: &Cluster, said: Option<&ClusterStatus>) {
        if let Some(desired) = said.and_then(|said| said.executors_desired).filter(|_| cluster.pool.is_some()) {
            self.pools.entry(cluster.name.clone()).or_default().left = Some(desired);
        }
    }

    fn look_at_pool(&mut self, name: &Name) {
        let cluster = self.gate.cluster(name).and_then(|entry| Some((entry.declared.as_ref()?, load_of(entry)?)));
        let Some((cluster, load)) = cluster else { return self.pool_gone(name) };
        // Until it is mended, what is there stays: nodes are sooner lost than back.
        if cluster.defect.is_some() {
            return;
        }
        let now = self.now;
        if cluster.pool.is_none() && !self.pools.contains_key(name) {
            return;
        }
        let entry = self.pools.entry(name.clone()).or_default();
        let uid = cluster.uid.clone();
        let resized = match (cluster.pool, &mut entry.pool) {
            (None, _) => {
                (entry.pool, entry.left) = (None, None);
                None
            }
            (Some(rules), Some(pool)) => {
                pool.set_rules(rules, now);
                pool.size(load, now)
            }
            (Some(rules), none) => {
                // What was written with the placeholders is newer than what the status says.
                let before = entry.seen.as_ref().and_then(|seen| seen.desired).or(entry.left);
                none.insert(Pool::resume(rules, before, load, now)).size(load, now)
            }
        };
        let late = entry.pending.map(|since| since + PENDING);
        let next = entry.pool.as_ref().and_then(|pool| pool.next_change(load));
        if let Some(next) = next.into_iter().chain(late.filter(|late| now < *late)).min() {
            self.wakes.set(Wake::Pool(name.clone()), next);
        }
        let is_late = late.is_some_and(|late| now >= late);
        let wanted = (wanted(cluster, entry.pool.as_ref(), load), cluster.generation);
        entry.last = resized.or(entry.last);
        if let Some(resized) = resized {
            self.out.push(Command::AnnouncePool { cluster: name.clone(), uid: uid.clone(), resized });
        }
        if resized.is_some() || is_late {
            self.clusters_changed();
        }
        self.hold_warm(name, uid, wanted);
    }

    /// So many placeholders are to be there. Whatever changes while a write is on its way is looked at when it ends.
    fn hold_warm(&mut self, name: &Name, uid: Uid, wanted: Written) {
        let Some(entry) = self.pools.get_mut(name) else { return };
        let none_to_remove =
            wanted.0.is_none() && entry.seen.is_none() && entry.written.is_none_or(|(it, _)| it.is_none());
        if entry.writing || none_to_remove || entry.written == Some(wanted) {
            return;
        }
        if self.now < entry.not_before {
            self.wakes.set(Wake::Pool(name.clone()), entry.not_before);
            return;
        }
        (entry.writing, entry.written) = (true, Some(wanted));
        self.out.push(Command::WritePool { cluster: name.clone(), uid, warm: wanted.0 });
    }

    /// Executors of runs that run on a cluster.
    pub(super) fn executors_running(&self, entry: &ClusterEntry) -> u64 {
        let ready = |(run, job): (&RunId, &ObjectKey)| self.sightings.ready_executors(run, &job.namespace);
        entry.holders.iter().map(ready).sum()
    }

    pub(super) fn pool_written(&mut self, name: &Name, result: &Result<(), Failure>) {
        let Some(entry) = self.pools.get_mut(name) else { return };
        entry.writing = false;
        let is_denied = matches!(result, Err(Failure::Denied(_)));
        let words = match result {
            Err(Failure::Denied(words) | Failure::NotSent(words) | Failure::Unknown(words)) => Some(words.clone()),
            _ => None,
        };
        if result.is_err() {
            entry.written = None;
            entry.not_before = self.now + RETRY;
            entry.wait(self.now);
        } else if std::mem::take(&mut entry.undone) {
            entry.written = None;
        }
        let (refused, failed) = if is_denied { (words, None) } else { (None, words) };
        entry.failed = failed;
        self.dirty_pools.insert(name.clone());
        if entry.refused != refused {
            entry.refused = refused;
            self.clusters_changed();
        }
    }

    /// Its placeholders go with it: it owns them. Until they do they are remembered.
    pub(super) fn pool_gone(&mut self, name: &Name) {
        let seen = self.pools.remove(name).and_then(|entry| entry.seen);
        if seen.is_some() {
            self.pools.insert(name.clone(), PoolEntry { seen, ..PoolEntry::default() });
        }
    }

    pub(super) fn placeholders_seen(&mut self, seen: PlaceholdersSeen) {
        let name = seen.cluster.clone();
        let entry = self.pools.entry(name.clone()).or_default();
        // Somebody else says how many there are to be; or it is an old word, and then writing again costs little.
        if entry.written.is_none_or(|(written, _)| written.map(|(warm, _)| warm) != Some(seen.replicas)) {
            entry.write_again();
        }
        if seen.ready < seen.replicas {
            entry.wait(self.now);
        } else {
            entry.pending = None;
        }
        let ready = seen.ready;
        entry.seen = Some(seen);
        self.meter_warm(&name, ready);
        self.dirty_pools.insert(name);
        self.clusters_changed();
    }

    pub(super) fn placeholders_gone(&mut self, name: &Name) {
        self.meter_warm(name, 0);
        let Some(entry) = self.pools.get_mut(name) else { return };
        (entry.seen, entry.pending) = (None, None);
        if entry.written.is_none_or(|(written, _)| written.is_some()) {
            entry.write_again();
        }
        if self.gate.cluster(name).is_none_or(|entry| entry.declared.is_none()) {
            self.pools.remove(name);
        }
        self.dirty_pools.insert(name.clone());
        self.clusters_changed();
    }
}

/// What is asked of a cluster's pool.
fn load_of(entry: &ClusterEntry) -> Option<Load> {
    let declared = entry.declared.as_ref()?;
    Some(Load {
        taken: units(entry.occupied(), declared.unit),
        has_runs: entry.alive() > 0,
        is_shut: declared.held || !entry.is_within_window(),
    })
}

/// How many placeholders are to be there; `None`: it holds none, and needs nothing for it.
fn wanted(cluster: &Cluster, pool: Option<&Pool>, load: Load) -> Option<(u64, u64)> {
    let pool = pool.filter(|_| cluster.holds_placeholders && cluster.unit.is_some())?;
    Some((pool.warm(load), pool.desired()))
}
