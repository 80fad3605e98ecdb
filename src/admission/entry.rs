//! What is counted of each operation and each cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::{Claim, OperationClaim};
use super::lane::LaneNumber;
use super::queue::{QueueNumber, Rank};
use super::told::Told;
use crate::model::{
    Accept, Answers, Aperture, Cluster, Holder, Name, ObjectKey, Operation, Priority, Resources, RunId, Span, Strategy,
    Time, Window,
};

/// An operation, declared or only named by jobs.
#[derive(Debug, Default)]
pub struct OperationEntry {
    /// Its name.
    pub(super) key: ObjectKey,
    /// What is declared.
    pub declared: Option<Box<Operation>>,
    /// Its live runs and their jobs' names.
    pub holders: BTreeMap<RunId, Name>,
    /// Its queues.
    pub queues: BTreeSet<QueueNumber>,
    /// How long a run of it is expected to take, if anything is known of that.
    pub expected: Option<Span>,
    /// For which of its jobs one of its slots is kept.
    pub(super) claim: Option<OperationClaim>,
}

impl OperationEntry {
    pub(super) fn named(key: ObjectKey) -> Self {
        Self { key, ..Self::default() }
    }

    /// Live runs.
    #[must_use]
    pub fn alive(&self) -> u32 {
        u32::try_from(self.holders.len()).unwrap_or(u32::MAX)
    }

    /// Whether the slot that is kept for another job of it leaves none for this one.
    pub(super) fn is_kept_from(&self, rank: Rank) -> bool {
        let limit = self.declared.as_ref().and_then(|declared| declared.limit);
        self.claim
            .filter(|claim| claim.rank < rank)
            .is_some_and(|claim| [limit, claim.own_limit].into_iter().flatten().any(|limit| self.alive() + 1 >= limit))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.declared.is_none() && self.holders.is_empty() && self.queues.is_empty()
    }
}

/// Why nothing (more) starts on a cluster at present, beyond what each lane needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vacancy {
    /// It runs as many jobs as it may, or the ledger is full.
    pub at_job_limit: bool,
    /// A run and a share of it are kept for the claimant.
    pub(super) keeps_place: bool,
    /// Room that is kept for the claimant.
    pub kept: Resources,
    /// The first that lacks room, where it may not be passed by all.
    pub(super) blocked_by: Option<Rank>,
    /// When it will have room, where those may pass it who do not delay that.
    pub(super) reservation: Option<Reservation>,
}

/// When the first that lacks room will have it, if every run ends when it was expected to, and what is left beside it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Whose.
    pub(super) rank: Rank,
    /// When.
    pub time: Time,
    /// Room beside it.
    pub spare: Resources,
    /// When it may be another one, if nothing happens until then: somebody is late, or may be no longer.
    pub(super) changes: Option<Time>,
}

/// Who wants room that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) rank: Rank,
    /// When it has waited for the bound.
    pub(super) overdue: Time,
    pub(super) need: Resources,
}

/// How long past the bound a run that is late is waited for: so many times what it was expected to take.
const PATIENCE: i64 = 16;

/// A run whose end is expected at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    takes: Resources,
    /// How long it was expected to take.
    expected: Span,
}

/// Jobs that have just come and may use a cluster: in a moment they are decided on together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathering {
    /// The first in rank.
    pub(super) first: Rank,
    /// The highest class.
    pub(super) class: Priority,
    /// The least that all of them need.
    pub(super) need: Resources,
}

/// What the runs of a namespace take of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShareUse {
    /// Runs.
    pub jobs: u32,
    /// Their executors.
    pub executors: u64,
}

