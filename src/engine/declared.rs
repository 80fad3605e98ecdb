//! The statuses of operations and clusters: written when they differ from what was said, one write at a time each. And how long
//! runs of an operation are expected to take, which stands in its status, too.

use super::pools::PoolEntry;
use super::{Engine, Wake};
use crate::admission::Pool;
use crate::command::{Command, Failure};
use crate::index::{History, stepped};
use crate::lifecycle::{RETRY, Run};
use crate::model::{ClusterStatus, Hold, Name, ObjectKey, OperationStatus, Outcome, Resources};

impl Engine {
    pub(super) fn publish_operation(&mut self, key: &ObjectKey) {
        let Some(entry) = self.gate.operation(key) else { return };
        let Some(declared) = &entry.declared else { return };
        let book = self.operations.get_mut(key).map(|it| &mut it.book);
        let account = book.and_then(|book| book.with_bills(&self.acknowledged, |bill| bill.operation == *key));
        let Some(account) = account else { return };
        let queued: usize = entry.queues.iter().filter_map(|queue| Some(self.gate.queue(*queue)?.len())).sum();
        let status = OperationStatus {
            observed_generation: declared.generation,
            alive: entry.alive(),
            queued: u32::try_from(queued).unwrap_or(u32::MAX),
            times: self.history.get(key).and_then(History::times),
            held: (declared.limit == Some(0)).then(|| held("maxConcurrentRuns is 0", declared.hold.as_ref())),
            defect: declared.defect.clone(),
            account,
        };
        let uid = declared.uid.clone();
        let publication = self.operations.entry(key.clone()).or_default();
        if publication.take_if_new(&status) {
            publication.book.send(status.account);
            self.out.push(Command::WriteOperationStatus { key: key.clone(), uid, status: Box::new(status) });
        }
    }

    /// A run has ended: how long it took tells how long the next may take.
    pub(super) fn remember_time(&mut self, run: &Run) {
        if let (Some(Outcome::Succeeded(_)), Some(closed)) = (&run.outcome, run.closed) {
            let key = run.holder.operation_key();
            if self.gate.operation(&key).is_none_or(|entry| entry.declared.is_none()) {
                return;
            }
            self.history.entry(key.clone()).or_default().record(closed - run.holder.granted);
            self.expect(&key);
        }
    }

    /// Tells the gate how long runs of an operation are expected to take, and with it those of which nothing is known.
    pub(super) fn expect(&mut self, key: &ObjectKey) {
        let declared = self.gate.operation(key).and_then(|entry| entry.declared.as_ref()?.expected);
        let declared = declared.map(|span| stepped(u32::try_from(span.0 / 1000).unwrap_or(u32::MAX)));
        let expected = self.history.get(key).and_then(History::expected).or(declared);
        self.gate.set_expected(key, expected);
        self.expectations.set(key, expected);
        self.gate.set_expected_of_unknown(self.expectations.of_unknown());
    }

    pub(super) fn operation_status_written(&mut self, key: &ObjectKey, result: &Result<(), Failure>) {
        let Some(publication) = self.operations.get_mut(key) else { return };
        let before = publication.book.stands;
        let again = publication.written(result);
        let is_news = publication.book.stands != before;
        if again {
            self.wakes.set(Wake::Operation(key.clone()), self.now + RETRY);
        }
        if is_news {
            self.look_for_booked(|bill| bill.operation == *key);
        }
    }

    pub(super) fn publish_clusters(&mut self) {
        let declared: Vec<Name> = self.clusters.keys().cloned().collect();
        declared.iter().for_each(|name| self.publish_cluster(name));
        self.tell_of_strangers();
    }

