//! How often something may be done.

use super::{Span, Time};

/// Some times at once, then steadily: what is not used is saved up to the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// Until when what was done would have kept busy who does it steadily.
    busy_until: Time,
}

impl Allowance {
    /// When it may be done next, if it may be done `at_once` times at once and then `every` so long.
    #[must_use]
    pub fn opens(self, at_once: i64, every: Span) -> Time {
        Time(self.busy_until.0.saturating_sub(every.0.saturating_mul(at_once.saturating_sub(1))))
    }

    /// It was done.
    pub fn take(&mut self, now: Time, every: Span) {
        self.busy_until = self.busy_until.max(now) + every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_after_the_other() {
        let (at_once, every) = (3, Span::seconds(10));
        let mut allowance = Allowance::default();
        let mut done = Vec::new();
        for second in 1_000..1_100 {
            let now = Time(second * 1000);
            while allowance.opens(at_once, every) <= now {
                allowance.take(now, every);
                done.push(second);
            }
        }
        assert_eq!(done, [1000, 1000, 1000, 1010, 1020, 1030, 1040, 1050, 1060, 1070, 1080, 1090]);
    }
}
