//! Which waiting job starts next, over all clusters, and what stands between the others and each cluster.
//!
//! A cluster is looked at when something about it, its runs or its lanes changed ("touched"); it remembers the first in
//! rank that may start on it. The first of all those starts; of several clusters for one job, the first by name.

use super::deal::Beside;
use super::entry::{ClusterEntry, Reservation, Vacancy, Wanted};
use super::gate::{Gate, Grant};
use super::lane::{Candidate, ClusterNumber, Fit, LaneKey, LaneNumber};
use super::queue::{QueueNumber, Rank};
use crate::model::{Name, Resources, Strategy, Time, WaitReason};

/// A lane at a cluster.
pub(super) struct Place {
    pub(super) lane: LaneNumber,
    /// Which of the lane's candidates the cluster is.
    pub(super) at: usize,
    /// What the smallest run needs there.
    pub(super) need: Resources,
    /// The first in rank that its operation lets start.
    pub(super) first: Option<(Rank, QueueNumber)>,
    /// What stands between them, whatever is kept.
    pub(super) standing: WaitReason,
}

impl Gate {
    /// The next job that may start, first in rank of all. The caller takes it off its queue and lets it
    /// [`take`](Self::take) its slots before asking again.
    pub fn next_start(&mut self, now: Time) -> Option<Grant> {
        if self.is_quiet(now) {
            return None;
        }
        self.settle_claims();
        loop {
            self.look_at_touched();
            let (number, best) = self.first_in_order()?;
            let entry = self.clusters.get(number)?;
            // Who would have ended before a reservation may not any more.
            if entry.vacancy.reservation.is_none() || entry.looked_at == self.now {
                return self.granted(number, best);
            }
            self.touched.insert(number);
        }
    }

    pub(super) fn look_at_touched(&mut self) {
        while let Some(cluster) = self.touched.pop_first() {
            self.look_at(cluster);
        }
    }

    fn first_in_order(&self) -> Option<(ClusterNumber, (Rank, QueueNumber))> {
        if self.pace.is_full(None) {
            return None;
        }
        let may_start = |rank, cluster| !self.is_paced(cluster) && !self.waits_for_gathering(rank, cluster);
        let mut starting = self.order.iter().filter(|(rank, cluster)| may_start(*rank, *cluster)).peekable();
        let (rank, _) = **starting.peek()?;
        let same = starting.take_while(|(other, _)| *other == rank).map(|(_, cluster)| *cluster);
        let by_name = same.filter_map(|cluster| Some((&self.clusters.get(cluster)?.name, cluster))).min()?;
        let best = self.clusters.get(by_name.1)?.best?;
        Some((by_name.1, best))
    }

    fn look_at(&mut self, number: ClusterNumber) {
        let Some(entry) = self.clusters.get(number) else { return };
        let at_job_limit = self.is_ledger_full() || entry.is_at_job_limit();
        let room = entry.room();
        // Nothing fitted before, and even the least of it does not fit now. A reservation may have come nearer all the same.
        if at_job_limit == entry.vacancy.at_job_limit
            && !entry.may_reserve()
            && entry.vacancy.reservation.is_none()
            && entry.least_need.is_some_and(|least| !least.fits(room))
        {
            return;
        }
        let keeps_place = self.keeps_place(number);
        if let Some(entry) = self.clusters.get_mut(number) {
            entry.vacancy.keeps_place = keeps_place;
        }
        let places = self.places(number);
        let claim = self.claim_of_room(number);
        let (blocked_by, reservation) = self.reserved(number, &places, claim);
        let is_reserved = |claim: &Wanted| reservation.is_some_and(|reservation| reservation.rank == claim.rank);
        let kept = claim.filter(|claim| !is_reserved(claim)).map(|claim| claim.need).unwrap_or_default();
        self.reservation_changed(number, reservation);
        if let Some(entry) = self.clusters.get_mut(number) {
            entry.vacancy = Vacancy { at_job_limit, keeps_place, kept, blocked_by, reservation };
            entry.looked_at = self.now;
            let promise = reservation.map(|reservation| (reservation.rank, reservation.time));
            let stands = |(rank, _): &(Rank, Time)| reservation.is_some_and(|reservation| reservation.rank == *rank);
            entry.promised = entry.promised.filter(stands).or(promise);
        }
        let mut best = None;
        for place in &places {
            let may_pass =
                |(rank, _): &(Rank, QueueNumber)| self.may_pass(number, place, *rank) && self.is_left(place, *rank);
            let may_start = place.first.filter(|_| place.standing == WaitReason::PendingEvaluation).filter(may_pass);
            best = best.into_iter().chain(may_start).min();
            let is_kept = place.standing == WaitReason::PendingEvaluation && may_start.is_none();
            let standing = if is_kept { WaitReason::HigherPriorityFirst } else { place.standing };
            self.set_standing(place.lane, place.at, standing);
        }
        self.set_best(number, best);
        if let Some(entry) = self.clusters.get_mut(number) {
            let nothing_fits = places.iter().all(|place| !place.need.fits(room));
            let least = places.iter().map(|place| place.need).reduce(Resources::at_most);
            entry.least_need = least.filter(|_| nothing_fits);
        }
    }