    fn publish_cluster(&mut self, name: &Name) {
        let Some(entry) = self.gate.cluster(name) else { return };
        let Some(declared) = &entry.declared else { return };
        let pools = self.pools.get(name);
        let (pool, warm) = (pools.and_then(|it| it.pool.as_ref()), pools.and_then(PoolEntry::ready));
        let bounded = |most: u64| (most != u64::MAX).then_some(most);
        let Some(publication) = self.clusters.get_mut(name) else { return };
        let account = publication.book.with_bills(&self.acknowledged, |bill| bill.cluster == *name);
        let Some(account) = account else { return };
        let said = publication.said.as_ref().and_then(|said| said.warmth);
        // Until it is looked at, a pool is as the keeper before left it, or as it was before an edit; the bounds hold at once.
        let desired = pool.map(Pool::desired).or(pools.and_then(|it| it.left));
        let desired = declared.pool.zip(desired).map(|(rules, desired)| rules.bounded(desired));
        let mut status = ClusterStatus {
            observed_generation: declared.generation,
            running: entry.alive(),
            queued: u32::try_from(self.gate.queued_for(entry)).unwrap_or(u32::MAX),
            executors_in_use: entry.in_use().executors,
            executors_max: bounded(declared.capacity.executors),
            executors_desired: desired,
            executors_ready: self.executors_running(entry) + warm.unwrap_or(0),
            executors_warm: warm.filter(|_| declared.holds_placeholders),
            sized: pools.and_then(|pools| pools.words(entry, declared, self.now)),
            strangers: self.settings.counts_undeclared.then_some(entry.strangers.executors),
            undeclared: self.strangers_at(entry),
            occupancy_percent: occupancy(entry.occupied(), declared.capacity),
            within_window: entry.is_within_window(),
            next_window: entry.next_opening(),
            saturated: self.gate.turns_away(entry),
            held: declared.held.then(|| held("stopPolicy is Hold", declared.hold.as_ref())),
            spark_operator_available: self.gate.operator_available(),
            defect: declared.defect.clone(),
            account,
            // What is warm is taken further whenever something else is said, and whoever takes over goes on from there.
            warmth: said,
        };
        let uid = declared.uid.clone();
        let warmth = self.warmth(name);
        let publication = self.clusters.entry(name.clone()).or_default();
        let has_other_strangers = publication.said.as_ref().is_some_and(|said| said.undeclared != status.undeclared);
        if publication.said.as_ref() != Some(&status) {
            status.warmth = warmth;
        }
        if publication.take_if_new(&status) {
            publication.book.send(status.account);
            self.out.push(Command::WriteClusterStatus { name: name.clone(), uid, status: Box::new(status) });
        }
        // What jobs are told of its room names strangers, too.
        if has_other_strangers {
            self.tell_details(self.gate.operations_at(name), self.settings.detail_interval);
        }
    }

    pub(super) fn cluster_status_written(&mut self, name: &Name, result: &Result<(), Failure>) {
        let Some(publication) = self.clusters.get_mut(name) else { return };
        let before = publication.book.stands;
        let again = publication.written(result);
        let is_news = publication.book.stands != before;
        if again {
            self.wakes.set(Wake::Clusters, self.now + RETRY);
        }
        if is_news {
            self.look_for_booked(|bill| bill.cluster == *name);
        }
    }
}

impl<T: PartialEq + Clone> super::Publication<T> {
    /// Whether this has to be written now; then it counts as said.
    fn take_if_new(&mut self, status: &T) -> bool {
        if self.writing {
            self.again = true;
            return false;
        }
        if self.said.as_ref() == Some(status) {
            return false;
        }
        self.said = Some(status.clone());
        self.writing = true;
        true
    }

    /// A write ended; tells whether to look again.
    fn written(&mut self, result: &Result<(), Failure>) -> bool {
        self.writing = false;
        self.book.sent(result.is_ok());
        let failed = !matches!(result, Ok(()) | Err(Failure::Gone));
        if failed {
            self.said = None;
        }
        std::mem::take(&mut self.again) || failed
    }
}

/// Why nothing starts: `held by kubectl-edit since 2026-11-26 14:02 UTC: spec.stopPolicy is Hold`.
fn held(field: &str, hold: Option<&Hold>) -> Box<str> {
    match hold {
        Some(hold) => format!("held by {hold}: spec.{field}").into(),
        None => format!("nothing starts: spec.{field}").into(),
    }
}

/// The fullest bounded dimension, in percent.
fn occupancy(used: Resources, capacity: Resources) -> Option<u32> {
    let of = |used: u64, most: u64| match most {
        u64::MAX => None,
        0 => Some(100),
        _ => u32::try_from(u128::from(used) * 100 / u128::from(most)).ok(),
    };
    [
        of(used.executors, capacity.executors),
        of(used.milli_cores, capacity.milli_cores),
        of(used.memory_mib, capacity.memory_mib),
    ]
    .into_iter()
    .flatten()
    .max()
}
