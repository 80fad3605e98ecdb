//! Limits, room and the pick of the next job. Counts what is granted (acknowledged or on its way), never what is
//! merely observed: a slot is free when the ledger says so.
//!
//! Blocked work costs nothing until what blocks it changes: a queue whose operation is at its limit is entered in no
//! cluster; in a cluster, queues stand grouped by what their smallest run needs, so that a pick looks at one head of
//! each distinct need, not at each queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::entry::{Candidate, ClusterEntry, Fit, OperationEntry};
use super::queue::{JobNumber, Queue, QueueKey, QueueNumber, Rank};
use crate::model::{
    Cluster, ExecutorBounds, Footprint, Holder, Name, ObjectKey, Operation, Resources, RunId, Settings, Span, Time,
    WaitReason,
};

/// Labels of a namespace.
pub(super) type Labels = BTreeMap<Box<str>, Box<str>>;

/// A job that may start now, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The job.
    pub job: JobNumber,
    /// Where.
    pub cluster: Name,
    /// Its pods.
    pub footprint: Footprint,
    /// Executors to start with and to reach.
    pub executors: ExecutorBounds,
}

#[derive(Debug, PartialEq)]
struct Namespace {
    labels: Labels,
    terminating: bool,
}

/// Everything that admission knows.
#[derive(Debug)]
pub struct Gate {
    operations: BTreeMap<ObjectKey, OperationEntry>,
    clusters: BTreeMap<Name, ClusterEntry>,
    namespaces: BTreeMap<Name, Namespace>,
    queues: Vec<Option<Queue>>,
    free: Vec<QueueNumber>,
    numbers: HashMap<QueueKey, QueueNumber>,
    touched: BTreeSet<Name>,
    unsettled: BTreeSet<QueueNumber>,
    operator_available: bool,
    live_runs: usize,
    max_live_runs: usize,
    bound: Span,
}

