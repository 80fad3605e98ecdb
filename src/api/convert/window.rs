//! A cluster's windows and whom it accepts, as deciding needs them.

use super::job::priority;
use crate::api::v1alpha1::{AcceptSpec, ComputeClusterSpec, WindowSpec};
use crate::model::{Accept, Cron, Days, Name, Recurrence, Span, Window, Zone};

/// Longest time that a window stays open after one opening.
const LONGEST: Span = Span::seconds(31 * 86_400);

/// The windows of a cluster. An error names the field.
pub(super) fn windows(spec: &ComputeClusterSpec) -> Result<Vec<Window>, String> {
    let read = |(number, window): (usize, &WindowSpec)| {
        self::window(window).map_err(|(field, words)| format!("windows[{number}].{field}: {words}"))
    };
    spec.windows.iter().enumerate().map(read).collect()
}

type Wrong = (&'static str, String);

fn window(spec: &WindowSpec) -> Result<Window, Wrong> {
    let zone = spec.time_zone.as_deref().unwrap_or("UTC");
    let window = Window {
        name: spec.name.as_str().into(),
        zone: Zone::named(zone).ok_or_else(|| {
            ("timeZone", format!("{zone:?} is no IANA time zone, such as Europe/Berlin, America/New_York or UTC"))
        })?,
        recurrence: recurrence(spec)?,
    };
    if window.ever_opens() {
        return Ok(window);
    }
    Err(("schedule", format!("{:?} never comes", spec.schedule.as_deref().unwrap_or_default())))
}

fn recurrence(spec: &WindowSpec) -> Result<Recurrence, Wrong> {
    match (&spec.schedule, &spec.duration, &spec.from, &spec.to) {
        (Some(schedule), Some(duration), None, None) => {
            let cron = Cron::parse(schedule).map_err(|words| ("schedule", format!("{schedule:?}: {words}")))?;
            let length = span(duration).filter(|length| (Span::seconds(60)..=LONGEST).contains(length));
            let length = length.ok_or_else(|| {
                (
                    "duration",
                    format!("{duration:?} is no time from 1m to 31d in days, hours and minutes, such as 1h30m"),
                )
            })?;
            Ok(Recurrence::Cron(cron, length))
        }
        (None, None, Some(from), Some(to)) => Ok(Recurrence::Days(Days {
            days: if spec.days.is_empty() { 0x7f } else { spec.days.iter().fold(0, |all, day| all | 1 << *day as u8) },
            from: minutes(from)
                .filter(|from| *from < 1440)
                .ok_or_else(|| ("from", format!("{from:?} is no time from 00:00 to 23:59")))?,
            to: minutes(to).ok_or_else(|| ("to", format!("{to:?} is no time from 00:00 to 24:00")))?,
        })),
        _ => Err(("schedule", "a window has either schedule and duration, or from and to".to_owned())),
    }
}

/// `1d2h30m`: each unit once, the larger first.
fn span(text: &str) -> Option<Span> {
    let (mut rest, mut seconds) = (text, 0_i64);
    for (unit, each) in [('d', 86_400), ('h', 3600), ('m', 60)] {
        if let Some((count, after)) = rest.split_once(unit) {
            let count: u32 = count.parse().ok().filter(|_| count.bytes().all(|byte| byte.is_ascii_digit()))?;
            (rest, seconds) = (after, seconds + i64::from(count) * each);
        }
    }
    rest.is_empty().then(|| Span::seconds(seconds))
}

/// `08:30` in minutes after midnight; up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| -> Option<u16> {
        text.parse().ok().filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 1440).then_some(hours * 60 + minutes)
}

/// Whom a cluster accepts. An error names the field.
pub(super) fn accept(spec: &ComputeClusterSpec, windows: &[Window]) -> Result<Vec<Accept>, String> {
    let read = |(number, entry): (usize, &AcceptSpec)| {
        let places = |field: &str, names: &[String]| -> Result<Box<[usize]>, String> {
            let place = |(at, name): (usize, &String)| {
                windows.iter().position(|window| *window.name == **name).ok_or_else(|| {
                    format!("accept[{number}].{field}[{at}]: no window of this cluster is named {name:?}")
                })
            };
            names.iter().enumerate().map(place).collect()
        };
        Ok(Accept {
            during: places("during", &entry.during)?,
            outside: places("outside", &entry.outside)?,
            priorities: entry.priorities.iter().copied().map(priority).collect(),
            operations: entry.operations.iter().map(|name| operation(name)).collect(),
            when: entry.when.as_deref().map(Into::into),
        })
    };
    spec.accept.iter().enumerate().map(read).collect()
}

