//! Which waiting job starts next, over all clusters, and what stands between the others and each cluster.
//!
//! A cluster is looked at when something about it, its runs or its lanes changed ("touched"); it remembers the first in
//! rank that may start on it. The first of all those starts; of several clusters for one job, the first by name.

use super::entry::Vacancy;
use super::gate::{Gate, Grant};
use super::lane::{Candidate, ClusterNumber, LaneNumber};
use super::queue::{QueueNumber, Rank};
use crate::model::{ExecutorBounds, Resources, Span, Time, WaitReason};

/// A lane at a cluster.
struct Place {
    lane: LaneNumber,
    /// Which of the lane's candidates the cluster is.
    at: usize,
    need: Resources,
    standing: WaitReason,
}

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
        let Some(entry) = self.clusters.get_mut(number) else { return };
        let vacancy = Vacancy { at_job_limit: is_full || entry.is_at_job_limit(), reserved_for: None };
        // Nothing fitted before, and even the least of it does not fit now.
        if vacancy == entry.vacancy && entry.least_need.is_some_and(|least| !least.fits(entry.room())) {
            return;
        }
        entry.vacancy = vacancy;
        let places = self.places(number);
        let may_start = places.iter().filter(|place| place.standing == WaitReason::PendingEvaluation);
        let best = may_start.filter_map(|place| self.lanes.get(place.lane)?.first()).min();
        let reserved = best.and_then(|(rank, _)| self.reserved_above(&places, rank, now));
        self.set_best(number, best.filter(|_| reserved.is_none()));
        if let Some(entry) = self.clusters.get_mut(number) {
            let room = entry.room();
            let nothing_fits = places.iter().all(|place| !place.need.fits(room));
            let least = places.iter().map(|place| place.need).reduce(Resources::at_most);
            entry.least_need = least.filter(|_| nothing_fits);
            entry.vacancy.reserved_for = reserved.map(|rank| rank.job);
        }
        for place in places {
            let is_passed_over = reserved.is_some() && place.standing == WaitReason::PendingEvaluation;
            let standing = if is_passed_over { WaitReason::HigherPriorityFirst } else { place.standing };
            self.set_standing(&place, standing);
        }
    }

    /// Every lane that could ever go to a cluster, and what stands between them, reservations aside.
    fn places(&self, number: ClusterNumber) -> Vec<Place> {
        let lanes = self.clusters.get(number).into_iter().flat_map(|entry| &entry.lanes);
        let place = |lane: &LaneNumber| {
            let (at, candidate) = self.lanes.get(*lane)?.candidate(number)?;
            Some(Place { lane: *lane, at, need: candidate.need, standing: self.standing(&candidate) })
        };
        lanes.filter_map(place).collect()
    }

    /// The first in rank that lacks only room, ranks above `candidate` and has waited longer than the bound.
    fn reserved_above(&self, places: &[Place], candidate: Rank, now: Time) -> Option<Rank> {
        let lacking = places.iter().filter(|place| place.standing == WaitReason::ClusterOccupied);
        let before = now + Span(-self.bound.0);
        let overdue = lacking.filter_map(|place| self.lanes.get(place.lane)?.first_before(before, self.aging));
        overdue.filter(|rank| *rank < candidate).min()
    }

    pub(super) fn set_best(&mut self, number: ClusterNumber, best: Option<(Rank, QueueNumber)>) {
        let Some(entry) = self.clusters.get_mut(number) else { return };
        if let Some((rank, _)) = std::mem::replace(&mut entry.best, best) {
            self.order.remove(&(rank, number));
        }
        self.order.extend(best.map(|(rank, _)| (rank, number)));
    }

    /// Where something else stands between a lane and a cluster than before, the lane's queues may have another reason.
    fn set_standing(&mut self, place: &Place, standing: WaitReason) {
        if let Some(lane) = self.lanes.get_mut(place.lane)
            && lane.standings[place.at] != standing
        {
            lane.standings[place.at] = standing;
            self.unsettled.extend(&lane.queues);
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
        let locks = self.operation(&queue.key.operation)?.declared.as_ref()?.locks.clone();
        Some(Grant { job: rank.job, cluster: entry.name.clone(), footprint: candidate.footprint, executors, locks })
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