    /// The engine wakes when time alone changes a reservation, and says what has changed.
    pub(super) fn reservation_changed(&mut self, number: ClusterNumber, reservation: Option<Reservation>) {
        let Some(entry) = self.clusters.get(number) else { return };
        let before = entry.vacancy.reservation;
        let told = before.map(|before| before.told(entry.looked_at));
        let tells = reservation.map(|it| it.told(self.now));
        if told != tells {
            // Who has it no more does not go on to say when it is expected to start.
            self.retold.extend([before, reservation].into_iter().flatten().map(|it| it.rank.job));
        }
        if let Some(time) = before.and_then(|before| before.changes) {
            self.reservations.remove(&(time, number));
        }
        self.reservations.extend(reservation.and_then(|it| Some((it.changes?, number))));
    }

    /// Whom not everybody may pass who ranks below, and their reservation: by the cluster's strategy, the first that lacks room
    /// only and could have it, or the claimant alone.
    fn reserved(
        &self,
        number: ClusterNumber,
        places: &[Place],
        claim: Option<Wanted>,
    ) -> (Option<Rank>, Option<Reservation>) {
        let Some(entry) = self.clusters.get(number) else { return (None, None) };
        let most = entry.room_beside_strangers();
        let lacks_room = |place: &&Place| place.standing == WaitReason::ClusterOccupied && place.need.fits(most);
        let lacking = places.iter().filter(lacks_room);
        let first = || {
            let (head, need) = lacking.filter_map(|place| Some((place.first?, place.need))).min()?;
            self.wanted(head, need)
        };
        let wanted = match entry.strategy() {
            Strategy::PriorityFifo => claim.filter(|claim| !claim.need.fits(entry.room())),
            Strategy::StrictFifo => return (first().map(|first| first.rank), None),
            Strategy::Backfill => first(),
        };
        // Where nothing is known of when it will have room, there is no reservation.
        let reservation = wanted.and_then(|wanted| entry.reservation(&wanted, self.now));
        (reservation.map(|reservation| reservation.rank), reservation)
    }

    /// Every lane that could ever go to a cluster, and what stands between them.
    fn places(&self, number: ClusterNumber) -> Vec<Place> {
        let Some(entry) = self.clusters.get(number) else { return Vec::new() };
        let mut places = Vec::with_capacity(entry.lanes.len());
        places.extend(entry.lanes.iter().filter_map(|(lane_number, at)| {
            let lane = self.lanes.get(*lane_number)?;
            let candidate = lane.key.candidates.get(*at)?;
            let standing = self.standing(&lane.key, candidate);
            Some(Place { lane: *lane_number, at: *at, need: candidate.need, first: lane.first, standing })
        }));
        places
    }

