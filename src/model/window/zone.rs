//! Time zones by their IANA names, from the database that is compiled in.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::model::Time;

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: Box<str>,
    rules: TimeZone,
}

// Zones of one name have the same rules.
impl std::hash::Hash for Zone {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Zone {
    /// The zone with this IANA name: `Europe/Berlin`, `UTC`. `None`: there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
        let rules = DATABASE.get_or_init(TimeZoneDatabase::bundled).get(name).ok()?;
        Some(Self { name: name.into(), rules })
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The day that the calendar shows.
    #[must_use]
    pub fn date_of(&self, time: Time) -> Date {
        self.rules.to_datetime(timestamp(time)).date()
    }

    /// What the clock shows, for people: `2026-11-26 09:00 Europe/Berlin`.
    #[must_use]
    pub fn show(&self, time: Time) -> String {
        let wall = self.rules.to_datetime(timestamp(time));
        format!("{} {:02}:{:02} {}", wall.date(), wall.hour(), wall.minute(), self.name)
    }

    /// The moment at which the clock shows `wall`: where it comes twice, the first; where it is skipped, the jump.
    #[must_use]
    pub fn instant(&self, wall: DateTime) -> Time {
        let ambiguous = self.rules.to_ambiguous_timestamp(wall);
        let found = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier(),
            AmbiguousOffset::Gap { .. } => ambiguous.later().map(|after| self.jump_before(after)),
        };
        let end_of_time = if wall.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Time(found.unwrap_or(end_of_time).as_millisecond())
    }

    /// The change of the clock at or before a moment.
    fn jump_before(&self, moment: Timestamp) -> Timestamp {
        let just_after = moment.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(moment);
        self.rules.preceding(just_after).next().map_or(moment, |jump| jump.timestamp())
    }
}

fn timestamp(time: Time) -> Timestamp {
    let end_of_time = if time.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(time.0).unwrap_or(end_of_time)
}
