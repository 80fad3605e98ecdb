//! How many executors those are granted who start together. Each starts with its least; what is left of a cluster then is dealt out,
//! one executor at a time. See `docs/decisions/0014-the-pool.md`, section 2.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use hashbrown::HashMap;

use super::claim::Claim;
use super::entry::{ClusterEntry, Gathering};
use super::gate::{Gate, Grant};
use super::lane::{Candidate, ClusterNumber, Fit, Lane, LaneNumber};
use super::pick::Place;
use super::queue::{OperationNumber, Queue, QueueKey, Rank};
use crate::model::{ExecutorChoice, Footprint, Name, Priority, Resources, RunId, WaitReason};

/// Who is dealt to: a run that starts now, or a job that waits for the pace alone and will start in a moment.
#[derive(Debug)]
struct Hand {
    /// Which of the grants it is.
    grant: Option<usize>,
    rank: Rank,
    namespace: Name,
    footprint: Footprint,
    executors: u64,
    most: u64,
    /// It is expected to end before the cluster's reservation.
    ends_before: bool,
}

/// What those take who wait for the pace alone, as if they had started.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) jobs: u32,
    pub(super) operations: HashMap<OperationNumber, u32>,
    pub(super) locks: HashMap<Name, u32>,
    /// Jobs and executors of each namespace.
    pub(super) shares: HashMap<Name, (u32, u64)>,
}

/// A cluster of which something is dealt out.
#[derive(Debug)]
struct Table<'a> {
    entry: &'a ClusterEntry,
    /// What was dealt, and is taken by who waits for the pace alone.
    taken: Resources,
    /// What may be taken without delaying whom the cluster has a reservation for.
    spare: Option<Resources>,
    beside: Beside,
    /// For whom something is kept, unless it has its least by now.
    claim: Option<&'a Claim>,
}

/// Of a cluster on which so many such jobs would find their most, one does not take much.
const MANY: u64 = 8;

impl Gate {
    /// A job comes. If it could be granted so many executors beyond its least that others which come with it would miss them, it
    /// gathers with them first. Until [`gathered`](Self::gathered), what starts on a cluster that it may use takes nothing that it would have had.
    pub fn gather(&mut self, key: &QueueKey, rank: Rank) -> bool {
        if key.defect.is_some() {
            return false;
        }
        let candidates = self.candidates_for(key);
        let fitting = candidates.iter().filter(|candidate| candidate.fit == Fit::Fits);
        if !fitting.clone().any(|candidate| self.may_take_much(key, candidate)) {
            return false;
        }
        for candidate in fitting {
            if let Some(entry) = self.clusters.get_mut(candidate.cluster) {
                let before =
                    entry.gathering.unwrap_or(Gathering { first: rank, class: key.class, need: Resources::default() });
                let (first, class) = (before.first.min(rank), before.class.max(key.class));
                entry.gathering = Some(Gathering { first, class, need: before.need.plus(candidate.need) });
                self.gathering.insert(candidate.cluster);
            }
        }
        true
    }

    /// Whether a job had better not start on a cluster before those have gathered who rank above.
    pub(super) fn waits_for_gathering(&self, rank: Rank, cluster: ClusterNumber) -> bool {
        let Some(entry) = self.clusters.get(cluster) else { return false };
        let Some(gathering) = entry.gathering.filter(|gathering| gathering.first < rank) else { return false };
        let queue = entry.best.and_then(|(_, queue)| self.queue(queue));
        let candidate = |queue: &Queue| Some(self.lanes.get(queue.lane)?.candidate(cluster)?.1);
        let leaves_theirs = |queue: &Queue| {
            let need = candidate(queue).map(|candidate| candidate.need.plus(gathering.need));
            queue.key.class >= gathering.class
                && !queue.key.executors.is_elastic()
                && need.is_some_and(|need| need.fits(entry.room()))
        };
        !queue.is_some_and(leaves_theirs)
    }

    /// Those who gathered are about to wait with all others.
    pub fn gathered(&mut self) {
        for cluster in std::mem::take(&mut self.gathering) {
            if let Some(entry) = self.clusters.get_mut(cluster) {
                entry.gathering = None;
            }
        }
    }

    fn may_take_much(&self, key: &QueueKey, candidate: &Candidate) -> bool {
        let Some(entry) = self.clusters.get(candidate.cluster) else { return false };
        let bounds = entry.declared.as_ref().and_then(|declared| declared.bounds(&key.executors));
        let beyond = bounds.map_or(0, |bounds| bounds.max.saturating_sub(bounds.least()));
        let many = candidate.footprint.with(beyond.saturating_mul(MANY)).minus(candidate.footprint.with(0));
        let left = entry.executors_left(&key.operation.namespace, 0).unwrap_or(u64::MAX);
        beyond > 0 && (!many.fits(entry.room()) || many.executors > left)
    }