    /// Whether a job may start before the first that lacks room, by the cluster's strategy.
    pub(super) fn may_pass(&self, number: ClusterNumber, place: &Place, rank: Rank) -> bool {
        let Some(entry) = self.clusters.get(number) else { return false };
        let is_first = entry.vacancy.blocked_by.is_none_or(|blocking| rank < blocking);
        is_first
            || entry.vacancy.reservation.is_some_and(|reservation| {
                place.need.fits(reservation.spare) || self.ends_before(place.lane, reservation)
            })
    }

    /// Whether a run that starts now is expected to end before a reservation.
    pub(super) fn ends_before(&self, lane: LaneNumber, reservation: Reservation) -> bool {
        let expected = self.lanes.get(lane).and_then(|lane| lane.key.expected);
        expected.is_some_and(|expected| self.now + expected <= reservation.time)
    }

    /// Whether a run of the cluster and its share of it are kept for the claimant: not as long as it lacks a lock.
    fn keeps_place(&self, number: ClusterNumber) -> bool {
        let claim = self.clusters.get(number).and_then(|entry| entry.claim.as_ref());
        claim.is_some_and(|claim| {
            let is_free = |(name, needed): &(Name, u32)| self.is_lock_free(name, *needed, number, Some(claim.rank));
            claim.locks.iter().all(is_free)
        })
    }

    /// The claimant of a cluster, if it lacks nothing but perhaps room, and what it needs.
    fn claim_of_room(&self, number: ClusterNumber) -> Option<Wanted> {
        let claim = self.clusters.get(number)?.claim.as_ref()?;
        let lane = self.lanes.get(self.queue(claim.queue)?.lane)?;
        let (_, candidate) = lane.candidate(number)?;
        let lacks_more = self.shortage(&lane.key, &candidate, Some(claim.rank), None).is_some();
        if lacks_more { None } else { self.wanted((claim.rank, claim.queue), claim.need) }
    }

    fn wanted(&self, (rank, queue): (Rank, QueueNumber), need: Resources) -> Option<Wanted> {
        Some(Wanted { rank, overdue: self.due_at(self.queue(queue)?.key.class, rank), need })
    }

    /// Whether a job could start with what is kept for those above left to them.
    pub(super) fn is_left(&self, place: &Place, rank: Rank) -> bool {
        let Some(lane) = self.lanes.get(place.lane) else { return false };
        let Some(candidate) = lane.key.candidates.get(place.at) else { return false };
        let Some(entry) = self.clusters.get(candidate.cluster) else { return false };
        let kept = entry.claim_above(rank).map_or(Resources::default(), |_| entry.vacancy.kept);
        self.shortage(&lane.key, candidate, Some(rank), None).is_none() && place.need.plus(kept).fits(entry.room())
    }

    pub(super) fn set_best(&mut self, number: ClusterNumber, best: Option<(Rank, QueueNumber)>) {
        let Some(entry) = self.clusters.get_mut(number).filter(|entry| entry.best != best) else { return };
        if let Some((rank, _)) = std::mem::replace(&mut entry.best, best) {
            self.order.remove(&(rank, number));
        }
        self.order.extend(best.map(|(rank, _)| (rank, number)));
    }

    /// Where something else stands between a lane and a cluster than before, the lane's queues may have another reason.
    fn set_standing(&mut self, number: LaneNumber, at: usize, standing: WaitReason) {
        if let Some(lane) = self.lanes.get_mut(number)
            && lane.standings[at] != standing
        {
            lane.standings[at] = standing;
            self.unsettled_lanes.insert(number);
        }
    }

