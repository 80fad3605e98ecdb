//! Waiting jobs in order. Jobs of one queue are interchangeable but for their order, so none blocks another.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::lane::LaneNumber;
use crate::model::{Allowance, Answers, ClusterChoice, ExecutorChoice, ObjectKey, Priority, Span, Time, WaitReason};

/// A job's number in the index.
pub type JobNumber = u32;

/// A queue's number in the gate.
pub type QueueNumber = u32;

/// An operation's number in the gate.
pub(super) type OperationNumber = u32;

/// Everything that decides whether and where a job may start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The operation: its limit, its application.
    pub operation: ObjectKey,
    /// The priority class: clusters may accept some only.
    pub class: Priority,
    /// The clusters that it may go to, where that is said.
    pub cluster: Option<Arc<ClusterChoice>>,
    /// How many executors it wants.
    pub executors: ExecutorChoice,
    /// The jobs' own limit on live runs of the operation.
    pub own_limit: Option<u32>,
    /// What the jobs say to clusters' expressions.
    pub answers: Answers,
    /// What is wrong with the jobs so that they cannot be built.
    pub defect: Option<Box<str>>,
}

/// A job's place in the one order of all jobs: the smaller, the earlier.
///
/// The key is the time of creation, put back by so much for each class ("aging"): a job of a higher class stands as if it
/// had waited longer. Since that is the same for all, the order of two jobs never changes while they wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    key: i64,
    arrival: u32,
    /// The job.
    pub job: JobNumber,
}

impl Rank {
    /// The place of a job. `arrival` is the order in which jobs were heard of: creation times have whole seconds.
    #[must_use]
    pub fn new(class: Priority, created: Time, arrival: u32, job: JobNumber, aging: Span) -> Self {
        Self { key: created.0.saturating_sub(head_start(class, aging).0), arrival, job }
    }

    /// When the job was created, which is of this class.
    pub(super) fn created(self, class: Priority, aging: Span) -> Time {
        Time(self.key.saturating_add(head_start(class, aging).0))
    }
}

fn head_start(class: Priority, aging: Span) -> Span {
    Span(aging.0.saturating_mul(class as i64))
}

/// How far a queue's jobs have come to be told of another reason: some with each step, however many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// The last that was looked at.
    pub last: Option<Rank>,
    /// Somebody was told.
    pub has_told: bool,
    /// Meanwhile the reason came to be another one: those before `last` are looked at again.
    pub again: bool,
}

/// Jobs that wait under one key.
#[derive(Debug)]
pub struct Queue {
    /// What they have in common.
    pub key: QueueKey,
    jobs: BTreeSet<Rank>,
    /// What holds them, as last found.
    pub reason: WaitReason,
    /// How often they are told of another reason.
    pub telling: Allowance,
    /// They are being told.
    pub round: Option<Round>,
    /// Its operation, which stays known as long as there is a queue of it.
    pub(super) operation: OperationNumber,
    /// The lane in which its head waits when its operation lets it.
    pub(super) lane: LaneNumber,
    /// The head that stands in the lane.
    pub(super) entered: Option<Rank>,
}

impl Queue {
    pub(super) fn new(key: QueueKey, operation: OperationNumber, lane: LaneNumber) -> Self {
        let (reason, telling) = (WaitReason::PendingEvaluation, Allowance::default());
        Self { key, jobs: BTreeSet::new(), reason, telling, round: None, operation, lane, entered: None }
    }

    pub(super) fn insert(&mut self, rank: Rank) -> bool {
        self.jobs.insert(rank)
    }

    pub(super) fn remove(&mut self, rank: &Rank) -> bool {
        self.jobs.remove(rank)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Everybody, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rank> {
        self.jobs.iter()
    }

    /// Those who come behind one of them, or behind nobody.
    pub fn behind(&self, rank: Option<Rank>) -> impl Iterator<Item = &Rank> {
        self.jobs.range((rank.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
    }

    /// Who comes behind one of them.
    pub(super) fn after(&self, rank: Rank) -> Option<Rank> {
        self.behind(Some(rank)).next().copied()
    }

    pub(super) fn head(&self) -> Option<Rank> {
        self.jobs.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_class_stands_as_if_it_had_waited_longer() {
        let aging = Span::seconds(60);
        let rank = |class, created: i64, number| Rank::new(class, Time(created * 1000), number, number, aging);
        let mut ranks = [
            rank(Priority::Low, 0, 1),
            rank(Priority::High, 150, 2),
            rank(Priority::Normal, 59, 3),
            rank(Priority::Normal, 61, 4),
            rank(Priority::Critical, 150, 5),
        ];
        ranks.sort();
        assert_eq!(ranks.map(|rank| rank.job), [5, 3, 1, 4, 2]);
        assert_eq!(ranks[0].created(Priority::Critical, aging), Time(150_000));
    }

    #[test]
    fn among_equals_the_first_that_came_goes_first() {
        let rank = |arrival, number| Rank::new(Priority::Normal, Time(5), arrival, number, Span(0));
        assert!(rank(1, 9) < rank(2, 0));
        assert_eq!(size_of::<Rank>(), 16);
    }
}