/// A cluster, declared or only named by live runs.
#[derive(Debug, Default)]
pub struct ClusterEntry {
    /// Its name.
    pub name: Name,
    /// What is declared.
    pub declared: Option<Box<Cluster>>,
    /// Live runs on it and their jobs.
    pub holders: BTreeMap<RunId, ObjectKey>,
    /// What the live runs take.
    pub used: Resources,
    /// Of the runs whose live pods take more than was granted: how much more.
    surplus: BTreeMap<RunId, Resources>,
    /// The sum of that.
    surplus_sum: Resources,
    /// What applications that no job declared take in the namespaces that it admits.
    pub strangers: Resources,
    /// What the live runs of each namespace take.
    pub shares: BTreeMap<Name, ShareUse>,
    /// What those of its runs take whose end is expected at some time.
    ends: BTreeMap<(Time, RunId), Expected>,
    /// For whom what it has is kept.
    pub(super) claim: Option<Claim>,
    /// As last looked at.
    pub vacancy: Vacancy,
    /// When that was.
    pub(super) looked_at: Time,
    /// What the first that lacks room was told when it came to be the first.
    pub(super) promised: Option<(Rank, Time)>,
    /// Its windows at present.
    windows: Vec<Aperture>,
    /// A bit for each entry of `accept` that applies at present; the lowest where there is none.
    pub(super) open: u32,
    /// Lanes that could ever go to it, and which of their candidates it is.
    pub(super) lanes: BTreeMap<LaneNumber, usize>,
    /// The first in rank that may start on it, as last looked at.
    pub(super) best: Option<(Rank, QueueNumber)>,
    /// Nothing fitted when it was last looked at, and this is the least that anything needs.
    pub(super) least_need: Option<Resources>,
    /// The jobs that gather and may use it.
    pub(super) gathering: Option<Gathering>,
    /// What is said of it while it runs as many jobs as it may.
    pub(super) told: Told,
}

impl Reservation {
    /// What is said of it: whose, and when, unless it is overdue.
    pub(super) fn told(&self, now: Time) -> (Rank, Option<Time>) {
        (self.rank, Some(self.time).filter(|time| *time > now))
    }
}

impl ClusterEntry {
    pub(super) fn named(name: Name) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn declare(&mut self, declared: Option<Box<Cluster>>) {
        self.declared = declared;
        self.told.forget(self.shares.keys());
    }

    /// Live runs.
    #[must_use]
    pub fn alive(&self) -> u32 {
        u32::try_from(self.holders.len()).unwrap_or(u32::MAX)
    }

    /// What the live runs take: what is granted, or really there where that is more.
    #[must_use]
    pub fn in_use(&self) -> Resources {
        self.used.plus(self.surplus_sum)
    }

    /// What is taken, by whomever.
    #[must_use]
    pub fn occupied(&self) -> Resources {
        self.in_use().plus(self.strangers)
    }

    /// What is free; nothing, where it is used to the percentage from which nothing more is admitted.
    #[must_use]
    pub fn room(&self) -> Resources {
        self.room_beside(self.occupied())
    }

    /// What would be free if none of our runs were there: no end of a run makes more of it than that.
    pub(super) fn room_beside_strangers(&self) -> Resources {
        self.room_beside(self.strangers)
    }

    /// What is free where this much is taken.
    pub(super) fn room_beside(&self, taken: Resources) -> Resources {
        let declared = self.declared.as_ref().filter(|declared| !is_full(declared, taken));
        declared.map_or_else(Resources::default, |declared| declared.capacity.minus(taken))
    }