    /// Executors beyond their least that runs are granted which start in this decision: which grant, and how many it has then.
    #[must_use]
    pub fn deal(&mut self, grants: &[(RunId, Grant)]) -> Vec<(usize, u64)> {
        let mut by_cluster: BTreeMap<ClusterNumber, Vec<usize>> = BTreeMap::new();
        for (at, (_, grant)) in grants.iter().enumerate() {
            by_cluster.entry(self.number_of(&grant.cluster)).or_default().push(at);
        }
        let is_elastic = |at: &usize| ExecutorChoice::Bounds(grants[*at].1.executors).is_elastic();
        by_cluster.retain(|_, grants| grants.iter().any(is_elastic));
        if by_cluster.is_empty() {
            return Vec::new();
        }
        self.settle_claims();
        self.look_at_touched();
        by_cluster.into_iter().flat_map(|(cluster, mine)| self.deal_at(cluster, &mine, grants)).collect()
    }

    fn deal_at(&self, number: ClusterNumber, mine: &[usize], grants: &[(RunId, Grant)]) -> Vec<(usize, u64)> {
        let Some(entry) = self.clusters.get(number) else { return Vec::new() };
        let reservation = entry.vacancy.reservation;
        let (taken, spare, beside) = (Resources::default(), reservation.map(|it| it.spare), Beside::default());
        let mut table = Table { entry, taken, spare, beside, claim: entry.claim.as_ref() };
        let lowest = mine.iter().map(|at| grants[*at].1.class).min();
        let mut dealt = Vec::new();
        for class in Priority::DESCENDING.into_iter().take_while(|class| Some(*class) >= lowest) {
            let hand = |at: usize| {
                let Grant { rank, ref namespace, footprint, executors, expected, .. } = grants[at].1;
                let ends_before = reservation.zip(expected).is_some_and(|(it, takes)| self.now + takes <= it.time);
                let (executors, most) = (executors.least(), executors.max);
                Hand { grant: Some(at), rank, namespace: namespace.clone(), footprint, executors, most, ends_before }
            };
            let of_class = mine.iter().copied().filter(|at| grants[*at].1.class == class);
            let mut hands: Vec<Hand> = of_class.map(hand).collect();
            if self.is_paced(number) {
                self.seat_waiting(number, class, &mut table, &mut hands);
            }
            table.deal(&mut hands);
            dealt.extend(hands.iter().filter_map(|hand| Some((hand.grant?, hand.executors))));
        }
        dealt
    }

    /// Jobs of a class that would start at a cluster as well if it were not for the pace: each has its least. They are looked for in
    /// order, and no further than there is room for them.
    fn seat_waiting(&self, number: ClusterNumber, class: Priority, table: &mut Table<'_>, hands: &mut Vec<Hand>) {
        let lanes = table.entry.lanes.iter().filter_map(|(number, at)| Some((*number, self.lanes.get(*number)?, *at)));
        // What does not let the first of a lane start does not let the others.
        let starting = lanes.filter(|(_, lane, at)| lane.standings[*at] == WaitReason::PendingEvaluation);
        let mut lanes: Vec<_> = starting.map(|(number, lane, at)| (number, lane, at, lane.heads(class))).collect();
        let mut next = BinaryHeap::new();
        for (at, (.., heads)) in lanes.iter_mut().enumerate() {
            next.extend(heads.next().map(|(rank, queue)| Reverse((rank, queue, at, true))));
        }
        let mut closed = vec![false; lanes.len()];
        while let Some(Reverse((rank, queue_number, lane_at, is_head))) = next.pop() {
            if closed[lane_at] {
                continue;
            }
            let (lane_number, lane, at, heads) = &mut lanes[lane_at];
            if is_head {
                next.extend(heads.next().map(|(rank, queue)| Reverse((rank, queue, lane_at, true))));
            }
            let Some(queue) = self.queue(queue_number) else { continue };
            match self.seat(number, (*lane_number, lane, *at), queue, rank, table) {
                Seat::Taken(hand) => {
                    hands.push(hand);
                    next.extend(queue.after(rank).map(|rank| Reverse((rank, queue_number, lane_at, false))));
                }
                Seat::NoneForQueue => {}
                Seat::NoneForLane => closed[lane_at] = true,
                Seat::NoneForAnybody => return,
            }
        }
    }

