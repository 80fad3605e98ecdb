//! Permits of locks: who holds them, and for whom they are kept.

use std::collections::BTreeMap;

use super::lane::{ClusterNumber, LaneNumber};
use super::queue::Rank;
use crate::model::{ObjectKey, RunId};

/// What is known of a lock, declared or only named.
#[derive(Debug, Default)]
pub(super) struct Lock {
    /// Permits that the settings give it everywhere.
    pub(super) permits: Option<u32>,
    /// Permits that runs hold.
    pub(super) used: u32,
    /// Who holds them.
    pub(super) holders: BTreeMap<RunId, LockHolder>,
    /// Permits that are kept for claims.
    pub(super) kept: BTreeMap<Rank, u32>,
    /// Permits that its runs on each cluster hold.
    pub(super) there: BTreeMap<ClusterNumber, u32>,
    /// Lanes whose jobs need it, and how much.
    pub(super) lanes: BTreeMap<LaneNumber, u32>,
}

/// A run that holds permits.
#[derive(Debug)]
pub(super) struct LockHolder {
    pub(super) job: ObjectKey,
    pub(super) cluster: ClusterNumber,
    pub(super) permits: u32,
}

impl Lock {
    pub(super) fn take(&mut self, run: RunId, holder: LockHolder) {
        self.used = self.used.saturating_add(holder.permits);
        let there = self.there.entry(holder.cluster).or_default();
        *there = there.saturating_add(holder.permits);
        self.holders.insert(run, holder);
    }

    pub(super) fn give_back(&mut self, run: &RunId) {
        if let Some(holder) = self.holders.remove(run) {
            self.used = self.used.saturating_sub(holder.permits);
            if let Some(there) = self.there.get_mut(&holder.cluster) {
                *there = there.saturating_sub(holder.permits);
                if *there == 0 {
                    self.there.remove(&holder.cluster);
                }
            }
        }
    }

    /// Whether runs on one cluster hold it.
    pub(super) fn is_held_on(&self, cluster: Option<ClusterNumber>) -> bool {
        cluster.is_some_and(|cluster| self.there.contains_key(&cluster))
    }

    /// Permits that its runs on one cluster hold.
    pub(super) fn used_on(&self, cluster: ClusterNumber) -> u32 {
        self.there.get(&cluster).copied().unwrap_or(0)
    }

    /// Whether everybody who needs it finds enough, whatever is kept: then a permit more or less changes nothing.
    pub(super) fn is_plentiful(&self) -> bool {
        let kept = self.kept.values().fold(0_u32, |kept, permits| kept.saturating_add(*permits));
        let most = self.lanes.values().max().copied().unwrap_or(0);
        let needed = self.used.saturating_add(kept).saturating_add(most);
        self.permits.is_some_and(|permits| needed <= permits)
    }

    /// Permits that are kept from a job of this rank.
    pub(super) fn kept_from(&self, rank: Rank) -> u32 {
        self.kept.range(..rank).fold(0, |kept, (_, permits)| kept.saturating_add(*permits))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.permits.is_none() && self.holders.is_empty() && self.lanes.is_empty() && self.kept.is_empty()
    }
}
