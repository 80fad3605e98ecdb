//! Everything that admission knows: what is declared, who waits and who holds. Counts what is granted (acknowledged or on
//! its way), never what is merely observed: a slot is free when the ledger says so.
//!
//! Blocked work costs nothing until what blocks it changes: the head of a queue whose operation is at its limit stands in no
//! lane, and whatever a cluster decides by, it decides once for a lane.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::entry::{ClusterEntry, OperationEntry, entries_for};
use super::lane::{Candidate, ClusterNumber, Fit, Lane, LaneKey, LaneNumber};
use super::lock::{Lock, LockHolder};
use super::pace::Pace;
use super::queue::{JobNumber, OperationNumber, Queue, QueueKey, QueueNumber, Rank, Round};
use super::slab::Slab;
use crate::model::{
    Cluster, ExecutorBounds, Footprint, Hold, Holder, Locks, Name, ObjectKey, Operation, Priority, Resources, RunId,
    Settings, Span, Strategy, Time, WaitReason,
};

/// Labels of a namespace.
pub(super) type Labels = BTreeMap<Box<str>, Box<str>>;

/// A job that may start now, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The job.
    pub job: JobNumber,
    /// Its place among those who wait.
    pub(super) rank: Rank,
    /// Its priority class.
    pub(super) class: Priority,
    /// Its namespace.
    pub(super) namespace: Name,
    /// Where.
    pub cluster: Name,
    /// Its pods.
    pub footprint: Footprint,
    /// Executors to start with, and to reach at most.
    pub executors: ExecutorBounds,
    /// Permits that it holds.
    pub locks: Locks,
    /// How long it is expected to take, if that is known.
    pub expected: Option<Span>,
}

impl Grant {
    /// The place in the ledger of a run that is granted this: its least, at first.
    #[must_use]
    pub fn holder(self, job: ObjectKey, operation: Name, granted: Time) -> Holder {
        let Self { cluster, footprint, executors, locks, expected, .. } = self;
        let (min_executors, max_executors) = (executors.min, executors.least());
        Holder {
            job,
            operation,
            cluster,
            footprint,
            min_executors,
            max_executors,
            locks,
            expected,
            granted,
            seen: false,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Namespace {
    labels: Labels,
    terminating: bool,
}

/// Everything that admission knows.
#[derive(Debug)]
pub struct Gate {
    pub(super) operations: Slab<OperationEntry>,
    operation_numbers: HashMap<ObjectKey, OperationNumber>,
    /// Operations that have live runs.
    holding: BTreeMap<ObjectKey, OperationNumber>,
    pub(super) clusters: Slab<ClusterEntry>,
    by_name: BTreeMap<Name, ClusterNumber>,
    namespaces: BTreeMap<Name, Namespace>,
    /// What applications that no job declared take, by namespace.
    strangers: BTreeMap<Name, Resources>,
    queues: Slab<Queue>,
    numbers: HashMap<QueueKey, QueueNumber>,
    pub(super) lanes: Slab<Lane>,
    lane_numbers: HashMap<LaneKey, LaneNumber>,
    /// Every lock that is declared, held or needed.
    pub(super) locks: BTreeMap<Name, Lock>,
    /// Every claim, and at which cluster.
    pub(super) claims: BTreeMap<Rank, ClusterNumber>,
    /// Claims that may not hold any more.
    pub(super) doubtful: BTreeSet<ClusterNumber>,
    /// Clusters that somebody may want to claim.
    pub(super) seeking: BTreeSet<ClusterNumber>,
    /// When the heads that stand in lanes will have waited for the bound.
    pub(super) due: BTreeSet<(Time, QueueNumber)>,
    /// When each cluster's reservation will be another one.
    pub(super) reservations: BTreeSet<(Time, ClusterNumber)>,
    /// Jobs whose reservation is another one than was said.
    pub(super) retold: BTreeSet<JobNumber>,
    /// The latest time that was told.
    pub(super) now: Time,
    /// Clusters for which jobs gather.
    pub(super) gathering: BTreeSet<ClusterNumber>,
    /// Clusters that have to be looked at anew.
    pub(super) touched: BTreeSet<ClusterNumber>,
    /// Clusters of which something else may be taken than before.
    reloaded: BTreeSet<ClusterNumber>,
    /// Who may start on each cluster, the first in rank first.
    pub(super) order: BTreeSet<(Rank, ClusterNumber)>,
    /// When the clock of each cluster has to be looked at.
    edges: BTreeSet<(Time, ClusterNumber)>,
    /// Queues whose reason may have changed.
    pub(super) unsettled: BTreeSet<QueueNumber>,
    /// Lanes of which another cluster may be the nearest to taking them, or for another reason.
    pub(super) unsettled_lanes: BTreeSet<LaneNumber>,
    pub(super) operator_available: bool,
    /// Nothing starts anywhere.
    pub(super) held: Option<Hold>,
    pub(super) pace: Pace,
    live_runs: usize,
    max_live_runs: usize,
    pub(super) bound: Span,
    pub(super) aging: Span,
    /// How long runs are expected to take of operations of which nothing else is known.
    expected_of_unknown: Option<Span>,
}

impl Gate {
    /// An empty gate.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut gate = Self {
            operations: Slab::default(),
            operation_numbers: HashMap::new(),
            holding: BTreeMap::new(),
            clusters: Slab::default(),
            by_name: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            strangers: BTreeMap::new(),
            queues: Slab::default(),
            numbers: HashMap::new(),
            lanes: Slab::default(),
            lane_numbers: HashMap::new(),
            locks: BTreeMap::new(),
            claims: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            seeking: BTreeSet::new(),
            due: BTreeSet::new(),
            reservations: BTreeSet::new(),
            retold: BTreeSet::new(),
            gathering: BTreeSet::new(),
            now: Time::default(),
            touched: BTreeSet::new(),
            reloaded: BTreeSet::new(),
            order: BTreeSet::new(),
            edges: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            unsettled_lanes: BTreeSet::new(),
            operator_available: true,
            held: settings.held.clone(),
            pace: Pace::new(settings),
            live_runs: 0,
            max_live_runs: settings.max_live_runs,
            bound: settings.waiting_bound,
            aging: settings.aging,
            expected_of_unknown: None,
        };
        gate.set_locks(settings);
        gate
    }

    /// The settings changed: everybody who waits is looked at anew. Where the aging is another one, every rank is, too, and the
    /// caller puts each job into its queue again.
    pub fn set_settings(&mut self, settings: &Settings) {
        self.max_live_runs = settings.max_live_runs;
        self.bound = settings.waiting_bound;
        self.aging = settings.aging;
        self.pace.patience = settings.operator_absent;
        self.time_heads();
        self.set_locks(settings);
        if self.held != settings.held {
            self.held.clone_from(&settings.held);
            self.enter_all();
        }
        self.renew_all();
    }

    fn set_locks(&mut self, settings: &Settings) {
        let permits = |locks: &BTreeMap<Name, Lock>| -> BTreeMap<Name, u32> {
            locks.iter().filter_map(|(name, lock)| Some((name.clone(), lock.permits?))).collect()
        };
        let before = permits(&self.locks);
        if before == settings.locks {
            return;
        }
        self.locks.values_mut().for_each(|lock| lock.permits = None);
        for (name, permits) in &settings.locks {
            self.locks.entry(name.clone()).or_default().permits = Some(*permits);
        }
        self.locks.retain(|_, lock| !lock.is_idle());
        self.revise_all();
    }

    /// Says anew when each head will have waited for the bound.
    fn time_heads(&mut self) {
        self.due.clear();
        let heads = self.queues.iter().filter_map(|(number, queue)| Some((number, queue.key.class, queue.entered?)));
        let due: Vec<_> = heads.map(|(number, class, head)| (self.due_at(class, head), number)).collect();
        self.due.extend(due);
    }

    pub(super) fn due_at(&self, class: Priority, head: Rank) -> Time {
        head.created(class, self.aging) + self.bound
    }

    /// An operation, if it is declared, has live runs or is named by a waiting job.
    #[must_use]
    pub fn operation(&self, key: &ObjectKey) -> Option<&OperationEntry> {
        self.operations.get(*self.operation_numbers.get(key)?)
    }

    /// The operation of a queue.
    pub(super) fn operation_of(&self, queue: &Queue) -> Option<&OperationEntry> {
        self.operations.get(queue.operation)
    }

    /// A cluster, if it is declared or has live runs.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&ClusterEntry> {
        self.clusters.get(*self.by_name.get(name)?)
    }

