//! How many applications may stand in line before the spark-operator. Nobody passes another there, so most wait here instead,
//! where they have an order. See `docs/decisions/0013-pacing.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::lane::ClusterNumber;
use crate::model::{RunId, Settings, Span, Time};

/// The line may be as long as what the spark-operator takes up in so many seconds.
const SECONDS: u64 = 6;
/// However slow it is: it hands in ten at once, so the tenth waits for nobody.
const LEAST: usize = 10;
/// How long the line stands until what was observed before counts half.
const MEMORY: Span = Span::seconds(20);
/// What is taken for observed at first: two a second, in thousandths of applications.
const SUPPOSED: (u64, Span) = (10_000, Span::seconds(5));

/// The line before the spark-operator, and how fast it moves.
#[derive(Debug)]
pub(super) struct Pace {
    /// Runs that are granted and not yet taken up, and since when.
    line: BTreeMap<RunId, Time>,
    by_time: BTreeSet<(Time, RunId)>,
    /// Clusters that say how long the line may be for them.
    bounds: BTreeSet<(usize, ClusterNumber)>,
    /// Thousandths of applications that were taken up.
    taken: u64,
    /// In so much time in which somebody stood in line.
    busy: Span,
    now: Time,
    /// How long a run stands in line at most.
    pub(super) patience: Span,
    /// Whether the line was as long as the pace allows, and how long it was, when that was told last.
    told: (bool, usize),
}

