//! For whom what is free is kept. A job that has waited for the bound and contends at a cluster may *claim* what it needs
//! there: nobody who ranks below takes of it any more. One claim at most for a job, a cluster and an operation; the first in
//! rank has it. See `docs/decisions/0010-the-gate.md`, section 1.

use super::gate::Gate;
use super::lane::{ClusterNumber, Fit, Lane};
use super::queue::{OperationNumber, Queue, QueueNumber, Rank};
use crate::model::{Locks, Name, Resources, Span, Time};

/// What is kept at a cluster for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) rank: Rank,
    pub(super) queue: QueueNumber,
    pub(super) operation: OperationNumber,
    pub(super) namespace: Name,
    /// The job's own limit on runs of the operation.
    pub(super) own_limit: Option<u32>,
    pub(super) need: Resources,
    pub(super) locks: Locks,
}

/// What is kept of an operation's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OperationClaim {
    pub(super) rank: Rank,
    pub(super) cluster: ClusterNumber,
    /// The claimant's own limit.
    pub(super) own_limit: Option<u32>,
}

/// A place that may be claimed. In order: the first is claimed first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claimable {
    rank: Rank,
    name: Name,
    cluster: ClusterNumber,
    queue: QueueNumber,
}

impl Gate {
    /// When time alone may change what is kept for whom: the next waiting job will have waited for the bound, or a run that a
    /// reservation hangs on will be late.
    #[must_use]
    pub fn next_overdue(&self) -> Option<Time> {
        let due = self.due.first().filter(|_| !self.claims.is_empty()).map(|(time, _)| *time);
        due.into_iter().chain(self.reservations.first().map(|(time, _)| *time)).min()
    }

    /// Gives up claims that do not hold any more, then makes those that may be made, the first in rank first.
    pub(super) fn settle_claims(&mut self) {
        let now = self.now;
        while let Some(changed) = self.reservations.first().copied().filter(|(time, _)| *time <= now) {
            self.reservations.remove(&changed);
            self.touched.insert(changed.1);
        }
        loop {
            while let Some(cluster) = self.doubtful.pop_first() {
                self.confirm_claim(cluster);
            }
            self.notice_overdue();
            let found = self.seeking.iter().map(|cluster| (*cluster, self.claimable_at(*cluster)));
            let (some, none): (Vec<_>, Vec<_>) = found.partition(|(_, found)| found.is_some());
            none.iter().for_each(|(cluster, _)| _ = self.seeking.remove(cluster));
            let Some(first) = some.into_iter().filter_map(|(_, found)| found).min() else { return };
            self.claim(&first);
        }
    }

    /// Heads that have come to wait for the bound: their clusters may be claimed.
    fn notice_overdue(&mut self) {
        while let Some((_, queue)) = self.due.first().copied().filter(|(time, _)| *time <= self.now) {
            self.due.pop_first();
            self.seek_for(queue);
        }
    }

    /// The head of a queue may want to claim one of its clusters.
    fn seek_for(&mut self, number: QueueNumber) {
        let Some(queue) = self.queue(number) else { return };
        let Some(head) = queue.entered.filter(|head| self.is_overdue(queue, *head)) else { return };
        let fitting = self.candidates_of(queue).iter().filter(|candidate| candidate.fit == Fit::Fits);
        let free = fitting.map(|candidate| candidate.cluster).filter(|cluster| {
            let claim = self.clusters.get(*cluster).and_then(|entry| entry.claim.as_ref());
            claim.is_none_or(|claim| claim.rank > head)
        });
        let free: Vec<ClusterNumber> = free.collect();
        self.seeking.extend(free);
    }

    fn is_overdue(&self, queue: &Queue, head: Rank) -> bool {
        head.created(queue.key.class, self.aging) + self.bound <= self.now
    }

    /// The first in rank that may claim a cluster.
    fn claimable_at(&self, number: ClusterNumber) -> Option<Claimable> {
        let entry = self.clusters.get(number)?;
        let claimed = entry.claim.as_ref().map(|claim| claim.rank);
        let lanes = entry.lanes.keys().filter_map(|lane| self.lanes.get(*lane));
        let contending = lanes.filter(|lane| self.contends(lane, number));
        let before = self.now + Span(-self.bound.0);
        let first = contending.flat_map(|lane| lane.heads_before(before, self.aging)).filter_map(|heads| {
            let free = heads.take_while(|(rank, _)| claimed.is_none_or(|claimed| *rank < claimed));
            free.into_iter().find(|(rank, queue)| self.may_claim(*rank, *queue))
        });
        let (rank, queue) = first.min()?;
        Some(Claimable { rank, name: entry.name.clone(), cluster: number, queue })
    }

