//! How many executors a cluster's pool holds: those that are taken, and warm ones. See `docs/decisions/0014-the-pool.md`.
//!
//! Everything is counted in units of the pool. Pure: what has to be remembered is in [`Pool`], the time comes from outside.

use crate::model::{Cause, Load, PoolRules, Resized, Time};

/// A pool, and since when it has been too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    rules: PoolRules,
    desired: u64,
    /// Before this it grows only where more is taken than it holds: it has just changed.
    may_grow: Time,
    /// It does not shrink before this.
    may_shrink: Time,
    /// Since when it has been larger than it need be, and the most that was wanted since.
    low: Option<(Time, u64)>,
    /// Since when no run has been alive; the pool is idle when that is long ago.
    empty: Option<Time>,
    /// Its rules are others than when it changed last: it need not be nearly empty to be too large.
    is_revised: bool,
    /// Its rules are others than at the last look.
    is_edited: bool,
}

impl Pool {
    /// A pool as it was left, or a new one. Whatever it waited for, it waits for anew: but one that was idle still is.
    #[must_use]
    pub fn resume(rules: PoolRules, desired: Option<u64>, load: Load, now: Time) -> Self {
        let was_idle = !load.has_runs && desired.is_some_and(|desired| desired <= rules.min);
        let since = if was_idle { Time(now.0.saturating_sub(rules.idle.0)) } else { now };
        Self {
            rules,
            desired: desired.map_or(rules.wanted(load), |desired| rules.bounded(desired)),
            may_grow: now,
            may_shrink: now,
            low: None,
            empty: (!load.has_runs).then_some(since),
            is_revised: false,
            is_edited: false,
        }
    }

    /// How many executors it holds, taken and warm.
    #[must_use]
    pub fn desired(&self) -> u64 {
        self.desired
    }

    /// How many of them are warm.
    #[must_use]
    pub fn warm(&self, load: Load) -> u64 {
        self.desired.saturating_sub(load.taken)
    }

    /// Somebody edited it: that is a sign of life.
    pub fn set_rules(&mut self, rules: PoolRules, now: Time) {
        if self.rules != rules {
            self.rules = rules;
            self.low = None;
            self.empty = self.empty.map(|_| now);
            (self.is_edited, self.is_revised) = (true, true);
        }
    }

    /// The pool at this time, with this load. To be called when that changes, and at [`next_change`](Self::next_change).
    pub fn size(&mut self, load: Load, now: Time) -> Option<Resized> {
        self.watch(load, now);
        let decided = self.decide(load, now);
        self.is_edited = false;
        let (to, cause) = decided?;
        let resized = Resized { from: self.desired, to, cause, load: load.taken, rules: self.rules };
        let window = self.rules.stabilization;
        self.may_grow = now + window;
        self.may_shrink = now + window;
        if to > self.desired {
            self.may_shrink = self.may_shrink + window;
        }
        self.desired = to;
        (self.low, self.is_revised) = (None, false);
        self.watch(load, now);
        Some(resized)
    }

    /// When it may change, if the load stays as it is.
    #[must_use]
    pub fn next_change(&self, load: Load) -> Option<Time> {
        let idles = self.empty.filter(|_| self.desired > self.least(load)).map(|since| since + self.rules.idle);
        let shrinks =
            self.low.filter(|_| load.has_runs || load.taken > 0).map(|(since, _)| since + self.rules.stabilization);
        let shrinks = idles.into_iter().chain(shrinks).min().map(|time| time.max(self.may_shrink));
        let grows = self.grows(load).map(|_| self.may_grow);
        shrinks.into_iter().chain(grows).min()
    }

    fn watch(&mut self, load: Load, now: Time) {
        self.empty = if load.has_runs { None } else { self.empty.or(Some(now)) };
        let wanted = self.rules.wanted(load);
        self.is_revised &= wanted < self.desired;
        let is_low = wanted < self.desired
            && (self.is_revised || load.is_shut || self.rules.is_too_large(self.desired, load.taken));
        self.low = is_low.then(|| match self.low {
            Some((since, most)) => (since, most.max(wanted)),
            None => (now, wanted),
        });
    }

    /// What it holds when it is idle.
    fn least(&self, load: Load) -> u64 {
        self.rules.bounded(load.taken)
    }

    /// Why it should be larger, if it should.
    fn grows(&self, load: Load) -> Option<Cause> {
        let Self { rules, desired, .. } = self;
        // What is idle holds what is taken, and no more for it to be roomy.
        let is_alive = load.has_runs || self.is_edited || load.taken > *desired;
        if rules.wanted(load) <= *desired || !is_alive {
            return None;
        }
        let lacks_warm = load.taken.saturating_add(rules.warm_for(load)) > *desired;
        if rules.is_too_full(*desired, load.taken) { Some(Cause::Full) } else { lacks_warm.then_some(Cause::WarmTaken) }
    }

