//! Which waiting job starts next, over all clusters, and what stands between the others and each cluster.
//!
//! A cluster is looked at when something about it, its runs or its lanes changed ("touched"); it remembers the first in
//! rank that may start on it. The first of all those starts; of several clusters for one job, the first by name.

use super::entry::Vacancy;
use super::gate::{Gate, Grant};
use super::lane::{Candidate, ClusterNumber, LaneNumber};
use super::queue::{QueueNumber, Rank};
use crate::model::{ExecutorBounds, Resources, Span, Time, WaitReason};

impl Gate {
    /// The next job that may start, first in rank of all. The caller takes it off its queue and lets it
    /// [`take`](Self::take) its slots before asking again.
    pub fn next_start(&mut self, now: Time) -> Option<Grant> {
        loop {
            self.look_at_touched(now);
            let (cluster, best) = self.first_in_order()?;
            // Meanwhile somebody's bound may have passed, so that room is kept for him.
            self.look_at(cluster, now);
            if self.clusters.get(cluster)?.best == Some(best) {
                return self.size(cluster, best);
            }
        }
    }

    pub(super) fn look_at_touched(&mut self, now: Time) {
        while let Some(cluster) = self.touched.pop_first() {
            self.look_at(cluster, now);
        }
    }

    fn first_in_order(&self) -> Option<(ClusterNumber, (Rank, QueueNumber))> {
        let (rank, _) = *self.order.first()?;
        let same = self.order.iter().take_while(|(other, _)| *other == rank).map(|(_, cluster)| *cluster);
        let by_name = same.filter_map(|cluster| Some((&self.clusters.get(cluster)?.name, cluster))).min()?;
        let best = self.clusters.get(by_name.1)?.best?;
        Some((by_name.1, best))
    }

    fn look_at(&mut self, number: ClusterNumber, now: Time) {
        let is_full = self.is_ledger_full();
        let Some(entry) = self.clusters.get(number) else { return };
        let room = entry.room();
        let vacancy = Vacancy { at_job_limit: is_full || entry.is_at_job_limit(), reserved_for: None };
        // Nothing fitted before, and even the least of it does not fit now.
        if vacancy == entry.vacancy && entry.least_need.is_some_and(|least| !least.fits(room)) {
            return;
        }
        let closed = vacancy.at_job_limit || entry.is_held() || !self.operator_available;
        let (mut best, mut least) = (None::<(Rank, QueueNumber)>, None::<Resources>);
        let mut nothing_fits = true;
        let open = entry.open;
        for lane in entry.lanes.iter().filter_map(|lane| self.lanes.get(*lane)) {
            let Some((_, candidate)) = lane.candidate(number) else { continue };
            least = Some(least.map_or(candidate.need, |least| least.at_most(candidate.need)));
            let fits = candidate.need.fits(room);
            nothing_fits &= !fits;
            if fits && !closed && candidate.entries & open != 0 {
                best = [best, lane.first()].into_iter().flatten().min();
            }
        }
        let reserved = best.and_then(|(rank, _)| self.reserved_above(number, rank, room, now));
        self.set_best(number, best.filter(|_| reserved.is_none()));
        if let Some(entry) = self.clusters.get_mut(number) {
            entry.vacancy = Vacancy { reserved_for: reserved.map(|rank| rank.job), ..vacancy };
            entry.least_need = least.filter(|_| nothing_fits);
        }
        self.set_standings(number);
    }

    /// The first in rank that does not fit, ranks above `candidate` and has waited longer than the bound.
    fn reserved_above(&self, number: ClusterNumber, candidate: Rank, room: Resources, now: Time) -> Option<Rank> {
        let entry = self.clusters.get(number)?;
        let lanes = entry.lanes.iter().filter_map(|lane| self.lanes.get(*lane));
        let waiting = lanes.filter(|lane| {
            lane.candidate(number).is_some_and(|(_, it)| !it.need.fits(room) && it.entries & entry.open != 0)
        });
        let before = now + Span(-self.bound.0);
        waiting.filter_map(|lane| lane.first_before(before, self.aging)).filter(|rank| *rank < candidate).min()
    }

    pub(super) fn set_best(&mut self, number: ClusterNumber, best: Option<(Rank, QueueNumber)>) {
        let Some(entry) = self.clusters.get_mut(number) else { return };
        if let Some((rank, _)) = std::mem::replace(&mut entry.best, best) {
            self.order.remove(&(rank, number));
        }
        self.order.extend(best.map(|(rank, _)| (rank, number)));
    }

    /// What stands between each lane and a cluster; where that changed, the lane's queues may have another reason.
    fn set_standings(&mut self, number: ClusterNumber) {
        let Some(entry) = self.clusters.get(number) else { return };
        let lanes: Vec<LaneNumber> = entry.lanes.iter().copied().collect();
        for lane_number in lanes {
            let Some((place, candidate)) = self.lanes.get(lane_number).and_then(|lane| lane.candidate(number)) else {
                continue;
            };
            let standing = self.standing(&candidate);
            if let Some(lane) = self.lanes.get_mut(lane_number)
                && lane.standings[place] != standing
            {
                lane.standings[place] = standing;
                self.unsettled.extend(&lane.queues);
            }
        }
    }

    /// What stands between a lane and a cluster that could ever take it.
    pub(super) fn standing(&self, candidate: &Candidate) -> WaitReason {
        let Some(entry) = self.clusters.get(candidate.cluster) else { return WaitReason::PendingEvaluation };
        match () {
            () if !self.operator_available || entry.is_held() => WaitReason::ClusterHeld,
            () if candidate.entries & entry.open == 0 => WaitReason::OutsideWindow,
            () if entry.vacancy.at_job_limit => WaitReason::ClusterLimitReached,
            () if !candidate.need.fits(entry.room()) => WaitReason::ClusterOccupied,
            () if entry.vacancy.reserved_for.is_some() => WaitReason::HigherPriorityFirst,
            () => WaitReason::PendingEvaluation,
        }
    }

    fn size(&self, cluster: ClusterNumber, (rank, queue): (Rank, QueueNumber)) -> Option<Grant> {
        let entry = self.clusters.get(cluster)?;
        let queue = self.queue(queue)?;
        let (_, candidate) = self.lanes.get(queue.lane)?.candidate(cluster)?;
        let max = candidate.footprint.largest_within(queue.key.bounds, entry.room())?;
        let executors = ExecutorBounds { min: queue.key.bounds.min, max };
        Some(Grant { job: rank.job, cluster: entry.name.clone(), footprint: candidate.footprint, executors })
    }

    /// A queue's head in a lane is another one: clusters where that may matter are looked at anew.
    pub(super) fn head_changed(&mut self, lane: LaneNumber, old: Option<Rank>, new: Option<Rank>) {
        let Some(lane) = self.lanes.get(lane) else { return };
        for candidate in &lane.candidates {
            let Some(entry) = self.clusters.get(candidate.cluster) else { continue };
            let best = entry.best.map(|(rank, _)| rank);
            let was_best = best.is_some() && best == old;
            let had_room_kept = old.is_some_and(|old| entry.vacancy.reserved_for == Some(old.job));
            let may_be_best = new.is_some_and(|new| match best {
                Some(best) => new < best,
                None => candidate.need.fits(entry.room()),
            });
            if was_best || had_room_kept || may_be_best {
                self.touched.insert(candidate.cluster);
            }
        }
    }
}
