//! How long runs of an operation took.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{ObjectKey, RunTimes, Span};

/// How many of the last runs count.
const REMEMBERED: usize = 16;
/// So many times what runs of others are expected to take, a run of which nothing is known is. Of operations that are new at one
/// time those are known first whose runs are short, and who is thought to end soon and does not is not waited for in the end.
const UNKNOWN: u64 = 4;

/// How long the last runs of an operation took.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Seconds, the newest last.
    recent: VecDeque<u32>,
    /// What an earlier keeper left, until a run has ended.
    continued: Option<RunTimes>,
}

impl History {
    /// As an earlier keeper left it in the operation's status.
    #[must_use]
    pub fn continued(times: RunTimes) -> Self {
        Self { recent: VecDeque::new(), continued: Some(times) }
    }

    /// A run succeeded after so long.
    pub fn record(&mut self, took: Span) {
        self.recent.extend(self.continued.take().map(|times| times.p50));
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(u32::try_from((took.0.max(0) + 999) / 1000).unwrap_or(u32::MAX));
    }

    /// Median and 95th percentile, where there is any.
    #[must_use]
    pub fn times(&self) -> Option<RunTimes> {
        if self.continued.is_some() {
            return self.continued;
        }
        let mut sorted: Vec<u32> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(RunTimes { p50: at(50)?, p95: at(95)? })
    }

    /// How long the next is expected to take: the median, rounded up to one of four steps for each doubling, so that what waits is
    /// seldom looked at anew for a second more or less.
    #[must_use]
    pub fn expected(&self) -> Option<Span> {
        Some(stepped(self.times()?.p50))
    }
}

/// What runs of each operation are expected to take, where that is known; by it, what those of others may.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    known: BTreeMap<ObjectKey, Span>,
    /// Of all of them, in seconds.
    sum: u64,
}

impl Expectations {
    /// That is what is known of an operation from now on.
    pub fn set(&mut self, key: &ObjectKey, expected: Option<Span>) {
        let before = match expected {
            Some(expected) => self.known.insert(key.clone(), expected),
            None => self.known.remove(key),
        };
        self.sum = self.sum + expected.map_or(0, seconds) - before.map_or(0, seconds);
    }

    /// How long a run may take of which nothing is known: four times the mean, rounded up to a power of two of seconds, so that
    /// it seldom changes. `None` where nothing is known of any.
    #[must_use]
    pub fn of_unknown(&self) -> Option<Span> {
        let mean = self.sum.checked_div(self.known.len() as u64)?;
        Some(Span::seconds(i64::try_from((mean * UNKNOWN).next_power_of_two()).unwrap_or(i64::MAX)))
    }
}

fn seconds(span: Span) -> u64 {
    u64::try_from(span.0 / 1000).unwrap_or(0)
}

/// Seconds, rounded up to one of four steps for each doubling.
#[must_use]
pub fn stepped(seconds: u32) -> Span {
    let seconds = seconds.max(1);
    let step = (1_u32 << seconds.ilog2()) / 4;
    Span::seconds(i64::from(seconds.div_ceil(step.max(1))) * i64::from(step.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seconds: &[i64]) -> History {
        let mut history = History::default();
        seconds.iter().for_each(|took| history.record(Span::seconds(*took)));
        history
    }

    #[test]
    fn the_median_of_the_last_runs_is_expected() {
        assert_eq!(History::default().times(), None);
        assert_eq!(history(&[7]).times(), Some(RunTimes { p50: 7, p95: 7 }));
        assert_eq!(history(&[10, 1000, 20]).times(), Some(RunTimes { p50: 20, p95: 1000 }));
        let long_ago: Vec<i64> = [5000; 20].into_iter().chain([60; 16]).collect();
        assert_eq!(history(&long_ago).times(), Some(RunTimes { p50: 60, p95: 60 }));
    }

    #[test]
    fn a_second_more_or_less_changes_nothing_that_is_expected() {
        let expected = |took| history(&[took]).expected().map(|span| span.0 / 1000);
        assert_eq!(expected(0), Some(1));
        assert_eq!(expected(3), Some(3));
        assert_eq!([expected(600), expected(630), expected(640)], [Some(640), Some(640), Some(640)]);
        assert_eq!(expected(641), Some(768));
    }

    #[test]
    fn what_nothing_is_known_of_is_expected_to_take_four_times_what_others_do() {
        let (one, other) = (ObjectKey::new("jobs", "one"), ObjectKey::new("jobs", "other"));
        let mut known = Expectations::default();
        assert_eq!(known.of_unknown(), None);
        known.set(&one, Some(Span::seconds(100)));
        assert_eq!(known.of_unknown(), Some(Span::seconds(512)));
        known.set(&other, Some(Span::seconds(1000)));
        assert_eq!(known.of_unknown(), Some(Span::seconds(4096)));
        known.set(&other, Some(Span::seconds(156)));
        assert_eq!(known.of_unknown(), Some(Span::seconds(512)));
        known.set(&one, None);
        known.set(&one, None);
        assert_eq!(known.of_unknown(), Some(Span::seconds(1024)));
        known.set(&other, None);
        assert_eq!(known.of_unknown(), None);
    }

    #[test]
    fn what_an_earlier_keeper_left_counts_as_one_run() {
        let mut history = History::continued(RunTimes { p50: 100, p95: 400 });
        assert_eq!(history.times(), Some(RunTimes { p50: 100, p95: 400 }));
        history.record(Span::seconds(50));
        history.record(Span::seconds(50));
        assert_eq!(history.times(), Some(RunTimes { p50: 50, p95: 100 }));
    }
}
