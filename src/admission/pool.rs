//! How many executors a cluster's pool holds: those that are taken, and warm ones. See `docs/decisions/0014-the-pool.md`.
//!
//! Everything is counted in units of the pool. Pure: what has to be remembered is in [`Pool`], the time comes from outside.

use std::fmt;

use crate::model::{Span, Time};

/// What a cluster says of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolRules {
    /// It holds so many always.
    pub min: u64,
    /// And so many at most.
    pub max: u64,
    /// So many are held beside those that are taken, while the pool is not idle.
    pub warm: u64,
    /// It grows when more than this percentage of it is taken.
    pub grow_above: u32,
    /// It shrinks when less than this percentage of it has been taken for [`stabilization`](Self::stabilization).
    pub shrink_below: u32,
    /// How long it has to have been too large before it shrinks.
    pub stabilization: Span,
    /// How long nothing has to have been taken before it holds the minimum only.
    pub idle: Span,
}

impl PoolRules {
    /// The size that suits a load: room for as many warm ones as are to be held, and no fuller than it may be.
    #[must_use]
    pub fn wanted(&self, load: u64) -> u64 {
        let filled = u128::from(load) * 100;
        let roomy = u64::try_from(filled.div_ceil(u128::from(self.grow_above.max(1)))).unwrap_or(u64::MAX);
        self.bounded(roomy.max(load.saturating_add(self.warm)))
    }

    fn bounded(&self, size: u64) -> u64 {
        size.max(self.min).min(self.max)
    }

    fn is_above(load: u64, percent: u32, size: u64) -> bool {
        u128::from(load) * 100 > u128::from(percent) * u128::from(size)
    }

    fn is_below(load: u64, percent: u32, size: u64) -> bool {
        u128::from(load) * 100 < u128::from(percent) * u128::from(size)
    }
}

/// Why a pool has another size than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// More of it is taken than it may be.
    Full,
    /// Fewer are left beside those that are taken than are to be warm.
    WarmTaken,
    /// Its bounds are others.
    Bounds,
    /// Too little of it was taken for long enough.
    Oversized,
    /// Nothing was taken for long enough.
    Idle,
}

impl Cause {
    /// The word in conditions, events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "PoolFull",
            Self::WarmTaken => "WarmTaken",
            Self::Bounds => "BoundsChanged",
            Self::Oversized => "PoolOversized",
            Self::Idle => "PoolIdle",
        }
    }
}

/// A pool has another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resized {
    /// Before.
    pub from: u64,
    /// From now on.
    pub to: u64,
    /// Why.
    pub cause: Cause,
    /// How many were taken when it was decided.
    pub load: u64,
    /// By these rules.
    pub rules: PoolRules,
}

/// `from 4 to 6 executors: 4 taken are more than 80 % of 4`.
impl fmt::Display for Resized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, load, rules, .. } = self;
        write!(f, "from {from} to {to} executors: ")?;
        match self.cause {
            Cause::Full => write!(f, "{load} taken are more than {} % of {from}", rules.grow_above),
            Cause::WarmTaken => write!(f, "{load} taken and {} warm are more than {from}", rules.warm),
            Cause::Bounds => write!(f, "it holds {} to {}", rules.min, rules.max),
            Cause::Oversized => {
                let (percent, seconds) = (rules.shrink_below, rules.stabilization.0 / 1000);
                write!(f, "less than {percent} % of {from} taken for {seconds} s")
            }
            Cause::Idle => write!(f, "none taken for {} s", rules.idle.0 / 1000),
        }
    }
}

/// A pool, and since when it has been too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    rules: PoolRules,
    desired: u64,
    /// It does not shrink before this: it grew.
    may_shrink: Time,
    /// Since when too little of it has been taken, and the most that was wanted since.
    low: Option<(Time, u64)>,
    /// Since when nothing has been taken; the pool is idle when that is long ago.
    empty: Option<Time>,
    /// Its rules are others than at the last look.
    edited: bool,
}

impl Pool {
    /// A pool as it was left, or a new one. Whatever it waited for, it waits for anew: but one that was idle still is.
    #[must_use]
    pub fn resume(rules: PoolRules, desired: Option<u64>, load: u64, now: Time) -> Self {
        let was_idle = load == 0 && desired.is_some_and(|desired| desired <= rules.min);
        let since = if was_idle { Time(now.0.saturating_sub(rules.idle.0)) } else { now };
        Self {
            rules,
            desired: desired.map_or(rules.wanted(load), |desired| rules.bounded(desired)),
            may_shrink: now,
            low: None,
            empty: (load == 0).then_some(since),
            edited: false,
        }
    }

