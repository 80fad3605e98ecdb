//! Recurring spans of wall-clock time, such as business hours: when they open and when they close, in any time zone.
//!
//! What a wall time means where clocks change is one rule, for every kind of schedule: a time that is skipped means the
//! moment of the jump, one that comes twice means its first. So a window is never longer than its clock shows.
//! The rules of time zones are compiled in: every keeper of one version gives the same answer.

mod cron;
mod zone;

use jiff::civil::{Date, Weekday};

pub use cron::Cron;
pub use zone::Zone;

use super::name::Name;
use super::{Span, Time};

/// How far ahead a window is searched for its next opening: 29 February can be eight years away.
const HORIZON_DAYS: i32 = 8 * 366;
/// A window whose spans run into each other without end is looked at again after so many days.
const MERGED_DAYS: i32 = 9;

/// A named recurring span of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its name within its cluster.
    pub name: Name,
    /// Where its wall clock hangs.
    pub zone: Zone,
    /// When it opens and closes.
    pub recurrence: Recurrence,
}

/// When a window opens and closes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recurrence {
    /// Opens as a cron expression says, for so long as a stopwatch shows.
    Cron(Cron, Span),
    /// Opens on these days of the week at a time of the day, and closes at another, of the same day or else of the next.
    Days(Days),
}

/// Days of the week with a time of the day to open and one to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days {
    /// A bit for each day on which it opens, Monday the lowest.
    pub days: u8,
    /// Minutes after midnight at which it opens.
    pub from: u16,
    /// Minutes after midnight at which it closes, up to 1440; not above `from`: on the next day.
    pub to: u16,
}

/// Whether a window is open at a time, and until when it stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aperture {
    /// It is open.
    pub open: bool,
    /// When that changes, or at least when to look again; `None`: never.
    pub until: Option<Time>,
}

impl Window {
    /// Whether it is open, and until when.
    #[must_use]
    pub fn at(&self, now: Time) -> Aperture {
        let today = self.zone.date_of(now);
        let mut closes: Option<Time> = None;
        let mut date = self.first_relevant(now);
        while let Some(days_ahead) = days_between(today, date).filter(|days| *days <= HORIZON_DAYS) {
            for (opens, ends) in self.spans_of(date).filter(|(opens, ends)| opens < ends) {
                match closes {
                    None if ends <= now => {}
                    None if opens > now => return Aperture { open: false, until: Some(opens) },
                    None => closes = Some(ends),
                    Some(until) if opens > until => return Aperture { open: true, until: Some(until) },
                    Some(until) => closes = Some(until.max(ends)),
                }
            }
            let is_past = closes.is_some_and(|until| self.zone.date_of(until) < date);
            if is_past || (closes.is_some() && days_ahead > MERGED_DAYS) {
                break;
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        Aperture { open: closes.is_some(), until: closes }
    }

    /// Whether it opens at all.
    #[must_use]
    pub fn ever_opens(&self) -> bool {
        let aperture = self.at(Time(0));
        aperture.open || aperture.until.is_some()
    }

    /// The first day whose spans can reach to `now`.
    fn first_relevant(&self, now: Time) -> Date {
        let reach = match &self.recurrence {
            Recurrence::Cron(_, length) => *length,
            Recurrence::Days(_) => Span::seconds(2 * 86_400),
        };
        let date = self.zone.date_of(Time(now.0.saturating_sub(reach.0)));
        date.yesterday().unwrap_or(date)
    }

    /// The spans that open on a day, the earliest first.
    fn spans_of(&self, date: Date) -> Box<dyn Iterator<Item = (Time, Time)> + '_> {
        match &self.recurrence {
            Recurrence::Cron(cron, length) => {
                let length = *length;
                let opens = cron.times_of(date).map(move |time| self.zone.instant(date.to_datetime(time)));
                Box::new(opens.map(move |opens| (opens, opens + length)))
            }
            Recurrence::Days(days) => Box::new(days.span_of(date, &self.zone).into_iter()),
        }
    }
}

impl Days {
    fn span_of(self, date: Date, zone: &Zone) -> Option<(Time, Time)> {
        if self.days >> monday_is_zero(date.weekday()) & 1 == 0 {
            return None;
        }
        let ends_on = if self.to <= self.from { date.tomorrow().ok()? } else { date };
        Some((wall(date, self.from, zone)?, wall(ends_on, self.to, zone)?))
    }
}

/// The moment at which the clock shows so many minutes after midnight; 1440 is midnight of the next day.
fn wall(date: Date, minutes: u16, zone: &Zone) -> Option<Time> {
    let (date, minutes) = if minutes < 1440 { (date, minutes) } else { (date.tomorrow().ok()?, minutes - 1440) };
    let time = jiff::civil::Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
    Some(zone.instant(date.to_datetime(time)))
}

fn monday_is_zero(weekday: Weekday) -> u8 {
    weekday.to_monday_zero_offset().unsigned_abs()
}

fn days_between(from: Date, to: Date) -> Option<i32> {
    from.until(to).ok().map(|span| span.get_days())
}

#[cfg(test)]
mod tests;
