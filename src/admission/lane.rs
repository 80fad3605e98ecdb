//! Queues that are alike to every cluster share a lane. Whatever a cluster decides by - is it held, does it accept them now,
//! has it room - it decides once for a lane, however many queues and jobs wait in it.

use std::collections::BTreeSet;

use super::queue::{QueueNumber, Rank};
use crate::model::{Footprint, Locks, Name, Priority, Problem, Resources, Span, Time, WaitReason};

/// A cluster's number in the gate.
pub(super) type ClusterNumber = u32;
/// A lane's number in the gate.
pub(super) type LaneNumber = u32;

/// What queues have to be alike in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct LaneKey {
    /// Clusters that admit them, by name.
    pub(super) candidates: Box<[Candidate]>,
    /// Permits that each of their runs holds.
    pub(super) locks: Locks,
    /// How long their runs are expected to take, where a cluster goes by that.
    pub(super) expected: Option<Span>,
    /// Their namespace, where a cluster gives each namespace a share only.
    pub(super) namespace: Option<Name>,
}

/// Whether a cluster could ever take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fit {
    /// When it is empty, at least.
    Fits,
    /// Not even then.
    TooLarge,
    /// Its namespace's share is too small.
    ExceedsShare,
    /// A lock that it needs has too few permits: which of its locks.
    ExceedsLock(usize),
    /// With its template nothing can be built of the operation.
    Unbuildable(Problem),
    /// Nobody declares a lock that it needs: which of its locks.
    UnknownLock(usize),
}

/// A cluster that admits the jobs of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub(super) cluster: ClusterNumber,
    pub(super) footprint: Footprint,
    /// What the smallest run needs there.
    pub(super) need: Resources,
    pub(super) fit: Fit,
    /// A bit for each entry of its `accept` that may apply to them; the lowest where it has none.
    pub(super) entries: u32,
}

/// Queues that are alike to every cluster.
#[derive(Debug)]
pub(super) struct Lane {
    /// What they have in common.
    pub(super) key: LaneKey,
    /// What stands between them and each cluster, as last looked at.
    pub(super) standings: Box<[WaitReason]>,
    /// What stands between them and the cluster that is nearest to taking them, as last settled.
    pub(super) nearest: WaitReason,
    pub(super) queues: BTreeSet<QueueNumber>,
    /// Jobs in them.
    pub(super) queued: usize,
    /// The first in rank of all heads.
    pub(super) first: Option<(Rank, QueueNumber)>,
    /// The heads of queues whose operation lets them start, by class, the lowest first.
    heads: [BTreeSet<(Rank, QueueNumber)>; Priority::DESCENDING.len()],
}

impl Lane {
    pub(super) fn new(key: LaneKey, standings: Box<[WaitReason]>) -> Self {
        let nearest = WaitReason::PendingEvaluation;
        Self { key, standings, nearest, queues: BTreeSet::new(), queued: 0, first: None, heads: Default::default() }
    }

    /// A head comes, goes, or is another one.
    pub(super) fn exchange(&mut self, class: Priority, queue: QueueNumber, old: Option<Rank>, new: Option<Rank>) {
        let heads = &mut self.heads[class as usize];
        if let Some(old) = old {
            heads.remove(&(old, queue));
        }
        heads.extend(new.map(|new| (new, queue)));
        self.first = self.heads.iter().filter_map(BTreeSet::first).min().copied();
    }

    /// The heads of a class, in order.
    pub(super) fn heads(&self, class: Priority) -> impl Iterator<Item = (Rank, QueueNumber)> {
        self.heads[class as usize].iter().copied()
    }

    /// Those that were created before a time, in order, class by class. In a class the first in rank is the oldest.
    pub(super) fn heads_before(
        &self,
        time: Time,
        aging: Span,
    ) -> impl Iterator<Item = impl Iterator<Item = (Rank, QueueNumber)>> {
        Priority::DESCENDING.into_iter().map(move |class| {
            let heads = self.heads[class as usize].iter().copied();
            heads.take_while(move |(rank, _)| rank.created(class, aging) <= time)
        })
    }

    /// What the smallest run needs on a cluster that could take it.
    pub(super) fn candidate(&self, cluster: ClusterNumber) -> Option<(usize, Candidate)> {
        let found = self.key.candidates.iter().position(|candidate| candidate.cluster == cluster)?;
        Some((found, self.key.candidates[found]))
    }
}