    /// How many executors it holds, taken and warm.
    #[must_use]
    pub fn desired(&self) -> u64 {
        self.desired
    }

    /// How many of them are warm.
    #[must_use]
    pub fn warm(&self, load: u64) -> u64 {
        self.desired.saturating_sub(load)
    }

    /// Somebody edited it: that is a sign of life.
    pub fn set_rules(&mut self, rules: PoolRules, now: Time) {
        if self.rules != rules {
            self.rules = rules;
            self.low = None;
            self.empty = self.empty.map(|_| now);
            self.edited = true;
        }
    }

    /// The pool at this time, with so many taken. To be called when that changes, and at [`next_change`](Self::next_change).
    pub fn size(&mut self, load: u64, now: Time) -> Option<Resized> {
        self.watch(load, now);
        let rules = self.rules;
        let decided = self.decide(load, now);
        self.edited = false;
        let (to, cause) = decided?;
        let resized = Resized { from: self.desired, to, cause, load, rules };
        if to > self.desired {
            self.may_shrink = now + rules.stabilization + rules.stabilization;
        }
        self.desired = to;
        self.low = None;
        self.watch(load, now);
        Some(resized)
    }

    /// When it may shrink, if the load stays as it is.
    #[must_use]
    pub fn next_change(&self) -> Option<Time> {
        let idles = self.empty.filter(|_| self.desired > self.rules.min).map(|since| since + self.rules.idle);
        let shrinks = self.low.filter(|_| self.empty.is_none()).map(|(since, _)| since + self.rules.stabilization);
        idles.or(shrinks).map(|time| time.max(self.may_shrink))
    }

    fn watch(&mut self, load: u64, now: Time) {
        self.empty = if load == 0 { self.empty.or(Some(now)) } else { None };
        let wanted = self.rules.wanted(load);
        let is_low = wanted < self.desired && PoolRules::is_below(load, self.rules.shrink_below, self.desired);
        self.low = is_low.then(|| match self.low {
            Some((since, most)) => (since, most.max(wanted)),
            None => (now, wanted),
        });
    }