    /// What stands between a lane and a cluster that could ever take it, whatever is kept.
    pub(super) fn standing(&self, lane: &LaneKey, candidate: &Candidate) -> WaitReason {
        let Some(entry) = self.clusters.get(candidate.cluster) else { return WaitReason::PendingEvaluation };
        if self.is_held(entry) {
            WaitReason::ClusterHeld
        } else if candidate.entries & entry.open == 0 {
            WaitReason::OutsideWindow
        } else if let Some(short) = self.shortage(lane, candidate, None, None) {
            short
        } else if !candidate.need.fits(entry.room()) {
            WaitReason::ClusterOccupied
        } else {
            WaitReason::PendingEvaluation
        }
    }

    /// Whether as many stand in line before the spark-operator as a cluster allows.
    pub(super) fn is_paced(&self, number: ClusterNumber) -> bool {
        self.pace.is_full(self.clusters.get(number).and_then(ClusterEntry::max_pending))
    }

    /// What stands between a lane and a cluster, with the pace in its place. It is no part of what lanes remember: it
    /// changes with every start, and is the same for all of them.
    pub(super) fn paced(&self, number: ClusterNumber, standing: WaitReason) -> WaitReason {
        if standing > WaitReason::SubmissionPaced && self.is_paced(number) {
            WaitReason::SubmissionPaced
        } else {
            standing
        }
    }

    /// Whether nothing starts on a cluster at present.
    pub(super) fn is_held(&self, entry: &ClusterEntry) -> bool {
        !self.operator_available || entry.is_held()
    }

    /// What is lacking but room; with a rank, without what is kept for claims above it; without what others take beside.
    pub(super) fn shortage(
        &self,
        lane: &LaneKey,
        candidate: &Candidate,
        rank: Option<Rank>,
        beside: Option<&Beside>,
    ) -> Option<WaitReason> {
        let entry = self.clusters.get(candidate.cluster)?;
        let declared = entry.declared.as_ref()?;
        let claim = rank.and_then(|rank| entry.claim_above(rank)).filter(|_| entry.vacancy.keeps_place);
        let kept = u32::from(claim.is_some());
        if let Some(namespace) = lane.namespace.as_ref().filter(|_| declared.share.is_bounded()) {
            let sharing = claim.filter(|claim| claim.namespace == *namespace);
            let used = entry.shares.get(namespace).copied().unwrap_or_default();
            let (jobs_beside, beside) = beside.and_then(|it| it.shares.get(namespace)).copied().unwrap_or_default();
            let jobs = used.jobs + u32::from(sharing.is_some()) + jobs_beside;
            let executors = sharing.map_or(0, |it| it.need.executors).saturating_add(beside);
            if declared.share.max_jobs.is_some_and(|most| jobs >= most)
                || entry.executors_left(namespace, executors).is_some_and(|left| candidate.need.executors > left)
            {
                return Some(WaitReason::NamespaceLimitReached);
            }
        }
        let starting = beside.map_or(0, |beside| beside.jobs);
        let is_at_limit = declared.max_jobs.is_some_and(|most| entry.alive() + kept + starting >= most);
        if is_at_limit || self.is_ledger_full_with(starting) {
            return Some(WaitReason::ClusterLimitReached);
        }
        let is_free = |(name, needed): &(Name, u32)| {
            let taken = beside.and_then(|beside| beside.locks.get(name)).copied().unwrap_or(0);
            self.is_lock_free(name, needed.saturating_add(taken), candidate.cluster, rank)
        };
        (!lane.locks.iter().all(is_free)).then_some(WaitReason::LockTaken)
    }

    /// Whether a lock has this many permits free, everywhere and on a cluster.
    pub(super) fn is_lock_free(&self, name: &Name, needed: u32, cluster: ClusterNumber, rank: Option<Rank>) -> bool {
        let Some(lock) = self.locks.get(name) else { return true };
        let fits = |taken: u32, permits: u32| taken.saturating_add(needed) <= permits;
        let everywhere = lock.used.saturating_add(rank.map_or(0, |rank| lock.kept_from(rank)));
        if lock.permits.is_some_and(|permits| !fits(everywhere, permits)) {
            return false;
        }
        let Some(entry) = self.clusters.get(cluster) else { return true };
        let declared = entry.declared.as_ref().and_then(|declared| declared.locks.get(name));
        declared.is_none_or(|permits| {
            let claim = rank.and_then(|rank| entry.claim_above(rank));
            let kept = claim.and_then(|claim| lock.kept.get(&claim.rank)).copied().unwrap_or(0);
            fits(lock.used_on(cluster).saturating_add(kept), *permits)
        })
    }

