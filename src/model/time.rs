//! Instants and spans. The core never asks the time: it is told.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::Timestamp;

/// A moment: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// A length of time in milliseconds. Prints as people say it: `45s`, `2m10s`, `3h05m`, `2d04h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub i64);

/// To the minute, for people: `2026-11-26 14:02 UTC`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_millisecond(self.0).unwrap_or_default();
        write!(f, "{}", time.strftime("%Y-%m-%d %H:%M UTC"))
    }
}

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.max(0) / 1000;
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match () {
            () if days > 0 => write!(f, "{days}d{:02}h", hours % 24),
            () if hours > 0 => write!(f, "{hours}h{:02}m", minutes % 60),
            () if minutes > 0 => write!(f, "{minutes}m{:02}s", seconds % 60),
            () => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        let shown: Vec<String> = [0, 45, 130, 11_100, 187_200].map(|s| Span::seconds(s).to_string()).into();
        assert_eq!(shown, ["0s", "45s", "2m10s", "3h05m", "2d04h"]);
    }

    #[test]
    fn a_clock_that_went_back_shows_nothing_negative() {
        assert_eq!((Time(0) - Time(5_000)).to_string(), "0s");
    }
}