    fn decide(&self, load: u64, now: Time) -> Option<(u64, Cause)> {
        let Self { rules, desired, .. } = *self;
        if rules.bounded(desired) != desired {
            return Some((rules.bounded(desired), Cause::Bounds));
        }
        let is_idle = self.empty.is_some_and(|since| now >= since + rules.idle);
        let wanted = rules.wanted(load);
        if wanted > desired && PoolRules::is_above(load, rules.grow_above, desired) {
            return Some((wanted, Cause::Full));
        }
        if wanted > desired && (load > 0 || self.edited) && load.saturating_add(rules.warm) > desired {
            return Some((wanted, Cause::WarmTaken));
        }
        if now < self.may_shrink {
            None
        } else if is_idle {
            (desired > rules.min).then_some((rules.min, Cause::Idle))
        } else {
            let (since, most) = self.low.filter(|_| load > 0)?;
            (now >= since + rules.stabilization).then_some((most, Cause::Oversized))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn rules() -> PoolRules {
        PoolRules {
            min: 1,
            max: 20,
            warm: 2,
            grow_above: 80,
            shrink_below: 40,
            stabilization: Span(5 * MINUTE),
            idle: Span(10 * MINUTE),
        }
    }

    /// A pool and the clock: what happens to it when the load is so much for so long, woken as it asks for.
    struct Life {
        pool: Pool,
        now: Time,
        changes: Vec<(Time, Resized)>,
    }

    impl Life {
        fn of(rules: PoolRules) -> Self {
            Self { pool: Pool::resume(rules, None, 0, Time(0)), now: Time(0), changes: Vec::new() }
        }

        fn look(&mut self, load: u64) {
            let before = self.pool.desired();
            if let Some(resized) = self.pool.size(load, self.now) {
                assert_eq!((resized.from, resized.to), (before, self.pool.desired()));
                assert_ne!(resized.from, resized.to, "{resized}");
                self.changes.push((self.now, resized));
            }
            assert_eq!(self.pool.size(load, self.now), None, "one step is the whole way");
            assert!(self.pool.next_change().is_none_or(|next| next > self.now));
        }

        fn bear(&mut self, load: u64, time: i64) -> &mut Self {
            let until = Time(self.now.0 + time);
            self.look(load);
            while let Some(next) = self.pool.next_change().filter(|next| *next <= until) {
                self.now = next;
                self.look(load);
            }
            self.now = until;
            self
        }

        fn told(&self) -> Vec<String> {
            self.changes.iter().map(|(at, it)| format!("{}: {} {it}", at.0 / MINUTE, it.cause.as_str())).collect()
        }
    }

    #[test]
    fn it_grows_at_once_shrinks_when_it_has_been_too_large_and_idles() {
        let mut life = Life::of(rules());
        life.bear(0, MINUTE).bear(8, 20 * MINUTE).bear(2, 30 * MINUTE).bear(0, 30 * MINUTE).bear(1, MINUTE);
        assert_eq!(
            life.told(),
            [
                "1: PoolFull from 2 to 10 executors: 8 taken are more than 80 % of 2",
                "26: PoolOversized from 10 to 4 executors: less than 40 % of 10 taken for 300 s",
                "61: PoolIdle from 4 to 1 executors: none taken for 600 s",
                "81: PoolFull from 1 to 3 executors: 1 taken are more than 80 % of 1",
            ]
        );
    }

    #[test]
    fn an_edit_of_its_bounds_holds_at_once_and_an_edit_wakes_one_that_is_idle() {
        let mut life = Life::of(PoolRules { warm: 0, ..rules() });
        life.bear(16, MINUTE);
        life.pool.set_rules(PoolRules { max: 6, warm: 0, ..rules() }, life.now);
        life.bear(16, 60 * MINUTE).bear(0, 60 * MINUTE);
        life.pool.set_rules(rules(), life.now);
        life.bear(0, MINUTE);
        let sizes: Vec<_> = life.changes.iter().map(|(_, it)| (it.to, it.cause)).collect();
        assert_eq!(sizes, [(20, Cause::Full), (6, Cause::Bounds), (1, Cause::Idle), (2, Cause::WarmTaken)]);
    }

    #[test]
    fn who_takes_over_changes_nothing_that_was_decided() {
        let mut life = Life::of(rules());
        life.bear(5, 3 * MINUTE);
        for load in [5, 0] {
            let mut other = Pool::resume(rules(), Some(life.pool.desired()), load, life.now);
            assert_eq!(other.size(load, life.now), None);
        }
        life.bear(0, 60 * MINUTE);
        assert_eq!(life.pool.desired(), 1);
        let mut other = Pool::resume(rules(), Some(1), 0, life.now);
        assert_eq!(other.size(0, life.now), None, "it was idle, and still is");
        assert_eq!(Pool::resume(rules(), None, 30, life.now).desired(), 20);
    }

    fn any_rules() -> impl Strategy<Value = PoolRules> {
        let bounds = (0..10_u64, 0..40_u64, 0..10_u64, 2..=100_u32, 0..=100_u32, 1..20_i64, 0..40_i64);
        bounds.prop_map(|(min, more, warm, grow_above, below, stabilization, idle)| PoolRules {
            min,
            max: min + more,
            warm: warm.min(min + more),
            grow_above,
            shrink_below: below % grow_above,
            stabilization: Span(stabilization * MINUTE),
            idle: Span(idle * MINUTE),
        })
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_and_never_gives_up_what_is_taken(
            rules in any_rules(), loads in prop::collection::vec((0..60_u64, 0..30_i64), 1..40),
        ) {
            let mut life = Life::of(rules);
            for (load, minutes) in loads {
                let before = life.changes.len();
                life.bear(load, minutes * MINUTE);
                prop_assert!((rules.min..=rules.max).contains(&life.pool.desired()));
                prop_assert!(life.pool.desired() >= load.min(rules.max));
                for (_, resized) in &life.changes[before..] {
                    prop_assert!(resized.to >= load.min(rules.max), "{resized}");
                }
            }
        }

        #[test]
        fn a_constant_load_changes_it_once_at_most(
            rules in any_rules(), desired in prop::option::of(0..50_u64), load in 0..60_u64,
        ) {
            let mut life = Life::of(rules);
            life.pool = Pool::resume(rules, desired.map(|desired| rules.bounded(desired)), load, life.now);
            life.bear(load, 1000 * MINUTE);
            prop_assert!(life.changes.len() <= 1, "{:?}", life.told());
        }

        /// Whatever the load does: two changes in two windows.
        #[test]
        fn it_changes_once_a_window_at_most_over_time(
            rules in any_rules(), high in 0..60_u64, low in 0..60_u64, up in 1..60_i64, down in 1..60_i64,
        ) {
            let mut life = Life::of(rules);
            for _ in 0..50 {
                life.bear(high, up * MINUTE).bear(low, down * MINUTE);
            }
            let windows = 50 * (up + down) * MINUTE / rules.stabilization.0;
            prop_assert!(life.changes.len() <= usize::try_from(windows).unwrap() + 3, "{:?}", life.told());
        }
    }
}