    /// Every cluster, by name.
    pub fn clusters(&self) -> impl Iterator<Item = (&Name, &ClusterEntry)> {
        self.by_name.iter().filter_map(|(name, number)| Some((name, self.clusters.get(*number)?)))
    }

    /// Operations that have live runs, by name.
    pub fn holding_operations(&self) -> impl Iterator<Item = (&ObjectKey, &OperationEntry)> {
        self.holding.iter().filter_map(|(key, number)| Some((key, self.operations.get(*number)?)))
    }

    /// Runs that hold permits of a lock, on a cluster or everywhere, and how many.
    pub fn lock_holders<'a>(&'a self, lock: &str, cluster: Option<&str>) -> impl Iterator<Item = (&'a RunId, u32)> {
        let there = cluster.map(|name| self.by_name.get(name).copied());
        let lock = self.locks.get(lock).filter(|lock| there.is_none_or(|there| lock.is_held_on(there)));
        let holders = lock.into_iter().flat_map(|lock| &lock.holders);
        let there = holders.filter(move |(_, holder)| there.is_none_or(|there| there == Some(holder.cluster)));
        there.map(|(run, holder)| (run, holder.permits))
    }

    /// The keys of all operations that are declared.
    #[must_use]
    pub fn declared_operations(&self) -> BTreeSet<ObjectKey> {
        let declared = self.operations.iter().filter_map(|(_, entry)| entry.declared.as_ref());
        declared.map(|operation| operation.key.clone()).collect()
    }

    /// Who waits in a queue is told of another reason: that far they have come.
    pub fn set_round(&mut self, number: QueueNumber, round: Option<Round>) {
        if let Some(queue) = self.queues.get_mut(number) {
            queue.round = round;
        }
    }

    /// Who waits in a queue was told of another reason.
    pub fn tell(&mut self, number: QueueNumber, every: Span) {
        if let Some(queue) = self.queues.get_mut(number) {
            queue.telling.take(self.now, every);
        }
    }

    /// A queue by its number.
    #[must_use]
    pub fn queue(&self, number: QueueNumber) -> Option<&Queue> {
        self.queues.get(number)
    }

    /// Whether its operation has no other queue.
    #[must_use]
    pub fn is_only_queue(&self, queue: &Queue) -> bool {
        self.operation_of(queue).is_some_and(|entry| entry.queues.len() == 1)
    }

    /// Every queue.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().map(|(_, queue)| queue)
    }

    /// The numbers of all queues.
    #[must_use]
    pub fn queue_numbers(&self) -> Vec<QueueNumber> {
        self.queues.iter().map(|(number, _)| number).collect()
    }

    /// How many jobs wait that could go to a cluster; one that could go to several counts in each.
    #[must_use]
    pub fn queued_for(&self, entry: &ClusterEntry) -> usize {
        entry.lanes.keys().filter_map(|lane| self.lanes.get(*lane)).map(|lane| lane.queued).sum()
    }

    /// Operations with jobs that could go to a cluster.
    #[must_use]
    pub fn operations_at(&self, cluster: &str) -> BTreeSet<ObjectKey> {
        let lanes = self.cluster(cluster).into_iter().flat_map(|entry| entry.lanes.keys());
        let queues = lanes.filter_map(|lane| self.lanes.get(*lane)).flat_map(|lane| &lane.queues);
        queues.filter_map(|number| Some(self.queue(*number)?.key.operation.clone())).collect()
    }

    /// Whether jobs wait only because a cluster is full: of those that it accepts, none fits.
    #[must_use]
    pub fn turns_away(&self, entry: &ClusterEntry) -> bool {
        let lanes = entry.lanes.iter().filter_map(|(lane, at)| Some((self.lanes.get(*lane)?, *at)));
        let waiting = lanes.filter(|(lane, _)| lane.first.is_some()).map(|(lane, at)| lane.standings[at]);
        let is_full = |it: WaitReason| matches!(it, WaitReason::ClusterLimitReached | WaitReason::ClusterOccupied);
        waiting.clone().any(is_full) && !waiting.into_iter().any(|it| it == WaitReason::PendingEvaluation)
    }

    /// Whether `SparkApplication`s can be created at all.
    #[must_use]
    pub fn operator_available(&self) -> bool {
        self.operator_available
    }

    /// Whether the ledger can take no more runs.
    #[must_use]
    pub fn is_ledger_full(&self) -> bool {
        self.is_ledger_full_with(0)
    }

    /// Whether it is with so many more.
    pub(super) fn is_ledger_full_with(&self, more: u32) -> bool {
        self.live_runs + more as usize >= self.max_live_runs
    }

    /// Whether nothing can be created in a namespace any more.
    #[must_use]
    pub fn is_terminating(&self, namespace: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|namespace| namespace.terminating)
    }

    /// Whether a cluster admits a namespace.
    #[must_use]
    pub fn admits(&self, cluster: &Cluster, namespace: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|namespace| cluster.admits(&namespace.labels))
    }

    /// Every namespace that was seen.
    #[must_use]
    pub fn namespace_names(&self) -> Vec<Name> {
        self.namespaces.keys().cloned().collect()
    }

    // ---- what is declared -------------------------------------------------------------------------------------

    /// An operation is there or was edited. Its queues are looked at anew.
    pub fn set_operation(&mut self, operation: Box<Operation>) {
        let number = self.number_of_operation(&operation.key);
        if let Some(entry) = self.operations.get_mut(number) {
            entry.declared = Some(operation);
            self.revise_operation(number);
        }
    }

    /// Runs of an operation that is known are expected to take so long from now on. Those that are granted keep what was thought then.
    pub fn set_expected(&mut self, key: &ObjectKey, expected: Option<Span>) {
        if let Some(number) = self.operation_numbers.get(key).copied()
            && let Some(entry) = self.operations.get_mut(number)
            && entry.expected != expected
        {
            entry.expected = expected;
            self.revise_operation(number);
        }
    }

    /// So long are runs expected to take of operations of which nothing else is known, from now on.
    pub fn set_expected_of_unknown(&mut self, expected: Option<Span>) {
        if self.expected_of_unknown == expected {
            return;
        }
        self.expected_of_unknown = expected;
        let is_unknown = |queue: &Queue| self.operation_of(queue).is_some_and(|it| it.expected.is_none());
        let unknown = self.queues.iter().filter(|(_, queue)| is_unknown(queue)).map(|(number, _)| number);
        unknown.collect::<Vec<QueueNumber>>().into_iter().for_each(|number| self.revise(number));
    }

    /// How long a run of an operation is expected to take.
    pub(super) fn expected(&self, operation: OperationNumber) -> Option<Span> {
        self.operations.get(operation).and_then(|entry| entry.expected).or(self.expected_of_unknown)
    }

    /// An operation is gone; its jobs wait for it.
    pub fn remove_operation(&mut self, key: &ObjectKey) {
        if let Some(number) = self.operation_numbers.get(key).copied()
            && let Some(entry) = self.operations.get_mut(number)
        {
            entry.declared = None;
            self.revise_operation(number);
            self.forget_idle_operation(number);
        }
    }

    /// A cluster is there or was edited.
    pub fn set_cluster(&mut self, cluster: Box<Cluster>, now: Time) {
        let number = self.number_of(&cluster.name);
        let Some(entry) = self.clusters.get_mut(number) else { return };
        let same = entry.declared.as_ref().is_some_and(|known| known.takes_as(&cluster));
        let (before, max_pending) = (entry.max_pending(), cluster.max_pending);
        entry.declare(Some(cluster));
        if self.pace.set_bound(number, before, max_pending) {
            self.unsettle_at(number);
        }
        if !same {
            self.revise_all();
        }
        self.count_strangers(number);
        self.look_at_clock(number, now);
        self.renew(number);
    }

    /// A cluster is gone; runs on it go on.
    pub fn remove_cluster(&mut self, name: &Name) {
        let Some(number) = self.by_name.get(name).copied() else { return };
        if let Some(entry) = self.clusters.get_mut(number) {
            let before = entry.max_pending();
            entry.declare(None);
            self.pace.set_bound(number, before, None);
            self.revise_all();
            self.count_strangers(number);
            self.look_at_clock(number, Time::default());
            self.renew(number);
            self.forget_idle_cluster(number);
        }
    }

    /// A namespace is there or was edited.
    pub fn set_namespace(&mut self, name: &Name, labels: Labels, terminating: bool) {
        let seen = Namespace { labels, terminating };
        let changed = self.namespaces.get(name) != Some(&seen);
        self.namespaces.insert(name.clone(), seen);
        if changed {
            self.revise_namespace(name);
            self.count_strangers_in(name);
        }
    }

    /// A namespace is gone.
    pub fn remove_namespace(&mut self, name: &Name) {
        self.namespaces.remove(name);
        self.revise_namespace(name);
        self.count_strangers_in(name);
    }

    /// Applications that no job declared take this much in a namespace.
    pub fn set_strangers(&mut self, namespace: &Name, takes: Resources) {
        let before = if takes == Resources::default() {
            self.strangers.remove(namespace)
        } else {
            self.strangers.insert(namespace.clone(), takes)
        };
        let before = before.unwrap_or_default();
        if before == takes {
            return;
        }
        let clusters = self.clusters.iter().filter_map(|(number, entry)| Some((number, entry.declared.as_ref()?)));
        let admitting = clusters.filter(|(_, declared)| self.admits(declared, namespace)).map(|(number, _)| number);
        for number in admitting.collect::<Vec<ClusterNumber>>() {
            if let Some(entry) = self.clusters.get_mut(number) {
                entry.strangers = entry.strangers.plus(takes).minus(before);
            }
            self.renew(number);
        }
    }

    /// Whether the API server knows `SparkApplication`s.
    pub fn set_operator_available(&mut self, available: bool) {
        if self.operator_available != available {
            self.operator_available = available;
            self.renew_all();
        }
    }

    // ---- the clock --------------------------------------------------------------------------------------------

    /// It is this late: to be told before anything that happens then.
    pub fn pass_time(&mut self, now: Time) {
        self.pace.pass_time(now);
    }

    /// When a run will have stood in line before the spark-operator for so long that another may start instead.
    #[must_use]
    pub fn next_impatience(&self) -> Option<Time> {
        self.pace.next_impatience()
    }

    /// When a window opens or closes next.
    #[must_use]
    pub fn next_edge(&self) -> Option<Time> {
        self.edges.first().map(|(time, _)| *time)
    }

    /// Windows have opened or closed.
    pub fn pass_edges(&mut self, now: Time) {
        while let Some((_, number)) = self.edges.first().copied().filter(|(time, _)| *time <= now) {
            if self.look_at_clock(number, now) {
                self.renew(number);
            }
        }
    }

    fn look_at_clock(&mut self, number: ClusterNumber, now: Time) -> bool {
        let Some(entry) = self.clusters.get_mut(number) else { return false };
        let before = entry.next_edge();
        let changed = entry.look_at_clock(now);
        let next = entry.next_edge();
        if let Some(edge) = before {
            self.edges.remove(&(edge, number));
        }
        self.edges.extend(next.map(|edge| (edge, number)));
        changed
    }

    // ---- who waits and who holds ------------------------------------------------------------------------------

    /// A job waits. Creates its queue where there is none.
    pub fn enqueue(&mut self, key: QueueKey, rank: Rank) -> QueueNumber {
        let number = self.numbers.get(&key).copied().unwrap_or_else(|| self.open_queue(key));
        if let Some(queue) = self.queues.get_mut(number)
            && queue.insert(rank)
        {
            if let Some(lane) = self.lanes.get_mut(queue.lane) {
                lane.queued += 1;
            }
            self.enter(number);
        }
        number
    }

    /// A job does not wait any more. An empty queue goes.
    pub fn dequeue(&mut self, number: QueueNumber, rank: &Rank) {
        if let Some(queue) = self.queues.get_mut(number)
            && queue.remove(rank)
        {
            if let Some(lane) = self.lanes.get_mut(queue.lane) {
                lane.queued = lane.queued.saturating_sub(1);
            }
            self.enter(number);
            self.close_empty_queue(number);
        }
    }

    /// A run holds its slots from now on.
    pub fn take(&mut self, run: &RunId, holder: &Holder) {
        let key = holder.operation_key();
        let operation = self.number_of_operation(&key);
        let Some(entry) = self.operations.get_mut(operation) else { return };
        if entry.holders.insert(run.clone(), holder.job.name.clone()).is_some() {
            return;
        }
        if entry.holders.len() == 1 {
            self.holding.insert(key, operation);
        }
        self.live_runs += 1;
        let number = self.number_of(&holder.cluster);
        if let Some(cluster) = self.clusters.get_mut(number) {
            cluster.take(run.clone(), holder);
        }
        for (name, permits) in holder.locks.iter() {
            let holder = LockHolder { job: holder.job.clone(), cluster: number, permits: *permits };
            self.change_lock(name, |lock| lock.take(run.clone(), holder));
        }
        self.usage_changed(number);
        if self.is_ledger_full() {
            self.touch_all();
        }
        self.enter_operation(operation);
    }

    /// A run that has just started is granted more executors than at first.
    pub fn enlarge(&mut self, run: &RunId, before: &Holder, after: &Holder) {
        let number = self.number_of(&after.cluster);
        if let Some(entry) = self.clusters.get_mut(number).filter(|entry| entry.holders.contains_key(run)) {
            entry.give_back(run, before);
            entry.take(run.clone(), after);
            self.usage_changed(number);
        }
    }

    /// A run's live pods take this much: where that is more than was granted, it counts.
    pub fn set_really_there(&mut self, run: &RunId, holder: &Holder, there: Resources) {
        let Some(number) = self.by_name.get(&holder.cluster).copied() else { return };
        let surplus = there.minus(holder.resources());
        if self.clusters.get_mut(number).is_some_and(|entry| entry.set_surplus(run, surplus)) {
            self.usage_changed(number);
        }
    }

    /// A run gives its slots back.
    pub fn give_back(&mut self, run: &RunId, holder: &Holder) {
        let Some(operation) = self.operation_numbers.get(&holder.operation_key()).copied() else { return };
        let Some(entry) = self.operations.get_mut(operation) else { return };
        if entry.holders.remove(run).is_none() {
            return;
        }
        if entry.holders.is_empty() {
            self.holding.remove(&entry.key);
        }
        self.leave_line(run);
        let was_full = self.is_ledger_full();
        self.live_runs = self.live_runs.saturating_sub(1);
        let number = self.number_of(&holder.cluster);
        if let Some(cluster) = self.clusters.get_mut(number) {
            cluster.give_back(run, holder);
        }
        for (name, _) in holder.locks.iter() {
            self.change_lock(name, |lock| lock.give_back(run));
        }
        self.usage_changed(number);
        self.forget_idle_cluster(number);
        if was_full {
            self.touch_all();
        }
        self.enter_operation(operation);
        self.forget_idle_operation(operation);
    }

    /// A run that holds its slots stands in line before the spark-operator, from now on.
    pub fn join_line(&mut self, run: &RunId) {
        self.pace.join(run);
    }

    /// The spark-operator was seen to take up the application of a run.
    pub fn take_up(&mut self, run: &RunId) {
        self.pace.take_up(run);
    }

    /// A run stands in line no more, whoever took it out.
    pub fn leave_line(&mut self, run: &RunId) {
        self.pace.leave(run);
    }

    /// How many runs may stand in line before the spark-operator, as it is observed to take them up.
    #[must_use]
    pub fn longest_line(&self) -> usize {
        self.pace.window()
    }

    /// Queues whose reason is another one than before, and which one it was.
    pub fn settle(&mut self, now: Time) -> Vec<(QueueNumber, WaitReason)> {
        if self.is_quiet(now) {
            return Vec::new();
        }
        self.settle_claims();
        self.look_at_touched();
        self.look_at_pace();
        self.settle_lanes();
        let unsettled = std::mem::take(&mut self.unsettled);
        let mut changed = Vec::new();
        for number in unsettled {
            let Some(reason) = self.queue(number).map(|queue| self.reason_of(queue)) else { continue };
            if let Some(queue) = self.queues.get_mut(number)
                && queue.reason != reason
            {
                let before = std::mem::replace(&mut queue.reason, reason);
                changed.push((number, before));
            }
        }
        changed
    }

    /// A start that takes what an end has left changes what stands between lanes and a cluster twice, and no reason: that costs
    /// lanes, not queues.
    fn settle_lanes(&mut self) {
        while let Some(number) = self.unsettled_lanes.pop_first() {
            let Some(nearest) = self.lanes.get(number).map(|lane| self.nearest(lane)) else { continue };
            if let Some(lane) = self.lanes.get_mut(number)
                && lane.nearest != nearest
            {
                lane.nearest = nearest;
                self.unsettled.extend(&lane.queues);
            }
        }
    }

    /// Jobs that wait for the same reason, but with another reservation than before.
    pub fn take_retold(&mut self) -> BTreeSet<JobNumber> {
        std::mem::take(&mut self.retold)
    }

    /// Clusters of which something else may be taken than when this was asked last, or that were edited.
    pub fn take_reloaded(&mut self) -> Vec<Name> {
        let numbers = std::mem::take(&mut self.reloaded);
        numbers.into_iter().filter_map(|number| Some(self.clusters.get(number)?.name.clone())).collect()
    }

    /// Whether reasons are those of what is known: nothing has happened since [`settle`](Self::settle).
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.touched.is_empty()
            && self.unsettled_lanes.is_empty()
            && self.unsettled.is_empty()
            && self.doubtful.is_empty()
            && self.seeking.is_empty()
            && !self.pace.has_turned()
    }

    /// Whether nothing can start and nobody's reason can be another one: nothing has happened since both were settled, and no time
    /// has come. Most events are of that kind.
    pub fn is_quiet(&mut self, now: Time) -> bool {
        self.now = now;
        let has_come = |time: Option<Time>| time.is_some_and(|time| time <= now);
        self.is_settled()
            && self.order.is_empty()
            && !has_come(self.due.first().map(|(time, _)| *time))
            && !has_come(self.reservations.first().map(|(time, _)| *time))
    }

    // ---- inside: clusters and operations ----------------------------------------------------------------------

    fn count_strangers_in(&mut self, namespace: &Name) {
        if self.strangers.contains_key(namespace) {
            let all: Vec<ClusterNumber> = self.by_name.values().copied().collect();
            all.into_iter().for_each(|number| self.count_strangers(number));
        }
    }

    /// Strangers count in every cluster that admits their namespace. Where they take another amount, more or fewer may
    /// contend than before.
    fn count_strangers(&mut self, number: ClusterNumber) {
        let Some(entry) = self.clusters.get(number) else { return };
        let admits = |name: &Name| entry.declared.as_ref().is_some_and(|declared| self.admits(declared, name));
        let counted = self.strangers.iter().filter(|(name, _)| admits(name)).map(|(_, takes)| *takes);
        let strangers = counted.fold(Resources::default(), Resources::plus);
        if entry.strangers != strangers {
            if let Some(entry) = self.clusters.get_mut(number) {
                entry.strangers = strangers;
            }
            self.renew(number);
        }
    }

    fn number_of_operation(&mut self, key: &ObjectKey) -> OperationNumber {
        if let Some(number) = self.operation_numbers.get(key) {
            return *number;
        }
        let number = self.operations.add(OperationEntry::named(key.clone()));
        self.operation_numbers.insert(key.clone(), number);
        number
    }

    pub(super) fn number_of(&mut self, name: &Name) -> ClusterNumber {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = self.clusters.add(ClusterEntry::named(name.clone()));
        self.by_name.insert(name.clone(), number);
        number
    }

    /// Everything about a cluster is looked at anew.
    fn renew(&mut self, number: ClusterNumber) {
        if let Some(entry) = self.clusters.get_mut(number) {
            entry.least_need = None;
            self.touched.insert(number);
            self.reloaded.insert(number);
            self.seeking.insert(number);
            self.doubtful.insert(number);
        }
    }

    /// What runs take of a cluster is another amount. Where namespaces have shares, more than room hangs on that.
    fn usage_changed(&mut self, number: ClusterNumber) {
        if let Some(entry) = self.clusters.get_mut(number) {
            if entry.declared.as_ref().is_some_and(|declared| declared.share.is_bounded()) {
                entry.least_need = None;
            }
            if entry.declared.as_ref().is_some_and(|declared| declared.pool.is_some()) {
                self.reloaded.insert(number);
            }
            self.touched.insert(number);
        }
    }

    /// What is free of a lock, or kept, comes to be another amount: wherever a lane needs it, that is looked at anew, unless there
    /// was and is enough for everybody.
    pub(super) fn change_lock(&mut self, name: &Name, change: impl FnOnce(&mut Lock)) {
        let lock = self.locks.entry(name.clone()).or_default();
        let was_plentiful = lock.is_plentiful();
        change(lock);
        let is_plentiful = lock.is_plentiful();
        let lanes = lock.lanes.keys().filter_map(|lane| self.lanes.get(*lane));
        for candidate in lanes.flat_map(|lane| &lane.key.candidates) {
            if let Some(entry) = self.clusters.get_mut(candidate.cluster)
                && !(was_plentiful && is_plentiful && !entry.declares_lock(name))
            {
                entry.least_need = None;
                self.touched.insert(candidate.cluster);
            }
        }
        self.forget_idle_lock(name);
    }

    pub(super) fn forget_idle_lock(&mut self, name: &Name) {
        if self.locks.get(name).is_some_and(Lock::is_idle) {
            self.locks.remove(name);
        }
    }

    /// Where the pace lets jobs start that it stopped before, or the other way round, they have another reason.
    fn look_at_pace(&mut self) {
        let (everywhere, clusters) = self.pace.turned();
        let turned = if everywhere { self.by_name.values().copied().collect() } else { clusters };
        turned.into_iter().for_each(|number| self.unsettle_at(number));
    }

    /// Who lacks nothing at a cluster but perhaps the pace may have another reason.
    fn unsettle_at(&mut self, number: ClusterNumber) {
        let lanes = self.clusters.get(number).into_iter().flat_map(|entry| entry.lanes.keys());
        self.unsettled_lanes.extend(lanes);
    }

    fn renew_all(&mut self) {
        let all: Vec<ClusterNumber> = self.by_name.values().copied().collect();
        all.into_iter().for_each(|number| self.renew(number));
    }

    fn touch_all(&mut self) {
        self.touched.extend(self.by_name.values());
    }

    fn forget_idle_cluster(&mut self, number: ClusterNumber) {
        let Some(entry) = self.clusters.get(number) else { return };
        if entry.declared.is_none() && entry.holders.is_empty() {
            self.by_name.remove(&entry.name);
            self.reservation_changed(number, None);
            self.set_best(number, None);
            self.give_up(number);
            self.touched.remove(&number);
            self.seeking.remove(&number);
            self.doubtful.remove(&number);
            self.clusters.remove(number);
        }
    }

    fn forget_idle_operation(&mut self, number: OperationNumber) {
        if self.operations.get(number).is_some_and(OperationEntry::is_idle)
            && let Some(entry) = self.operations.remove(number)
        {
            self.operation_numbers.remove(&entry.key);
        }
    }

    // ---- inside: queues and lanes -----------------------------------------------------------------------------

    fn open_queue(&mut self, key: QueueKey) -> QueueNumber {
        let operation = self.number_of_operation(&key.operation);
        let lane = self.lane_for(self.lane_key(&key, operation));
        let number = self.queues.add(Queue::new(key.clone(), operation, lane));
        self.join(number, lane);
        if let Some(entry) = self.operations.get_mut(operation) {
            entry.queues.insert(number);
        }
        self.numbers.insert(key, number);
        number
    }

    fn close_empty_queue(&mut self, number: QueueNumber) {
        if self.queue(number).is_none_or(|queue| !queue.is_empty()) {
            return;
        }
        if let Some(lane) = self.queue(number).map(|queue| queue.lane) {
            self.leave(number, lane);
        }
        if let Some(queue) = self.queues.remove(number) {
            self.numbers.remove(&queue.key);
            self.unsettled.remove(&number);
            if let Some(entry) = self.operations.get_mut(queue.operation) {
                entry.queues.remove(&number);
            }
            self.forget_idle_operation(queue.operation);
        }
    }

    fn revise_all(&mut self) {
        let all = self.queue_numbers();
        all.into_iter().for_each(|number| self.revise(number));
    }

    fn enter_all(&mut self) {
        let all = self.queue_numbers();
        all.into_iter().for_each(|number| self.enter(number));
    }

    fn revise_operation(&mut self, number: OperationNumber) {
        self.queues_of(number).into_iter().for_each(|queue| self.revise(queue));
    }

    fn revise_namespace(&mut self, name: &Name) {
        let in_namespace = self.queues.iter().filter(|(_, queue)| queue.key.operation.namespace == *name);
        let queues: Vec<QueueNumber> = in_namespace.map(|(number, _)| number).collect();
        queues.into_iter().for_each(|number| self.revise(number));
    }

    pub(super) fn enter_operation(&mut self, number: OperationNumber) {
        self.queues_of(number).into_iter().for_each(|queue| self.enter(queue));
    }

    pub(super) fn queues_of(&self, number: OperationNumber) -> Vec<QueueNumber> {
        self.operations.get(number).into_iter().flat_map(|entry| &entry.queues).copied().collect()
    }

    /// Where a queue can go may have changed: it may belong into another lane.
    fn revise(&mut self, number: QueueNumber) {
        let Some(queue) = self.queue(number) else { return };
        let (old, key) = (queue.lane, self.lane_key(&queue.key, queue.operation));
        if self.lanes.get(old).is_none_or(|lane| lane.key != key) {
            let lane = self.lane_for(key);
            self.leave(number, old);
            if let Some(queue) = self.queues.get_mut(number) {
                queue.lane = lane;
            }
            self.join(number, lane);
        }
        self.enter(number);
    }

    fn lane_key(&self, key: &QueueKey, number: OperationNumber) -> LaneKey {
        let declared = self.operations.get(number).and_then(|entry| entry.declared.as_ref());
        let namespace = self.namespaces.get(&key.operation.namespace).filter(|found| !found.terminating);
        let (Some(operation), Some(namespace)) = (declared, namespace) else { return LaneKey::default() };
        let (mut shares, mut reserves) = (false, false);
        let candidates = self.admitting(key, &namespace.labels).filter_map(|(number, cluster)| {
            let bounds = cluster.bounds(&key.executors)?;
            shares |= cluster.share.is_bounded();
            reserves |= cluster.strategy != Strategy::StrictFifo;
            let whole = cluster.outline(&key.executors, operation.outline);
            let footprint = whole.footprint();
            let need = footprint.with(bounds.least());
            let fit = match whole.problem() {
                Some(problem) => Fit::Unbuildable(problem),
                None => self.fit(need, operation, cluster),
            };
            let holds = |when: &str| key.answers.say_yes_to(when);
            let entries = entries_for(&cluster.accept, &key.operation, key.class, holds);
            Some(Candidate { cluster: number, footprint, need, fit, entries })
        });
        let candidates = candidates.collect();
        let namespace = shares.then(|| key.operation.namespace.clone());
        let expected = self.expected(number).filter(|_| reserves);
        LaneKey { candidates, locks: operation.locks.clone(), expected, namespace }
    }

    /// Clusters that the jobs of a queue may use, by name, if they declare the size that these want.
    fn admitting<'a>(
        &'a self,
        key: &'a QueueKey,
        namespace: &'a Labels,
    ) -> impl Iterator<Item = (ClusterNumber, &'a Cluster)> {
        let clusters = self.by_name.iter().filter_map(|(name, number)| {
            let cluster = self.clusters.get(*number)?.declared.as_deref()?;
            Some((name, *number, cluster))
        });
        clusters
            .filter(|(name, _, cluster)| {
                key.cluster.as_ref().is_none_or(|choice| choice.includes(name, &cluster.labels))
            })
            .filter(|(_, _, cluster)| cluster.defect.is_none() && cluster.admits(namespace))
            .map(|(_, number, cluster)| (number, cluster))
    }

    /// Clusters that the jobs of a queue may use and that do not declare the size that these want, by name.
    pub(super) fn without_size<'a>(&'a self, key: &'a QueueKey) -> Vec<&'a Cluster> {
        let namespace = self.namespaces.get(&key.operation.namespace);
        let admitting = namespace.into_iter().flat_map(|found| self.admitting(key, &found.labels));
        admitting.map(|(_, cluster)| cluster).filter(|cluster| cluster.bounds(&key.executors).is_none()).collect()
    }

    /// How many permits of a lock a run on a cluster could have if nothing else ran; `None` where nobody declares it.
    pub(super) fn permits(&self, lock: &Name, cluster: &Cluster) -> Option<u32> {
        let everywhere = self.locks.get(lock).and_then(|lock| lock.permits);
        everywhere.into_iter().chain(cluster.locks.get(lock).copied()).min()
    }

    /// Whether a cluster could take this much of an operation if nothing else ran.
    fn fit(&self, need: Resources, operation: &Operation, cluster: &Cluster) -> Fit {
        let permits = |name: &Name| self.permits(name, cluster);
        let find = |wrong: &dyn Fn(&(Name, u32)) -> bool| operation.locks.iter().position(wrong);
        if let Some(unknown) = find(&|(name, _)| permits(name).is_none()) {
            Fit::UnknownLock(unknown)
        } else if !need.fits(cluster.capacity) {
            Fit::TooLarge
        } else if !cluster.share.holds(need.executors) {
            Fit::ExceedsShare
        } else if let Some(short) = find(&|(name, needed)| permits(name).is_some_and(|permits| permits < *needed)) {
            Fit::ExceedsLock(short)
        } else {
            Fit::Fits
        }
    }

    fn lane_for(&mut self, key: LaneKey) -> LaneNumber {
        if let Some(number) = self.lane_numbers.get(&key) {
            return *number;
        }
        let standings = key.candidates.iter().map(|candidate| self.standing(&key, candidate)).collect();
        let number = self.lanes.add(Lane::new(key.clone(), standings));
        self.unsettled_lanes.insert(number);
        let fitting = key.candidates.iter().enumerate().filter(|(_, candidate)| candidate.fit == Fit::Fits);
        for (at, candidate) in fitting {
            // Nothing changes for others: its heads say themselves where they may matter.
            if let Some(entry) = self.clusters.get_mut(candidate.cluster) {
                entry.lanes.insert(number, at);
                let (need, room) = (candidate.need, entry.room());
                entry.least_need = entry.least_need.filter(|_| !need.fits(room)).map(|least| least.at_most(need));
            }
        }
        for (name, needed) in key.locks.iter() {
            self.locks.entry(name.clone()).or_default().lanes.insert(number, *needed);
        }
        self.lane_numbers.insert(key, number);
        number
    }

    fn join(&mut self, number: QueueNumber, lane: LaneNumber) {
        let jobs = self.queue(number).map_or(0, Queue::len);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.queues.insert(number);
            lane.queued += jobs;
        }
    }

    /// A queue leaves its lane, its head with it. An empty lane goes.
    fn leave(&mut self, number: QueueNumber, lane: LaneNumber) {
        self.exchange_head(number, None);
        let jobs = self.queue(number).map_or(0, Queue::len);
        let Some(found) = self.lanes.get_mut(lane) else { return };
        found.queues.remove(&number);
        found.queued = found.queued.saturating_sub(jobs);
        if found.queues.is_empty()
            && let Some(gone) = self.lanes.remove(lane)
        {
            self.lane_numbers.remove(&gone.key);
            for candidate in &gone.key.candidates {
                if let Some(entry) = self.clusters.get_mut(candidate.cluster) {
                    entry.lanes.remove(&lane);
                }
            }
            for (name, _) in gone.key.locks.iter() {
                if let Some(lock) = self.locks.get_mut(name) {
                    lock.lanes.remove(&lane);
                }
                self.forget_idle_lock(name);
            }
        }
    }

    /// A queue's head stands in its lane if its operation lets it.
    fn enter(&mut self, number: QueueNumber) {
        let Some(queue) = self.queue(number) else { return };
        let may_wait = |head: &Rank| self.blocked(queue).is_none() && !self.is_kept_from(queue, *head);
        let wanted = queue.head().filter(may_wait);
        self.exchange_head(number, wanted);
        self.unsettled.insert(number);
    }

    fn exchange_head(&mut self, number: QueueNumber, wanted: Option<Rank>) {
        let Some(queue) = self.queues.get_mut(number) else { return };
        let (lane, class) = (queue.lane, queue.key.class);
        let old = std::mem::replace(&mut queue.entered, wanted);
        if old == wanted {
            return;
        }
        if let Some(old) = old {
            self.due.remove(&(self.due_at(class, old), number));
            self.doubtful.extend(self.claims.get(&old));
        }
        if let Some(new) = wanted {
            self.due.insert((self.due_at(class, new), number));
        }
        if let Some(found) = self.lanes.get_mut(lane) {
            found.exchange(class, number, old, wanted);
            self.head_changed(lane, old, wanted);
        }
    }

    /// Whether the operation's slot is kept for another of its jobs, so that none is left for this one.
    fn is_kept_from(&self, queue: &Queue, rank: Rank) -> bool {
        self.operation_of(queue).is_some_and(|entry| entry.is_kept_from(rank))
    }

    /// Clusters that admit jobs that may not wait yet.
    pub(super) fn candidates_for(&self, key: &QueueKey) -> Box<[Candidate]> {
        let queue = self.numbers.get(key).and_then(|number| self.queue(*number));
        let known = queue.map(|queue| self.candidates_of(queue).into());
        let operation = || self.operation_numbers.get(&key.operation).copied();
        known.or_else(|| Some(self.lane_key(key, operation()?).candidates)).unwrap_or_default()
    }

    /// Clusters that admit the jobs of a queue.
    pub(super) fn candidates_of(&self, queue: &Queue) -> &[Candidate] {
        self.lanes.get(queue.lane).map(|lane| &*lane.key.candidates).unwrap_or_default()
    }

    /// What keeps a queue out of its lane, whatever its clusters say.
    fn blocked(&self, queue: &Queue) -> Option<WaitReason> {
        let entry = self.operation_of(queue)?;
        let Some(operation) = &entry.declared else { return Some(WaitReason::UnknownOperation) };
        let candidates = self.candidates_of(queue);
        if operation.defect.is_some() || queue.key.defect.is_some() {
            Some(WaitReason::InvalidParameters)
        } else if candidates.is_empty() {
            Some(WaitReason::NoMatchingCluster)
        } else if candidates.iter().all(|it| matches!(it.fit, Fit::Unbuildable(_) | Fit::UnknownLock(_))) {
            Some(WaitReason::InvalidParameters)
        } else if candidates.iter().all(|candidate| candidate.fit != Fit::Fits) {
            Some(WaitReason::ExceedsClusterMaximum)
        } else if self.held.is_some() {
            Some(WaitReason::Held)
        } else if operation.limit == Some(0) {
            Some(WaitReason::OperationHeld)
        } else if [operation.limit, queue.key.own_limit].into_iter().flatten().any(|limit| entry.alive() >= limit) {
            Some(WaitReason::OperationLimitReached)
        } else {
            None
        }
    }

    /// What holds a queue: what comes first of its own reason and that of the cluster that is nearest to taking it.
    fn reason_of(&self, queue: &Queue) -> WaitReason {
        let kept = || queue.head().is_some_and(|head| self.is_kept_from(queue, head));
        let own = self.blocked(queue).or_else(|| kept().then_some(WaitReason::HigherPriorityFirst));
        if own.is_some_and(|own| own < WaitReason::ClusterHeld) {
            return own.unwrap_or(WaitReason::PendingEvaluation);
        }
        let nearest = self.lanes.get(queue.lane).map_or(WaitReason::PendingEvaluation, |lane| lane.nearest);
        own.map_or(nearest, |own| own.min(nearest))
    }

    /// What stands between a lane and the cluster that is nearest to taking it.
    fn nearest(&self, lane: &Lane) -> WaitReason {
        let places = lane.key.candidates.iter().zip(&lane.standings);
        let fitting = places.filter(|(candidate, _)| candidate.fit == Fit::Fits);
        let standings = fitting.map(|(candidate, standing)| self.paced(candidate.cluster, *standing));
        standings.max().unwrap_or(WaitReason::PendingEvaluation)
    }
}