impl Pace {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            line: BTreeMap::new(),
            by_time: BTreeSet::new(),
            bounds: BTreeSet::new(),
            taken: SUPPOSED.0,
            busy: SUPPOSED.1,
            now: Time::default(),
            patience: settings.operator_absent,
            told: (false, 0),
        }
    }

    /// Runs in line.
    pub(super) fn in_line(&self) -> usize {
        self.line.len()
    }

    /// Thousandths of applications that the spark-operator takes up in a second, as observed.
    pub(super) fn rate(&self) -> u64 {
        self.taken * 1000 / self.busy.0.max(1).unsigned_abs()
    }

    /// How long the line may be, by the rate.
    pub(super) fn window(&self) -> usize {
        usize::try_from(self.rate() * SECONDS / 1000).unwrap_or(usize::MAX).max(LEAST)
    }

    /// Whether the line is as long as it may be.
    pub(super) fn is_full(&self, bound: Option<u32>) -> bool {
        self.in_line() >= self.window() || bound.is_some_and(|bound| self.in_line() >= bound as usize)
    }

    /// It is this late. Who has stood in line for too long is not waited for any more: the spark-operator may be told to
    /// leave its namespace alone.
    pub(super) fn pass_time(&mut self, now: Time) {
        let elapsed = now - self.now;
        self.now = self.now.max(now);
        if !self.line.is_empty() && elapsed > Span(0) {
            while self.busy >= MEMORY {
                (self.busy, self.taken) = (Span(self.busy.0 / 2), self.taken / 2);
            }
            self.busy = Span(self.busy.0.saturating_add(elapsed.0));
        }
        while let Some((_, run)) = self.by_time.first().filter(|(since, _)| *since + self.patience <= now).cloned() {
            self.leave(&run);
        }
    }

    /// When the first in line will have stood there for too long, where that lets somebody else into it.
    pub(super) fn next_impatience(&self) -> Option<Time> {
        let bound = self.bounds.first().and_then(|(bound, _)| u32::try_from(*bound).ok());
        let first = self.by_time.first().filter(|_| self.is_full(bound));
        first.map(|(since, _)| *since + self.patience)
    }

    /// A run stands in line from now on, also if it did before.
    pub(super) fn join(&mut self, run: &RunId) {
        if let Some(since) = self.line.insert(run.clone(), self.now) {
            self.by_time.remove(&(since, run.clone()));
        }
        self.by_time.insert((self.now, run.clone()));
    }

    /// The spark-operator was seen to take a run up.
    pub(super) fn take_up(&mut self, run: &RunId) {
        if self.leave(run) {
            self.taken += 1000;
        }
    }

    /// A run stands in line no more. Tells whether it did.
    pub(super) fn leave(&mut self, run: &RunId) -> bool {
        let Some(since) = self.line.remove(run) else { return false };
        self.by_time.remove(&(since, run.clone()))
    }

    /// How long the line may be for a cluster is another number. Tells whether it is.
    pub(super) fn set_bound(&mut self, cluster: ClusterNumber, before: Option<u32>, bound: Option<u32>) -> bool {
        if let Some(before) = before {
            self.bounds.remove(&(before as usize, cluster));
        }
        self.bounds.extend(bound.map(|bound| (bound as usize, cluster)));
        before != bound
    }

    /// Whether the pace stops others now than when that was told last.
    pub(super) fn has_turned(&self) -> bool {
        self.told.0 != self.is_full(None) || self.passed(self.told.1).next().is_some()
    }

    /// Whether the pace stops everybody now that did not before, or the other way round; and the clusters of which it does.
    pub(super) fn turned(&mut self) -> (bool, Vec<ClusterNumber>) {
        let now = (self.is_full(None), self.in_line());
        let (was_full, was_long) = std::mem::replace(&mut self.told, now);
        (was_full != now.0, self.passed(was_long).collect())
    }

    /// Clusters whose bound lies between how long the line was and how long it is.
    fn passed(&self, was_long: usize) -> impl Iterator<Item = ClusterNumber> {
        let (short, long) = (was_long.min(self.in_line()), was_long.max(self.in_line()));
        self.bounds.range((short + 1, 0)..(long + 1, 0)).map(|(_, cluster)| *cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u32) -> RunId {
        RunId { job: "job".into(), number }
    }

    fn pace() -> Pace {
        let mut pace = Pace::new(&Settings::default());
        pace.pass_time(Time(1_700_000_000_000));
        pace
    }

    /// So many are always in line as may be, and one is taken up every so many milliseconds.
    fn keep_busy(pace: &mut Pace, every: i64, seconds: i64, first: u32) -> u32 {
        let (mut next, mut oldest) = (first, first);
        for _ in 0..seconds * 1000 / every {
            while !pace.is_full(None) {
                pace.join(&run(next));
                next += 1;
            }
            pace.pass_time(pace.now + Span(every));
            pace.take_up(&run(oldest));
            oldest += 1;
        }
        next
    }

    #[test]
    fn the_line_is_as_long_as_what_is_taken_up_in_six_seconds() {
        let mut pace = pace();
        assert_eq!((pace.rate(), pace.window()), (2000, 12));
        let next = keep_busy(&mut pace, 455, 60, 0);
        assert!((2150..2250).contains(&pace.rate()), "{}", pace.rate());
        assert_eq!(pace.window(), 13);
        keep_busy(&mut pace, 20, 60, next);
        assert!((295..=305).contains(&pace.window()), "{}", pace.window());
    }

    #[test]
    fn a_slow_one_has_ten_to_take_up() {
        let mut pace = pace();
        keep_busy(&mut pace, 5000, 600, 0);
        assert!(pace.rate() < 300, "{}", pace.rate());
        assert_eq!(pace.window(), LEAST);
    }

    #[test]
    fn time_in_which_nobody_stands_in_line_tells_nothing() {
        let mut pace = pace();
        let rate = pace.rate();
        pace.pass_time(pace.now + Span::seconds(86_400));
        assert_eq!(pace.rate(), rate);
    }

    #[test]
    fn who_is_left_alone_holds_nobody_up() {
        let mut pace = pace();
        pace.join(&run(1));
        assert_eq!((pace.is_full(Some(1)), pace.is_full(Some(2)), pace.next_impatience()), (true, false, None));
        pace.set_bound(0, None, Some(1));
        assert_eq!(pace.next_impatience(), Some(pace.now + pace.patience));
        pace.pass_time(pace.now + pace.patience);
        assert_eq!((pace.in_line(), pace.is_full(Some(1)), pace.next_impatience()), (0, false, None));
        let rate = pace.rate();
        pace.take_up(&run(1));
        assert_eq!(pace.rate(), rate);
    }

    #[test]
    fn clusters_whose_bound_was_passed_turn() {
        let mut pace = pace();
        for (cluster, bound) in [(0, 1), (1, 2), (2, 3)] {
            pace.set_bound(cluster, None, Some(bound));
        }
        pace.join(&run(1));
        pace.join(&run(2));
        assert_eq!(pace.turned(), (false, vec![0, 1]));
        assert_eq!(pace.turned(), (false, vec![]));
        pace.leave(&run(1));
        assert_eq!(pace.turned(), (false, vec![1]));
    }
}