fn operation(name: &str) -> (Option<Name>, Name) {
    match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace.into()), name.into()),
        None => (None, name.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: Value) -> Result<(Vec<Window>, Vec<Accept>), String> {
        let spec: ComputeClusterSpec = serde_json::from_value(spec).unwrap();
        let windows = windows(&spec)?;
        let accept = accept(&spec, &windows)?;
        Ok((windows, accept))
    }

    #[test]
    fn windows_and_whom_they_let_in_are_read() {
        let (windows, accept) = read(json!({
            "windows": [
                {"name": "office", "days": ["Mon", "Sun"], "from": "08:00", "to": "24:00", "timeZone": "Europe/Berlin"},
                {"name": "night", "schedule": "0 22 * * *", "duration": "1d8h30m"},
            ],
            "accept": [{"during": ["night"], "outside": ["office"]}, {"priorities": ["High"], "operations": ["a", "n/b"]}],
        }))
        .unwrap();
        assert_eq!(windows[0].recurrence, Recurrence::Days(Days { days: 0b100_0001, from: 480, to: 1440 }));
        assert_eq!((windows[0].zone.name(), windows[1].zone.name()), ("Europe/Berlin", "UTC"));
        assert!(
            matches!(windows[1].recurrence, Recurrence::Cron(_, length) if length == Span::seconds(32 * 3600 + 1800))
        );
        assert_eq!((&*accept[0].during, &*accept[0].outside), (&[1][..], &[0][..]));
        assert_eq!(*accept[1].operations, [(None, "a".into()), (Some("n".into()), "b".into())]);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_path() {
        let window = |window: Value| json!({"windows": [{"name": "w", "from": "08:00", "to": "18:00"}, window]});
        let cron =
            |schedule: &str, duration: &str| window(json!({"name": "x", "schedule": schedule, "duration": duration}));
        for (spec, words) in [
            (cron("0 25 * * *", "8h"), "windows[1].schedule: \"0 25 * * *\": "),
            (cron("0 8 * *", "8h"), "windows[1].schedule: \"0 8 * *\": has 4 fields, but needs five"),
            (cron("0 0 30 2 *", "8h"), "windows[1].schedule: \"0 0 30 2 *\" never comes"),
            (cron("0 8 * * *", ""), "windows[1].duration: \"\" is no time from 1m to 31d"),
            (cron("0 8 * * *", "0m"), "windows[1].duration: \"0m\" is no time"),
            (cron("0 8 * * *", "30m1h"), "windows[1].duration: \"30m1h\" is no time"),
            (cron("0 8 * * *", "+1h"), "windows[1].duration: \"+1h\" is no time"),
            (cron("0 8 * * *", "32d"), "windows[1].duration: \"32d\" is no time"),
            (window(json!({"name": "x", "from": "24:00", "to": "8:00"})), "windows[1].from: \"24:00\" is no time"),
            (window(json!({"name": "x", "from": "08:00", "to": "24:01"})), "windows[1].to: \"24:01\" is no time"),
            (window(json!({"name": "x", "from": "08:00", "to": "8:00"})), "windows[1].to: \"8:00\" is no time"),
            (window(json!({"name": "x"})), "windows[1].schedule: a window has either"),
            (
                window(json!({"name": "x", "from": "08:00", "to": "09:00", "timeZone": "Europe/Berln"})),
                "windows[1].timeZone: \"Europe/Berln\" is no IANA time zone",
            ),
            (
                json!({"accept": [{}, {"outside": ["office"]}]}),
                "accept[1].outside[0]: no window of this cluster is named \"office\"",
            ),
        ] {
            let error = read(spec).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
