//! Waiting jobs in order. Jobs of one queue are interchangeable but for their order, so none blocks another.

use std::collections::BTreeSet;

use crate::model::{ExecutorBounds, Name, ObjectKey, Priority, Time, WaitReason};

/// A job's number in the index.
pub type JobNumber = u32;

/// A queue's number in the gate.
pub type QueueNumber = u32;

/// Everything that decides whether and where a job may start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The operation: its limit, its application.
    pub operation: ObjectKey,
    /// The only cluster it may go to.
    pub cluster: Option<Name>,
    /// How many executors it wants.
    pub bounds: ExecutorBounds,
    /// The jobs' own limit on live runs of the operation.
    pub own_limit: Option<u32>,
    /// What is wrong with the jobs so that they cannot be built.
    pub defect: Option<Box<str>>,
}

/// A job's place: class, then age, then name (creation times have whole seconds).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    class: std::cmp::Reverse<Priority>,
    /// When the job was created.
    pub created: Time,
    name: Name,
    /// The job.
    pub job: JobNumber,
}

impl Rank {
    /// The place of a job.
    #[must_use]
    pub fn new(priority: Priority, created: Time, name: Name, job: JobNumber) -> Self {
        Self { class: std::cmp::Reverse(priority), created, name, job }
    }

    /// Its priority class.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.class.0
    }
}

/// Jobs that wait under one key.
#[derive(Debug)]
pub struct Queue {
    /// What they have in common.
    pub key: QueueKey,
    jobs: [BTreeSet<Rank>; Priority::DESCENDING.len()],
    /// What holds them, as last found.
    pub reason: WaitReason,
    /// Clusters that could ever take them, and what the smallest run of theirs needs there.
    pub(super) candidates: Vec<super::entry::Candidate>,
    /// Where the heads are entered at present.
    pub(super) entered: Vec<(Name, crate::model::Resources, Rank)>,
}

impl Queue {
    pub(super) fn new(key: QueueKey) -> Self {
        Self {
            key,
            jobs: Default::default(),
            reason: WaitReason::PendingEvaluation,
            candidates: Vec::new(),
            entered: Vec::new(),
        }
    }

    fn class(priority: Priority) -> usize {
        Priority::Critical as usize - priority as usize
    }

    pub(super) fn insert(&mut self, rank: Rank) -> bool {
        self.jobs[Self::class(rank.priority())].insert(rank)
    }

    pub(super) fn remove(&mut self, rank: &Rank) -> bool {
        self.jobs[Self::class(rank.priority())].remove(rank)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.iter().map(BTreeSet::len).sum()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.iter().all(BTreeSet::is_empty)
    }

    /// Everybody, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rank> {
        self.jobs.iter().flatten()
    }

    /// The first of each class, in order.
    pub fn heads(&self) -> impl Iterator<Item = &Rank> {
        self.jobs.iter().filter_map(BTreeSet::first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(jobs: &[(Priority, i64, &str)]) -> Queue {
        let operation = ObjectKey::new("jobs", "report");
        let bounds = ExecutorBounds::default();
        let mut queue = Queue::new(QueueKey { operation, cluster: None, bounds, own_limit: None, defect: None });
        for (number, (priority, created, name)) in jobs.iter().enumerate() {
            queue.insert(Rank::new(*priority, Time(*created), (*name).into(), u32::try_from(number).unwrap()));
        }
        queue
    }

    #[test]
    fn class_goes_before_age_and_age_before_name() {
        let queue = queue(&[
            (Priority::Low, 1, "a"),
            (Priority::High, 9, "b"),
            (Priority::Normal, 5, "d"),
            (Priority::Normal, 5, "c"),
            (Priority::Critical, 99, "e"),
        ]);
        let order: Vec<_> = queue.iter().map(|rank| rank.job).collect();
        assert_eq!(order, [4, 1, 3, 2, 0]);
        let heads: Vec<_> = queue.heads().map(|rank| rank.job).collect();
        assert_eq!(heads, [4, 1, 3, 0]);
    }
}