impl Gate {
    /// An empty gate.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            operations: BTreeMap::new(),
            clusters: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            queues: Vec::new(),
            free: Vec::new(),
            numbers: HashMap::new(),
            touched: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            operator_available: true,
            live_runs: 0,
            max_live_runs: settings.max_live_runs,
            bound: settings.waiting_bound,
        }
    }

    /// The settings changed: everybody who waits is looked at anew.
    pub fn set_settings(&mut self, settings: &Settings) {
        self.max_live_runs = settings.max_live_runs;
        self.bound = settings.waiting_bound;
        self.touched.extend(self.clusters.keys().cloned());
    }

    /// An operation, if it is declared, has live runs or is named by a waiting job.
    #[must_use]
    pub fn operation(&self, key: &ObjectKey) -> Option<&OperationEntry> {
        self.operations.get(key)
    }

    /// A cluster, if it is declared or has live runs.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&ClusterEntry> {
        self.clusters.get(name)
    }

    /// Every cluster.
    pub fn clusters(&self) -> impl Iterator<Item = (&Name, &ClusterEntry)> {
        self.clusters.iter()
    }

    /// Every operation.
    pub fn operations(&self) -> impl Iterator<Item = (&ObjectKey, &OperationEntry)> {
        self.operations.iter()
    }

    /// A queue by its number.
    #[must_use]
    pub fn queue(&self, number: QueueNumber) -> Option<&Queue> {
        self.queues.get(number as usize).and_then(Option::as_ref)
    }

    /// Every queue.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().flatten()
    }

    /// Whether `SparkApplication`s can be created at all.
    #[must_use]
    pub fn operator_available(&self) -> bool {
        self.operator_available
    }

    /// Whether the ledger can take no more runs.
    #[must_use]
    pub fn is_ledger_full(&self) -> bool {
        self.live_runs >= self.max_live_runs
    }

    /// Whether nothing can be created in a namespace any more.
    #[must_use]
    pub fn is_terminating(&self, namespace: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|namespace| namespace.terminating)
    }

    /// Every namespace that was seen.
    #[must_use]
    pub fn namespace_names(&self) -> Vec<Name> {
        self.namespaces.keys().cloned().collect()
    }

    // ---- what is declared -------------------------------------------------------------------------------------

    /// An operation is there or was edited. Its queues are looked at anew.
    pub fn set_operation(&mut self, operation: Box<Operation>) {
        let entry = self.operations.entry(operation.key.clone()).or_default();
        let key = operation.key.clone();
        entry.declared = Some(operation);
        self.revise_operation(&key);
    }

    /// An operation is gone; its jobs wait for it.
    pub fn remove_operation(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.operations.get_mut(key) {
            entry.declared = None;
            self.revise_operation(key);
            self.forget_idle_operation(key);
        }
    }

    /// A cluster is there or was edited.
    pub fn set_cluster(&mut self, cluster: Box<Cluster>) {
        let name = cluster.name.clone();
        self.clusters.entry(name.clone()).or_default().declared = Some(cluster);
        self.revise_all();
        self.touched.insert(name);
    }

    /// A cluster is gone; runs on it go on.
    pub fn remove_cluster(&mut self, name: &Name) {
        if let Some(entry) = self.clusters.get_mut(name) {
            entry.declared = None;
            self.revise_all();
            if self.clusters.get(name).is_some_and(|entry| entry.holders.is_empty()) {
                self.clusters.remove(name);
            }
        }
    }

    /// A namespace is there or was edited.
    pub fn set_namespace(&mut self, name: &Name, labels: Labels, terminating: bool) {
        let seen = Namespace { labels, terminating };
        let changed = self.namespaces.get(name) != Some(&seen);
        self.namespaces.insert(name.clone(), seen);
        if changed {
            self.revise_namespace(name);
        }
    }

    /// A namespace is gone.
    pub fn remove_namespace(&mut self, name: &Name) {
        self.namespaces.remove(name);
        self.revise_namespace(name);
    }

    /// Whether the API server knows `SparkApplication`s.
    pub fn set_operator_available(&mut self, available: bool) {
        if self.operator_available != available {
            self.operator_available = available;
            self.revise_all();
        }
    }

    // ---- who waits and who holds ------------------------------------------------------------------------------

    /// A job waits. Creates its queue where there is none.
    pub fn enqueue(&mut self, key: QueueKey, rank: Rank) -> QueueNumber {
        let number = self.numbers.get(&key).copied().unwrap_or_else(|| self.open_queue(key));
        if let Some(queue) = self.queue_mut(number)
            && queue.insert(rank)
        {
            self.count_queued(number, 1);
            self.enter(number);
        }
        number
    }

    /// A job does not wait any more. An empty queue goes.
    pub fn dequeue(&mut self, number: QueueNumber, rank: &Rank) {
        if let Some(queue) = self.queue_mut(number)
            && queue.remove(rank)
        {
            self.count_queued(number, -1);
            self.enter(number);
            self.close_empty_queue(number);
        }
    }

    /// A run holds its slots from now on.
    pub fn take(&mut self, run: &RunId, holder: &Holder) {
        let operation = ObjectKey { namespace: holder.job.namespace.clone(), name: holder.operation.clone() };
        let entry = self.operations.entry(operation.clone()).or_default();
        if entry.holders.insert(run.clone(), holder.job.name.clone()).is_some() {
            return;
        }
        self.live_runs += 1;
        let cluster = self.clusters.entry(holder.cluster.clone()).or_default();
        cluster.holders.insert(run.clone(), holder.job.clone());
        cluster.used = cluster.used.plus(holder.resources());
        self.enter_operation(&operation);
    }

    /// A run gives its slots back.
    pub fn give_back(&mut self, run: &RunId, holder: &Holder) {
        let operation = ObjectKey { namespace: holder.job.namespace.clone(), name: holder.operation.clone() };
        let Some(entry) = self.operations.get_mut(&operation) else { return };
        if entry.holders.remove(run).is_none() {
            return;
        }
        let was_full = self.is_ledger_full();
        self.live_runs = self.live_runs.saturating_sub(1);
        if let Some(cluster) = self.clusters.get_mut(&holder.cluster) {
            cluster.holders.remove(run);
            cluster.used = cluster.used.minus(holder.resources());
            if cluster.declared.is_none() && cluster.holders.is_empty() {
                self.clusters.remove(&holder.cluster);
            } else {
                self.touched.insert(holder.cluster.clone());
            }
        }
        if was_full {
            self.touched.extend(self.clusters.keys().cloned());
        }
        self.enter_operation(&operation);
        self.forget_idle_operation(&operation);
    }

    /// The next job that may start, best-ranked first within a cluster. The caller takes it off its queue and lets it
    /// [`take`](Self::take) its slots before asking again.
    pub fn next_start(&mut self, now: Time) -> Option<Grant> {
        while let Some(name) = self.touched.first().cloned() {
            if let Some(grant) = self.start_on(&name, now) {
                return Some(grant);
            }
            self.touched.remove(&name);
        }
        None
    }

    fn start_on(&mut self, name: &Name, now: Time) -> Option<Grant> {
        let full = self.is_ledger_full();
        let entry = self.clusters.get_mut(name)?;
        let (pick, mut vacancy) = entry.pick(now, self.bound);
        vacancy.at_job_limit |= full;
        if let Some((rank, queue, _)) = pick.filter(|_| !full) {
            let room = entry.room();
            return self.size(name, room, &rank, queue);
        }
        if entry.vacancy != vacancy {
            entry.vacancy = vacancy;
            let waiting = entry.heads.values().flatten().map(|(_, queue)| *queue);
            self.unsettled.extend(waiting);
        }
        None
    }

    fn size(&self, cluster: &Name, room: Resources, rank: &Rank, queue: QueueNumber) -> Option<Grant> {
        let queue = self.queue(queue)?;
        let footprint = queue.candidates.iter().find(|candidate| candidate.cluster == *cluster)?.footprint;
        let max = footprint.largest_within(queue.key.bounds, room)?;
        let executors = ExecutorBounds { min: queue.key.bounds.min, max };
        Some(Grant { job: rank.job, cluster: cluster.clone(), footprint, executors })
    }

    /// Queues whose reason is another one than before, and which one it was.
    pub fn settle(&mut self) -> Vec<(QueueNumber, WaitReason)> {
        let unsettled = std::mem::take(&mut self.unsettled);
        let mut changed = Vec::new();
        for number in unsettled {
            let Some(reason) = self.queue(number).map(|queue| self.reason_of(queue)) else { continue };
            if let Some(queue) = self.queue_mut(number)
                && queue.reason != reason
            {
                let before = std::mem::replace(&mut queue.reason, reason);
                changed.push((number, before));
            }
        }
        changed
    }

    // ---- inside -----------------------------------------------------------------------------------------------

    fn queue_mut(&mut self, number: QueueNumber) -> Option<&mut Queue> {
        self.queues.get_mut(number as usize).and_then(Option::as_mut)
    }

    fn open_queue(&mut self, key: QueueKey) -> QueueNumber {
        let number = self.free.pop().unwrap_or_else(|| {
            self.queues.push(None);
            QueueNumber::try_from(self.queues.len() - 1)
                .expect("fewer queues than jobs, and jobs are numbered in 32 bits")
        });
        self.operations.entry(key.operation.clone()).or_default().queues.insert(number);
        self.numbers.insert(key.clone(), number);
        self.queues[number as usize] = Some(Queue::new(key));
        self.revise(number);
        number
    }

    fn close_empty_queue(&mut self, number: QueueNumber) {
        if self.queue(number).is_none_or(|queue| !queue.is_empty()) {
            return;
        }
        if let Some(queue) = self.queues[number as usize].take() {
            self.numbers.remove(&queue.key);
            self.free.push(number);
            self.unsettled.remove(&number);
            if let Some(entry) = self.operations.get_mut(&queue.key.operation) {
                entry.queues.remove(&number);
            }
            self.forget_idle_operation(&queue.key.operation);
        }
    }

    fn forget_idle_operation(&mut self, key: &ObjectKey) {
        if self.operations.get(key).is_some_and(OperationEntry::is_idle) {
            self.operations.remove(key);
        }
    }

    fn revise_all(&mut self) {
        for number in 0..self.queues.len() {
            self.revise(QueueNumber::try_from(number).expect("numbered in 32 bits"));
        }
    }

    fn revise_namespace(&mut self, name: &Name) {
        let first = ObjectKey { namespace: name.clone(), name: "".into() };
        let of_namespace = self.operations.range(first..).take_while(|(key, _)| key.namespace == *name);
        let queues: Vec<_> = of_namespace.flat_map(|(_, entry)| entry.queues.iter().copied()).collect();
        queues.into_iter().for_each(|number| self.revise(number));
    }

    fn revise_operation(&mut self, key: &ObjectKey) {
        let queues = self.operations.get(key).map(|entry| entry.queues.clone()).unwrap_or_default();
        queues.into_iter().for_each(|number| self.revise(number));
    }

    fn enter_operation(&mut self, key: &ObjectKey) {
        let queues = self.operations.get(key).map(|entry| entry.queues.clone()).unwrap_or_default();
        queues.into_iter().for_each(|number| self.enter(number));
    }

    /// Finds anew which clusters could take a queue's jobs, then enters its heads.
    fn revise(&mut self, number: QueueNumber) {
        let Some(queue) = self.queue(number) else { return };
        let candidates = self.candidates(&queue.key);
        let waiting = i64::try_from(queue.len()).unwrap_or(i64::MAX);
        self.count_queued(number, -waiting);
        if let Some(queue) = self.queue_mut(number) {
            queue.candidates = candidates;
        }
        self.count_queued(number, waiting);
        self.enter(number);
    }

    fn candidates(&self, key: &QueueKey) -> Vec<Candidate> {
        let Some(operation) = self.operations.get(&key.operation).and_then(|entry| entry.declared.as_ref()) else {
            return Vec::new();
        };
        let Some(namespace) = self.namespaces.get(&key.operation.namespace).filter(|found| !found.terminating) else {
            return Vec::new();
        };
        let declared = self.clusters.iter().filter_map(|(name, entry)| Some((name, entry.declared.as_ref()?)));
        declared
            .filter(|(name, _)| key.cluster.as_ref().is_none_or(|wanted| wanted == *name))
            .filter(|(_, cluster)| cluster.defect.is_none() && cluster.admits(&namespace.labels))
            .map(|(name, cluster)| {
                let whole = cluster.template.over(operation.outline);
                let footprint = whole.footprint();
                let need = footprint.with(key.bounds.least());
                let fit = match whole.problem() {
                    Some(problem) => Fit::Unbuildable(problem),
                    None if need.fits(cluster.capacity) => Fit::Fits,
                    None => Fit::TooLarge,
                };
                Candidate { cluster: name.clone(), footprint, need, fit }
            })
            .collect()
    }

    fn count_queued(&mut self, number: QueueNumber, by: i64) {
        let Some(queue) = self.queues.get(number as usize).and_then(Option::as_ref) else { return };
        for candidate in &queue.candidates {
            if let Some(entry) = self.clusters.get_mut(&candidate.cluster) {
                let queued = i64::from(entry.queued).saturating_add(by).max(0);
                entry.queued = u32::try_from(queued).unwrap_or(u32::MAX);
            }
        }
    }

    /// Enters a queue's heads in the clusters that may take them now, and takes the old entries out.
    fn enter(&mut self, number: QueueNumber) {
        let Some(queue) = self.queue(number) else { return };
        let wanted = self.entries(queue);
        if queue.entered != wanted {
            let old = self.queue_mut(number).map(|queue| std::mem::replace(&mut queue.entered, wanted.clone()));
            for (cluster, need, rank) in old.unwrap_or_default() {
                self.take_out(&cluster, need, &(rank, number));
            }
            for (cluster, need, rank) in wanted {
                let entry = self.clusters.entry(cluster.clone()).or_default();
                entry.heads.entry(need).or_default().insert((rank, number));
                self.touched.insert(cluster);
            }
        }
        self.unsettled.insert(number);
    }

    fn take_out(&mut self, cluster: &Name, need: Resources, head: &(Rank, QueueNumber)) {
        let Some(entry) = self.clusters.get_mut(cluster) else { return };
        if let Some(heads) = entry.heads.get_mut(&need) {
            heads.remove(head);
            if heads.is_empty() {
                entry.heads.remove(&need);
            }
        }
        if entry.vacancy.reserved_for.is_some() {
            self.touched.insert(cluster.clone());
        }
    }

    fn entries(&self, queue: &Queue) -> Vec<(Name, Resources, Rank)> {
        if self.blocked(queue).is_some() {
            return Vec::new();
        }
        let open = queue.candidates.iter().filter(|candidate| self.is_open(candidate));
        open.flat_map(|candidate| queue.heads().map(|rank| (candidate.cluster.clone(), candidate.need, rank.clone())))
            .collect()
    }

    fn is_open(&self, candidate: &Candidate) -> bool {
        let declared = self.clusters.get(&candidate.cluster).and_then(|entry| entry.declared.as_ref());
        candidate.fit == Fit::Fits && declared.is_some_and(|cluster| !cluster.held)
    }

    /// What keeps a queue out of every cluster, whatever room there is.
    fn blocked(&self, queue: &Queue) -> Option<WaitReason> {
        let entry = self.operations.get(&queue.key.operation)?;
        let Some(operation) = &entry.declared else { return Some(WaitReason::UnknownOperation) };
        let alive = entry.alive();
        if operation.defect.is_some() || queue.key.defect.is_some() {
            Some(WaitReason::InvalidParameters)
        } else if queue.candidates.is_empty() {
            Some(WaitReason::NoMatchingCluster)
        } else if queue.candidates.iter().all(|candidate| matches!(candidate.fit, Fit::Unbuildable(_))) {
            Some(WaitReason::InvalidParameters)
        } else if queue.candidates.iter().all(|candidate| candidate.fit != Fit::Fits) {
            Some(WaitReason::ExceedsClusterMaximum)
        } else if operation.limit == Some(0) {
            Some(WaitReason::OperationHeld)
        } else if !self.operator_available || !queue.candidates.iter().any(|candidate| self.is_open(candidate)) {
            Some(WaitReason::ClusterHeld)
        } else if [operation.limit, queue.key.own_limit].into_iter().flatten().any(|limit| alive >= limit) {
            Some(WaitReason::OperationLimitReached)
        } else {
            None
        }
    }

    fn reason_of(&self, queue: &Queue) -> WaitReason {
        self.blocked(queue).unwrap_or_else(|| {
            let open = queue.candidates.iter().filter(|candidate| self.is_open(candidate));
            let entries: Vec<_> = open.filter_map(|it| Some((it, self.clusters.get(&it.cluster)?))).collect();
            if entries.iter().all(|(_, entry)| entry.vacancy.at_job_limit) {
                WaitReason::ClusterLimitReached
            } else if entries.iter().any(|(it, entry)| it.need.fits(entry.room())) {
                let reserved = entries.iter().any(|(_, entry)| entry.vacancy.reserved_for.is_some());
                if reserved { WaitReason::HigherPriorityFirst } else { WaitReason::PendingEvaluation }
            } else {
                WaitReason::ClusterOccupied
            }
        })
    }
}