    fn may_claim(&self, rank: Rank, queue: QueueNumber) -> bool {
        let operation = self.queue(queue).and_then(|queue| self.operation_of(queue));
        let claimed = operation.and_then(|entry| entry.claim);
        !self.claims.contains_key(&rank) && claimed.is_none_or(|claimed| rank < claimed.rank)
    }

    /// Whether only what our runs leave free decides for a lane at a cluster: nobody can wait for strangers to end.
    fn contends(&self, lane: &Lane, cluster: ClusterNumber) -> bool {
        let Some((_, candidate)) = lane.candidate(cluster) else { return false };
        let Some(entry) = self.clusters.get(cluster) else { return false };
        candidate.fit == Fit::Fits
            && !self.is_held(entry)
            && candidate.entries & entry.open != 0
            && candidate.need.fits(entry.room_beside_strangers())
    }

    fn claim(&mut self, found: &Claimable) {
        let Some(claim) = self.claim_of(found.rank, found.queue, found.cluster) else { return };
        self.give_up(found.cluster);
        if let Some(lower) = self.operations.get(claim.operation).and_then(|entry| entry.claim) {
            self.give_up(lower.cluster);
        }
        self.put_claim(found.cluster, claim);
    }

    fn claim_of(&self, rank: Rank, number: QueueNumber, cluster: ClusterNumber) -> Option<Claim> {
        let queue = self.queue(number)?;
        let lane = self.lanes.get(queue.lane)?;
        let (_, candidate) = lane.candidate(cluster)?;
        Some(Claim {
            rank,
            queue: number,
            operation: queue.operation,
            namespace: queue.key.operation.namespace.clone(),
            own_limit: queue.key.own_limit,
            need: candidate.need,
            locks: lane.key.locks.clone(),
        })
    }

    /// A claim stands while its job waits at the head of its queue and contends there; what it needs may be something else.
    fn confirm_claim(&mut self, cluster: ClusterNumber) {
        let Some(claim) = self.clusters.get(cluster).and_then(|entry| entry.claim.clone()) else { return };
        let queue = self.queue(claim.queue).filter(|queue| queue.entered == Some(claim.rank));
        let lane = queue.and_then(|queue| self.lanes.get(queue.lane));
        if !lane.is_some_and(|lane| self.contends(lane, cluster)) {
            self.give_up(cluster);
        } else if let Some(renewed) = self.claim_of(claim.rank, claim.queue, cluster)
            && renewed != claim
        {
            self.give_up(cluster);
            self.put_claim(cluster, renewed);
        }
    }

    fn put_claim(&mut self, cluster: ClusterNumber, claim: Claim) {
        for (name, permits) in claim.locks.iter() {
            self.change_lock(name, |lock| _ = lock.kept.insert(claim.rank, *permits));
        }
        self.claims.insert(claim.rank, cluster);
        let operation = claim.operation;
        if let Some(entry) = self.operations.get_mut(operation) {
            entry.claim = Some(OperationClaim { rank: claim.rank, cluster, own_limit: claim.own_limit });
        }
        if let Some(entry) = self.clusters.get_mut(cluster) {
            entry.claim = Some(claim);
        }
        self.touched.insert(cluster);
        self.enter_operation(operation);
    }

    pub(super) fn give_up(&mut self, cluster: ClusterNumber) {
        let Some(claim) = self.clusters.get_mut(cluster).and_then(|entry| entry.claim.take()) else { return };
        self.claims.remove(&claim.rank);
        for (name, _) in claim.locks.iter() {
            self.change_lock(name, |lock| _ = lock.kept.remove(&claim.rank));
        }
        self.touched.insert(cluster);
        self.seeking.insert(cluster);
        let Some(entry) = self.operations.get_mut(claim.operation) else { return };
        entry.claim = None;
        self.enter_operation(claim.operation);
        self.queues_of(claim.operation).into_iter().for_each(|queue| self.seek_for(queue));
    }
}