    fn decide(&self, load: Load, now: Time) -> Option<(u64, Cause)> {
        let Self { rules, desired, .. } = *self;
        if rules.bounded(desired) != desired {
            return Some((rules.bounded(desired), Cause::Bounds));
        }
        if let Some(cause) = self.grows(load) {
            let is_time = now >= self.may_grow || self.is_edited || load.taken > desired;
            return is_time.then(|| (rules.wanted(load), cause));
        }
        if now < self.may_shrink {
            return None;
        }
        if self.empty.is_some_and(|since| now >= since + rules.idle) && desired > self.least(load) {
            return Some((self.least(load), Cause::Idle));
        }
        // With nothing taken at all it is idle, or about to be: one step, not two.
        let (since, most) = self.low.filter(|_| load.has_runs || load.taken > 0)?;
        (now >= since + rules.stabilization).then_some((most, Cause::Oversized))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Span;

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

    /// So many taken, by runs.
    fn of(taken: u64) -> Load {
        Load { taken, has_runs: taken > 0, is_shut: false }
    }

    /// A pool and the clock: what happens to it when the load is so much for so long, woken as it asks for.
    struct Life {
        pool: Pool,
        now: Time,
        changes: Vec<(Time, Resized)>,
    }

    impl Life {
        fn of(rules: PoolRules) -> Self {
            Self { pool: Pool::resume(rules, None, of(0), Time(0)), now: Time(0), changes: Vec::new() }
        }

        fn look(&mut self, load: u64) {
            let before = self.pool.desired();
            if let Some(resized) = self.pool.size(of(load), self.now) {
                assert_eq!((resized.from, resized.to), (before, self.pool.desired()));
                assert_ne!(resized.from, resized.to, "{resized}");
                self.changes.push((self.now, resized));
            }
            assert_eq!(self.pool.size(of(load), self.now), None, "one step is the whole way");
            assert!(self.pool.next_change(of(load)).is_none_or(|next| next > self.now));
        }

        fn bear(&mut self, load: u64, time: i64) -> &mut Self {
            let until = Time(self.now.0 + time);
            self.look(load);
            while let Some(next) = self.pool.next_change(of(load)).filter(|next| *next <= until) {
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
                "61: PoolIdle from 4 to 1 executors: no run for 600 s",
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
            let mut other = Pool::resume(rules(), Some(life.pool.desired()), of(load), life.now);
            assert_eq!(other.size(of(load), life.now), None);
        }
        life.bear(0, 60 * MINUTE);
        assert_eq!(life.pool.desired(), 1);
        let mut other = Pool::resume(rules(), Some(1), of(0), life.now);
        assert_eq!(other.size(of(0), life.now), None, "it was idle, and still is");
        assert_eq!(Pool::resume(rules(), None, of(30), life.now).desired(), 20);
    }

    #[test]
    fn what_outgrows_it_makes_it_grow_at_once_and_the_rest_waits_for_a_window() {
        let mut life = Life::of(PoolRules { min: 0, warm: 2, ..rules() });
        life.bear(0, 60 * MINUTE);
        for load in 1..=7 {
            life.bear(load, 1000);
        }
        let sizes: Vec<_> = life.changes.iter().map(|(_, it)| (it.load, it.to)).collect();
        assert_eq!(sizes, [(0, 0), (1, 3), (4, 6), (7, 9)]);
        life.bear(8, 60 * MINUTE);
        assert_eq!((life.pool.desired(), life.changes.len()), (10, 5));
    }

    #[test]
    fn nothing_is_warm_while_nothing_can_start_and_strangers_keep_it_from_no_rest() {
        let mut pool = Pool::resume(rules(), None, of(4), Time(0));
        assert_eq!(pool.desired(), 6);
        let shut = Load { is_shut: true, ..of(4) };
        assert_eq!(pool.size(shut, Time(0)), None);
        let later = pool.next_change(shut).unwrap();
        assert_eq!((later, pool.size(shut, later).map(|it| it.to)), (Time(5 * MINUTE), Some(5)));
        let mut pool = Pool::resume(rules(), None, of(4), Time(0));
        let strangers = Load { taken: 4, ..Load::default() };
        assert_eq!(pool.size(strangers, Time(0)), None);
        let idle = pool.next_change(strangers).unwrap();
        assert_eq!(pool.size(strangers, idle).map(|it| (it.to, it.cause)), Some((4, Cause::Idle)));
        assert_eq!(pool.next_change(strangers), None);
    }

    #[test]
    fn what_an_edit_makes_needless_goes_after_a_window() {
        let mut life = Life::of(PoolRules { warm: 15, max: 50, ..rules() });
        life.bear(20, 60 * MINUTE);
        assert_eq!(life.pool.desired(), 35);
        life.pool.set_rules(PoolRules { warm: 0, max: 50, ..rules() }, life.now);
        life.bear(20, 60 * MINUTE);
        assert_eq!(life.pool.desired(), 25);
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
            life.pool = Pool::resume(rules, desired.map(|desired| rules.bounded(desired)), of(load), life.now);
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
