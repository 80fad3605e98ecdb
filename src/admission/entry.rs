//! What is counted of each operation and each cluster, and the pick of the next head of one cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::{JobNumber, QueueNumber, Rank};
use crate::model::{Cluster, Footprint, Name, ObjectKey, Operation, Priority, Problem, Resources, RunId, Span, Time};

/// Whether a cluster could ever take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// When it is empty, at least.
    Fits,
    /// Not even then.
    TooLarge,
    /// With its template nothing can be built of the operation.
    Unbuildable(Problem),
}

/// A cluster that admits the jobs of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) cluster: Name,
    pub(super) footprint: Footprint,
    pub(super) need: Resources,
    pub(super) fit: Fit,
}

/// An operation, declared or only named by jobs.
#[derive(Debug, Default)]
pub struct OperationEntry {
    /// What is declared.
    pub declared: Option<Box<Operation>>,
    /// Its live runs and their jobs' names.
    pub holders: BTreeMap<RunId, Name>,
    /// Its queues.
    pub queues: BTreeSet<QueueNumber>,
}

impl OperationEntry {
    /// Live runs.
    #[must_use]
    pub fn alive(&self) -> u32 {
        u32::try_from(self.holders.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.declared.is_none() && self.holders.is_empty() && self.queues.is_empty()
    }
}

/// Why nothing (more) starts on a cluster at present, beyond what each queue needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vacancy {
    /// It runs as many jobs as it may.
    pub at_job_limit: bool,
    /// What is free is kept for this job.
    pub reserved_for: Option<JobNumber>,
}

/// A cluster, declared or only named by live runs.
#[derive(Debug, Default)]
pub struct ClusterEntry {
    /// What is declared.
    pub declared: Option<Box<Cluster>>,
    /// Live runs on it and their jobs.
    pub holders: BTreeMap<RunId, ObjectKey>,
    /// What the live runs take.
    pub used: Resources,
    /// Jobs that could go to it.
    pub queued: u32,
    /// As found at the end of the last cycle that touched it.
    pub vacancy: Vacancy,
    pub(super) heads: BTreeMap<Resources, BTreeSet<(Rank, QueueNumber)>>,
}

impl ClusterEntry {
    /// Live runs.
    #[must_use]
    pub fn alive(&self) -> u32 {
        u32::try_from(self.holders.len()).unwrap_or(u32::MAX)
    }

    /// What is free.
    #[must_use]
    pub fn room(&self) -> Resources {
        self.declared.as_ref().map_or_else(Resources::default, |declared| declared.capacity.minus(self.used))
    }

    fn is_at_job_limit(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| declared.max_jobs.is_some_and(|most| self.alive() >= most))
    }

    /// Whether somebody waits only because of it: nothing that is entered in it fits.
    #[must_use]
    pub fn turns_away(&self) -> bool {
        let room = self.room();
        !self.heads.is_empty() && (self.is_at_job_limit() || self.heads.keys().all(|need| !need.fits(room)))
    }

    /// The best-ranked head that fits, unless room is reserved for one ranked above it.
    pub(super) fn pick(&self, now: Time, bound: Span) -> (Option<(Rank, QueueNumber, Resources)>, Vacancy) {
        if self.is_at_job_limit() {
            return (None, Vacancy { at_job_limit: true, reserved_for: None });
        }
        let room = self.room();
        let best = self
            .heads
            .iter()
            .filter(|(need, _)| need.fits(room))
            .filter_map(|(need, heads)| heads.first().map(|(rank, queue)| (rank.clone(), *queue, *need)))
            .min();
        let reserved_for = self.overdue(room, best.as_ref().map(|(rank, ..)| rank), now, bound);
        let vacancy = Vacancy { at_job_limit: false, reserved_for };
        (best.filter(|_| reserved_for.is_none()), vacancy)
    }

    /// The first job that does not fit, ranks above `candidate` and has waited longer than the bound.
    fn overdue(&self, room: Resources, candidate: Option<&Rank>, now: Time, bound: Span) -> Option<JobNumber> {
        let candidate = candidate?;
        self.heads
            .iter()
            .filter(|(need, _)| !need.fits(room))
            .flat_map(|(_, heads)| first_of_each_class(heads))
            .filter(|rank| *rank < candidate && now - rank.created >= bound)
            .min()
            .map(|rank| rank.job)
    }
}

/// The oldest of each class: two steps down the tree a class.
fn first_of_each_class(heads: &BTreeSet<(Rank, QueueNumber)>) -> impl Iterator<Item = &Rank> {
    Priority::DESCENDING.into_iter().filter_map(|class| {
        let from = (Rank::new(class, Time(i64::MIN), "".into(), 0), 0);
        heads.range(from..).next().map(|(rank, _)| rank).filter(|rank| rank.priority() == class)
    })
}
