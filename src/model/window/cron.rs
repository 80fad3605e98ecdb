//! Cron expressions of five fields, as Vixie's cron reads them: minute, hour, day of the month, month, day of the week.

use jiff::civil::{Date, Time};

use super::monday_is_zero;

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is 0.
    weekdays: u64,
    /// Days of the month and of the week both restrict: then a day needs only one of them.
    either_day: bool,
}

/// One field: its name, its range, and words for its numbers from the lowest on.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// Sunday is 0 and 7.
const WEEKDAY: Field =
    Field { name: "day of the week", least: 0, most: 7, words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Cron {
    /// Reads an expression: `0 8 * * MON-FRI`, `*/15 9-17 1,15 * *`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    ///
    /// # Errors
    /// In words, which field is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "has {} fields, but needs five: minute, hour, day of the month, month, day of the week",
                fields.len()
            ));
        };
        let weekdays = WEEKDAY.parse(weekday)?;
        Ok(Self {
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !is_free(day) && !is_free(weekday),
        })
    }

    /// The times of a day at which it fires, the earliest first.
    pub(super) fn times_of(&self, date: Date) -> impl Iterator<Item = Time> + '_ {
        let hours = if self.is_on(date) { self.hours } else { 0 };
        let minutes = bits(self.minutes);
        bits(hours)
            .flat_map(move |hour| minutes.clone().map(move |minute| (hour, minute)))
            .filter_map(|(hour, minute)| Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok())
    }

    fn is_on(&self, date: Date) -> bool {
        let has = |set: u64, number: u8| set >> number & 1 == 1;
        let day = has(self.days, date.day().unsigned_abs());
        let weekday = has(self.weekdays, (monday_is_zero(date.weekday()) + 1) % 7);
        let on_day = if self.either_day { day || weekday } else { day && weekday };
        on_day && has(self.months, date.month().unsigned_abs())
    }
}

fn bits(set: u64) -> impl Iterator<Item = u8> + Clone {
    (0..64).filter(move |bit| set >> bit & 1 == 1)
}

/// A field that begins with a star restricts nothing by itself, whatever its step.
fn is_free(text: &str) -> bool {
    text.starts_with(['*', '?'])
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, item| Ok(set | self.item(item)?))
    }

    /// `*`, `5`, `1-5`, each with an optional `/step`.
    fn item(&self, item: &str) -> Result<u64, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => {
                let number = step.parse::<u8>().ok().filter(|step| *step > 0);
                (range, Some(number.ok_or_else(|| self.odd(item, "a step is a number above 0"))?))
            }
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.least, self.most),
            Some((from, to)) => (self.number(from, item)?, self.number(to, item)?),
            None => {
                let number = self.number(range, item)?;
                // `5/10` means from 5 on.
                (number, if step.is_some() { self.most } else { number })
            }
        };
        if from > to {
            return Err(self.odd(item, "a range goes from the lower to the higher"));
        }
        Ok((from..=to).step_by(usize::from(step.unwrap_or(1))).fold(0, |set, number| set | 1 << number))
    }

    fn number(&self, text: &str, item: &str) -> Result<u8, String> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let word = word.and_then(|place| u8::try_from(place).ok()).map(|place| place + self.least);
        let plain = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let found: Option<u8> = word.or_else(plain);
        found
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| self.odd(item, &format!("numbers are {} to {}", self.least, self.most)))
    }

    fn odd(&self, item: &str, rule: &str) -> String {
        format!("{}: {item:?} cannot be understood: {rule}", self.name)
    }
}