    /// Whether it is used to the percentage from which nothing more is admitted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| is_full(declared, self.occupied()))
    }

    /// What a namespace has left of its share, with this much kept for another of its jobs.
    pub(super) fn executors_left(&self, namespace: &Name, kept: u64) -> Option<u64> {
        let most = self.declared.as_ref()?.share.max_executors?;
        let used = self.shares.get(namespace).copied().unwrap_or_default();
        Some(most.saturating_sub(used.executors).saturating_sub(kept))
    }

    /// How long the line before the spark-operator may be for it.
    pub(super) fn max_pending(&self) -> Option<u32> {
        self.declared.as_ref()?.max_pending
    }

    /// Who goes first.
    pub(super) fn strategy(&self) -> Strategy {
        self.declared.as_ref().map(|declared| declared.strategy).unwrap_or_default()
    }

    /// Whether somebody may have a reservation: the first that lacks room, or only who claims it.
    pub(super) fn may_reserve(&self) -> bool {
        match self.strategy() {
            Strategy::PriorityFifo => self.claim.is_some(),
            Strategy::StrictFifo => false,
            Strategy::Backfill => true,
        }
    }

    /// When a job that needs this much will have room, if every run ends when it is expected to.
    /// `None`: that hangs on runs of which nothing is known.
    pub(super) fn reservation(&self, wanted: &Wanted, now: Time) -> Option<Reservation> {
        let capacity = self.declared.as_ref()?.capacity;
        let (ends, changes) = self.expected_ends(wanted.overdue, now);
        let mut used = self.occupied();
        let mut ends = ends.into_iter().peekable();
        let mut time = now;
        while !wanted.need.fits(capacity.minus(used)) {
            let end = ends.peek()?.0;
            while let Some((_, takes)) = ends.next_if(|(other, _)| *other == end) {
                used = used.minus(takes);
            }
            time = end.max(now);
        }
        Some(Reservation { rank: wanted.rank, time, spare: capacity.minus(used).minus(wanted.need), changes })
    }

    /// When runs are expected to end, the first at first, and what they leave then; and when time alone changes that. Who is late
    /// is expected to take twice as long, and twice that, and so on, until the patience of who waits is at its end: then it ends now.
    fn expected_ends(&self, overdue: Time, now: Time) -> (Vec<(Time, Resources)>, Option<Time>) {
        let mut changes: Option<Time> = None;
        let renewed = self.ends.iter().map(|((end, run), it)| {
            let patience = overdue + Span(it.expected.0.saturating_mul(PATIENCE));
            let granted = *end + Span(-it.expected.0);
            let mut took = it.expected.max(Span::seconds(1));
            while now < patience && granted + took <= now && took < Span(i64::MAX) {
                took = Span(took.0.saturating_mul(2));
            }
            let renewed = granted + took;
            let next = [renewed, if *end <= now { patience } else { renewed }].into_iter().filter(|time| *time > now);
            changes = changes.into_iter().chain(next).min();
            (renewed, it.takes.plus(self.surplus.get(run).copied().unwrap_or_default()))
        });
        let mut ends: Vec<(Time, Resources)> = renewed.collect();
        ends.sort_by_key(|(end, _)| *end);
        (ends, changes)
    }

    /// Whether it gives a lock permits of its own.
    pub(super) fn declares_lock(&self, name: &Name) -> bool {
        self.declared.as_ref().is_some_and(|declared| declared.locks.contains_key(name))
    }

    /// Whether nothing of it is kept for anybody, and nothing is as soon as somebody lacks room.
    pub(super) fn keeps_nothing(&self) -> bool {
        let is_plain = self.strategy() == Strategy::PriorityFifo && self.claim.is_none();
        is_plain && self.vacancy.blocked_by.is_none() && self.vacancy.reservation.is_none()
    }

    /// The claim of a job that ranks above.
    pub(super) fn claim_above(&self, rank: Rank) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| claim.rank < rank)
    }

    pub(super) fn take(&mut self, run: RunId, holder: &Holder) {
        self.used = self.used.plus(holder.resources());
        if let Some(expected) = holder.expected {
            let run = (holder.granted + expected, run.clone());
            self.ends.insert(run, Expected { takes: holder.resources(), expected });
        }
        self.holders.insert(run, holder.job.clone());
        let share = self.shares.entry(holder.job.namespace.clone()).or_default();
        share.jobs += 1;
        share.executors = share.executors.saturating_add(holder.max_executors);
        self.told.forget(self.shares.keys());
    }

    /// A run's live pods take so much more than was granted. Tells whether that is news.
    pub(super) fn set_surplus(&mut self, run: &RunId, surplus: Resources) -> bool {
        let before = self.surplus.get(run).copied().unwrap_or_default();
        if surplus == before || !self.holders.contains_key(run) {
            return false;
        }
        if surplus == Resources::default() {
            self.surplus.remove(run);
        } else {
            self.surplus.insert(run.clone(), surplus);
        }
        self.surplus_sum = self.surplus_sum.plus(surplus).minus(before);
        true
    }

    pub(super) fn give_back(&mut self, run: &RunId, holder: &Holder) {
        self.set_surplus(run, Resources::default());
        self.holders.remove(run);
        self.used = self.used.minus(holder.resources());
        if let Some(expected) = holder.expected {
            self.ends.remove(&(holder.granted + expected, run.clone()));
        }
        if let Some(share) = self.shares.get_mut(&holder.job.namespace) {
            share.jobs = share.jobs.saturating_sub(1);
            share.executors = share.executors.saturating_sub(holder.max_executors);
            if share.jobs == 0 {
                self.shares.remove(&holder.job.namespace);
            }
        }
        self.told.forget(self.shares.keys());
    }

    pub(super) fn is_at_job_limit(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| declared.max_jobs.is_some_and(|most| self.alive() >= most))
    }

    pub(super) fn is_held(&self) -> bool {
        self.declared.as_ref().is_none_or(|declared| declared.held || declared.max_jobs == Some(0))
    }

    /// Looks at the clock: which windows are open. Tells whether other entries of `accept` apply than before.
    pub(super) fn look_at_clock(&mut self, now: Time) -> bool {
        let Some(declared) = &self.declared else {
            self.windows.clear();
            return std::mem::take(&mut self.open) != 0;
        };
        self.windows = declared.windows.iter().map(|window| window.at(now)).collect();
        let applies = |entry: &Accept| entry.applies_now(|window| self.windows.get(window).is_some_and(|it| it.open));
        let open = bits(&declared.accept, applies);
        std::mem::replace(&mut self.open, open) != open
    }

    /// Whether it ends the runs that it does not accept any more.
    #[must_use]
    pub fn ends_runs(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| declared.cancels_at_window_end)
    }

    /// Whether it accepts a job of an operation and a class that runs, at this time. One that was not asked yet what an
    /// expression wants to know has the benefit of the doubt.
    #[must_use]
    pub fn accepts_now(&self, operation: &ObjectKey, class: Priority, answers: &Answers) -> bool {
        let holds = |when: &str| !answers.say_no_to(when);
        let declared = self.declared.as_ref();
        declared.is_some_and(|declared| entries_for(&declared.accept, operation, class, holds) & self.open != 0)
    }

    /// Whether it accepts some jobs at this time.
    #[must_use]
    pub fn is_within_window(&self) -> bool {
        self.open != 0
    }

    /// The next of its windows to open, and when.
    #[must_use]
    pub fn next_opening(&self) -> Option<(Name, Time)> {
        let windows = &self.declared.as_ref()?.windows;
        let opens = |(window, aperture): (&Window, &Aperture)| {
            let until = aperture.until?;
            let then = if aperture.open { window.at(until) } else { *aperture };
            Some((then.until.filter(|_| !then.open)?, window.name.clone()))
        };
        windows.iter().zip(&self.windows).filter_map(opens).min().map(|(opens, name)| (name, opens))
    }

    /// When its clock has to be looked at again.
    pub(super) fn next_edge(&self) -> Option<Time> {
        self.windows.iter().filter_map(|window| window.until).min()
    }

    /// When jobs with these entries are accepted again, if that is only a matter of time.
    pub(super) fn opens_at(&self, entries: u32, now: Time) -> Option<Time> {
        let declared = self.declared.as_ref()?;
        let named: Vec<&Window> = windows_of(declared, entries).collect();
        let mut time = now;
        // Each step goes to the next edge of a window that matters; a year of daily windows has some hundreds.
        for _ in 0..1000 {
            let edges = named.iter().filter_map(|window| window.at(time).until);
            time = edges.filter(|edge| *edge > time).min()?;
            let is_open = |window: usize| declared.windows.get(window).is_some_and(|window| window.at(time).open);
            if bits(&declared.accept, |entry: &Accept| entry.applies_now(is_open)) & entries != 0 {
                return Some(time);
            }
        }
        None
    }
}