    fn seat(
        &self,
        number: ClusterNumber,
        (lane_number, lane, at): (LaneNumber, &Lane, usize),
        queue: &Queue,
        rank: Rank,
        table: &mut Table<'_>,
    ) -> Seat {
        let (candidate, key, namespace) = (&lane.key.candidates[at], &queue.key, &queue.key.operation.namespace);
        let Some(bounds) = table.entry.declared.as_ref().and_then(|declared| declared.bounds(&key.executors)) else {
            return Seat::NoneForQueue;
        };
        let Some(operation) = self.operation_of(queue) else { return Seat::NoneForQueue };
        let starting = table.beside.operations.get(&queue.operation).copied().unwrap_or(0);
        let limit = operation.declared.as_ref().and_then(|declared| declared.limit);
        let is_at_limit = [limit, key.own_limit].into_iter().flatten().any(|it| operation.alive() + starting >= it);
        if is_at_limit || operation.is_kept_from(rank) {
            return Seat::NoneForQueue;
        }
        let (need, standing) = (candidate.need, WaitReason::PendingEvaluation);
        let place = Place { lane: lane_number, at, need, first: None, standing };
        if !self.may_pass(number, &place, rank) || !self.is_left(&place, rank) {
            return Seat::NoneForLane;
        }
        match self.shortage(&lane.key, candidate, None, Some(&table.beside)) {
            Some(WaitReason::ClusterLimitReached) => return Seat::NoneForAnybody,
            Some(_) => return Seat::NoneForLane,
            None if !need.fits(table.room_for_start()) => return Seat::NoneForAnybody,
            None => {}
        }
        let ends_before = table.entry.vacancy.reservation.is_some_and(|it| self.ends_before(lane_number, it));
        let (footprint, executors, most) = (candidate.footprint, bounds.least(), bounds.max);
        let hand = Hand { grant: None, rank, namespace: namespace.clone(), footprint, executors, most, ends_before };
        table.take(&hand, need);
        table.claim = table.claim.filter(|claim| claim.rank != rank);
        let beside = &mut table.beside;
        beside.jobs += 1;
        beside.shares.entry(namespace.clone()).or_default().0 += 1;
        *beside.operations.entry(queue.operation).or_default() += 1;
        for (lock, permits) in lane.key.locks.iter() {
            let taken = beside.locks.entry(lock.clone()).or_default();
            *taken = taken.saturating_add(*permits);
        }
        Seat::Taken(hand)
    }
}

/// Whether there is a place for a job that waits for the pace alone.
enum Seat {
    Taken(Hand),
    /// Its operation has as many runs as it may.
    NoneForQueue,
    /// What all jobs lack that are like it to every cluster.
    NoneForLane,
    /// The cluster is full.
    NoneForAnybody,
}

impl Table<'_> {
    /// One more for who has the fewest, the first in rank of those, until nobody can have another.
    fn deal(&mut self, hands: &mut [Hand]) {
        let all = hands.iter().fold(Resources::default(), |sum, hand| sum.plus(hand.wanted()));
        let is_bounded = self.entry.declared.as_ref().is_none_or(|declared| declared.share.max_executors.is_some());
        let kept = self.claim.map_or(Resources::default(), |claim| claim.need);
        if !is_bounded && self.spare.is_none_or(|spare| all.fits(spare)) && all.plus(kept).fits(self.room()) {
            for hand in hands {
                self.take(hand, hand.wanted());
                hand.executors = hand.most;
            }
            return;
        }
        let mut turns: BTreeSet<(u64, Rank, usize)> =
            hands.iter().enumerate().map(|(at, hand)| (hand.executors, hand.rank, at)).collect();
        while let Some((_, rank, at)) = turns.pop_first() {
            let hand = &mut hands[at];
            let one = hand.footprint.with(1).minus(hand.footprint.with(0));
            if hand.executors < hand.most && self.is_free(hand, one) {
                self.take(hand, one);
                hand.executors += 1;
                turns.insert((hand.executors, rank, at));
            }
        }
    }

    /// Whether one more is there, of what is kept for nobody.
    fn is_free(&self, hand: &Hand, one: Resources) -> bool {
        let claim = self.claim.filter(|claim| claim.rank != hand.rank);
        let reserved = self.entry.vacancy.reservation.map(|reservation| reservation.rank);
        // There the reservation keeps the room.
        let kept = claim.filter(|claim| reserved != Some(claim.rank)).map(|claim| claim.need).unwrap_or_default();
        let shared = claim.filter(|claim| claim.namespace == hand.namespace).map_or(0, |claim| claim.need.executors);
        let dealt = self.beside.shares.get(&hand.namespace).map_or(0, |(_, executors)| *executors);
        let left = self.entry.executors_left(&hand.namespace, shared.saturating_add(dealt));
        one.plus(kept).fits(self.room())
            && left.is_none_or(|left| left > 0)
            && (hand.ends_before || self.spare.is_none_or(|spare| one.fits(spare)))
    }

    fn take(&mut self, hand: &Hand, takes: Resources) {
        self.taken = self.taken.plus(takes);
        if !hand.ends_before {
            self.spare = self.spare.map(|spare| spare.minus(takes));
        }
        let executors = &mut self.beside.shares.entry(hand.namespace.clone()).or_default().1;
        *executors = executors.saturating_add(takes.executors);
    }

    /// What is free, whatever it is used to.
    fn room(&self) -> Resources {
        let capacity = self.entry.declared.as_ref().map(|declared| declared.capacity).unwrap_or_default();
        capacity.minus(self.entry.occupied().plus(self.taken))
    }

    /// What is free for who starts.
    fn room_for_start(&self) -> Resources {
        self.entry.room_beside(self.entry.occupied().plus(self.taken))
    }
}

impl Hand {
    /// What it lacks to its most.
    fn wanted(&self) -> Resources {
        self.footprint.with(self.most).minus(self.footprint.with(self.executors))
    }
}
