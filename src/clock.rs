//! The only place that asks the time. Knows the wall clock once, at the start, and counts on monotonically from there:
//! a clock that is set back or forth while the keeper runs changes nothing for the jobs that wait.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::{Span, Time};

/// Tells the time to everything else. Cheap to copy; all copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_at_start: Time,
    start: Instant,
}

impl Clock {
    /// Reads the wall clock, once.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall_at_start: Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)), start: Instant::now() }
    }

    /// The moment now, as people and the API server name it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.time_at(self.instant())
    }

    /// The moment now on the monotonic clock: for leases and deadlines.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// What the wall clock would have shown at that instant.
    #[must_use]
    pub fn time_at(&self, instant: Instant) -> Time {
        let elapsed = instant.saturating_duration_since(self.start);
        self.wall_at_start + Span(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// The instant of a moment; moments before the start are the start.
    #[must_use]
    pub fn instant_of(&self, time: Time) -> Instant {
        let ahead = u64::try_from((time - self.wall_at_start).0).unwrap_or(0);
        let far = std::time::Duration::from_hours(8760);
        self.start + std::time::Duration::from_millis(ahead).min(far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_found_again_on_the_monotonic_clock() {
        let clock = Clock::start();
        let later = clock.now() + Span::seconds(5);
        assert_eq!(clock.time_at(clock.instant_of(later)), later);
    }

    #[test]
    fn moments_beyond_reason_do_not_overflow() {
        let clock = Clock::start();
        assert_eq!(clock.instant_of(Time(i64::MIN)), clock.start);
        assert!(clock.instant_of(Time(i64::MAX)) > clock.start);
    }
}