fn is_full(cluster: &Cluster, taken: Resources) -> bool {
    cluster.admit_below.is_some_and(|percent| taken.reaches(percent, cluster.capacity))
}

/// Windows that decide when these entries apply.
pub(super) fn windows_of(cluster: &Cluster, entries: u32) -> impl Iterator<Item = &Window> {
    let mine = cluster.accept.iter().zip(0..u32::BITS).filter(move |(_, bit)| entries >> bit & 1 == 1);
    let named = mine.flat_map(|(entry, _)| entry.during.iter().chain(&entry.outside));
    named.filter_map(|number| cluster.windows.get(*number))
}

/// Entries that may ever apply to jobs of an operation and a class; `holds` answers their expressions.
pub(super) fn entries_for(
    accept: &[Accept],
    operation: &ObjectKey,
    class: Priority,
    holds: impl Fn(&str) -> bool,
) -> u32 {
    bits(accept, |entry| entry.may_apply(operation, class, &holds))
}

/// A bit for each entry for which this holds. Where there are no entries, everything is accepted: the lowest bit.
fn bits(accept: &[Accept], holds: impl Fn(&Accept) -> bool) -> u32 {
    if accept.is_empty() {
        return 1;
    }
    accept.iter().zip(0..u32::BITS).filter(|(entry, _)| holds(entry)).fold(0, |bits, (_, bit)| bits | 1 << bit)
}