    /// What starts: with its least, until all that may start in this decision do (see [`deal`](Self::deal)).
    fn granted(&self, cluster: ClusterNumber, (rank, queue): (Rank, QueueNumber)) -> Option<Grant> {
        let entry = self.clusters.get(cluster)?;
        let queue = self.queue(queue)?;
        let (_, candidate) = self.lanes.get(queue.lane)?.candidate(cluster)?;
        Some(Grant {
            job: rank.job,
            rank,
            class: queue.key.class,
            namespace: queue.key.operation.namespace.clone(),
            cluster: entry.name.clone(),
            footprint: candidate.footprint,
            executors: entry.declared.as_ref()?.bounds(&queue.key.executors)?,
            locks: self.operation_of(queue)?.declared.as_ref()?.locks.clone(),
            expected: self.expected(queue.operation),
        })
    }

    /// A queue's head in a lane is another one: clusters where that may matter are looked at anew. Where more than what is kept for
    /// others stands between the lane and a cluster, no head of it starts there.
    pub(super) fn head_changed(&mut self, number: LaneNumber, old: Option<Rank>, new: Option<Rank>) {
        let candidates = self.lanes.get(number).map_or(0, |lane| lane.key.candidates.len());
        for at in 0..candidates {
            let Some(lane) = self.lanes.get(number) else { return };
            let (candidate, standing) = (&lane.key.candidates[at], lane.standings[at]);
            let cluster = candidate.cluster;
            let Some(entry) = self.clusters.get(cluster) else { continue };
            if candidate.fit != Fit::Fits || self.touched.contains(&cluster) {
                continue;
            }
            let may_start = standing > WaitReason::SubmissionPaced;
            let nothing_is_kept = entry.keeps_nothing() && (lane.key.locks.is_empty() || self.claims.is_empty());
            if may_start && nothing_is_kept {
                self.take_first(number, at, cluster);
                continue;
            }
            let best = entry.best.map(|(rank, _)| rank);
            let was_best = best.is_some() && best == old;
            let blocked = old.is_some() && entry.vacancy.blocked_by == old;
            let may_block = standing == WaitReason::ClusterOccupied && entry.strategy() == Strategy::StrictFifo;
            let comes_first =
                new.is_some_and(|new| best.map_or(may_start, |best| new < best && (may_start || may_block)));
            // Where nobody has a reservation, it may have been the first that lacks room of whose time nothing is known.
            let may_reserve = entry.strategy() == Strategy::Backfill
                && entry.vacancy.blocked_by.is_none_or(|first| new.is_some_and(|new| new < first));
            if was_best || blocked || comes_first || may_reserve {
                self.touched.insert(cluster);
            }
        }
    }

    /// The first of a lane is another one, and nothing stands between it and a cluster: what a look would find there, without one.
    fn take_first(&mut self, number: LaneNumber, at: usize, cluster: ClusterNumber) {
        let is_there = self.lanes.get(number).is_some_and(|lane| lane.first.is_some());
        let standing = if is_there { WaitReason::PendingEvaluation } else { WaitReason::HigherPriorityFirst };
        self.set_standing(number, at, standing);
        let lanes = self.clusters.get(cluster).into_iter().flat_map(|entry| &entry.lanes);
        let lanes = lanes.filter_map(|(number, at)| Some((self.lanes.get(*number)?, *at)));
        let starting = lanes.filter(|(lane, at)| lane.standings[*at] == WaitReason::PendingEvaluation);
        let best = starting.filter_map(|(lane, _)| lane.first).min();
        self.set_best(cluster, best);
    }
}
