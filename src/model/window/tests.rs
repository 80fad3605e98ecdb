use super::*;

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

/// A wall time, or with `+HH:MM` at its end a moment.
fn at(text: &str, zone: &Zone) -> Time {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => Time(moment.as_millisecond()),
        Err(_) => zone.instant(text.parse().unwrap()),
    }
}

fn cron(expression: &str, hours: i64, zone_name: &str) -> Window {
    let recurrence = Recurrence::Cron(Cron::parse(expression).unwrap(), Span::seconds(hours * 3600));
    Window { name: "w".into(), zone: zone(zone_name), recurrence }
}

fn days(days: u8, from: u16, to: u16, zone_name: &str) -> Window {
    Window { name: "w".into(), zone: zone(zone_name), recurrence: Recurrence::Days(Days { days, from, to }) }
}

const WORKDAYS: u8 = 0b001_1111;
const EVERY_DAY: u8 = 0b111_1111;

#[track_caller]
fn check(window: &Window, now: &str, open: bool, until: &str) {
    let expected = Aperture { open, until: Some(at(until, &window.zone)) };
    let found = window.at(at(now, &window.zone));
    let shown = found.until.map(|until| window.zone.show(until));
    assert_eq!(found, expected, "at {now}: {shown:?}");
}

#[test]
fn business_hours_open_and_close() {
    let window = days(WORKDAYS, 8 * 60, 18 * 60, "Europe/Berlin");
    check(&window, "2026-11-26T07:59", false, "2026-11-26T08:00");
    check(&window, "2026-11-26T08:00", true, "2026-11-26T18:00");
    check(&window, "2026-11-27T18:00", false, "2026-11-30T08:00");
    check(&window, "2026-11-28T12:00", false, "2026-11-30T08:00");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let friday = days(1 << 4, 22 * 60, 6 * 60, "UTC");
    check(&friday, "2026-11-27T23:00", true, "2026-11-28T06:00");
    check(&friday, "2026-11-28T05:59", true, "2026-11-28T06:00");
    check(&friday, "2026-11-28T23:00", false, "2026-12-04T22:00");
}

#[test]
fn twenty_four_hours_that_meet_are_one_span() {
    let always = days(EVERY_DAY, 0, 1440, "Europe/Berlin");
    let aperture = always.at(at("2026-11-26T12:00", &always.zone));
    assert!(aperture.open && aperture.until > Some(at("2026-12-04T00:00", &always.zone)), "{aperture:?}");
    let whole_day = days(1, 6 * 60, 6 * 60, "UTC");
    check(&whole_day, "2026-11-30T06:00", true, "2026-12-01T06:00");
}

#[test]
fn over_the_end_of_the_year_and_a_leap_day() {
    let window = cron("0 22 31 12 *", 8, "Europe/Berlin");
    check(&window, "2026-12-31T23:30", true, "2027-01-01T06:00");
    check(&window, "2027-01-01T06:00", false, "2027-12-31T22:00");
    let leap = cron("0 0 29 2 *", 24, "UTC");
    check(&leap, "2028-02-29T12:00", true, "2028-03-01T00:00");
    check(&leap, "2096-03-01T00:00", false, "2104-02-29T00:00");
}

/// Berlin: on 2026-03-29 02:00 becomes 03:00, on 2026-10-25 03:00 becomes 02:00.
#[test]
fn a_wall_time_that_is_skipped_means_the_moment_of_the_jump() {
    let from_half_past_two = days(EVERY_DAY, 2 * 60 + 30, 4 * 60, "Europe/Berlin");
    check(&from_half_past_two, "2026-03-29T01:59", false, "2026-03-29T01:00:00Z");
    check(&from_half_past_two, "2026-03-29T01:00:00Z", true, "2026-03-29T02:00:00Z");
    let until_half_past_two = days(EVERY_DAY, 60, 2 * 60 + 30, "Europe/Berlin");
    check(&until_half_past_two, "2026-03-29T01:30", true, "2026-03-29T01:00:00Z");
    let within = days(EVERY_DAY, 2 * 60 + 15, 2 * 60 + 45, "Europe/Berlin");
    check(&within, "2026-03-29T01:00", false, "2026-03-30T02:15");
}

#[test]
fn a_wall_time_that_comes_twice_means_its_first() {
    let window = days(EVERY_DAY, 60, 2 * 60 + 30, "Europe/Berlin");
    check(&window, "2026-10-25T01:30", true, "2026-10-25T00:30:00Z");
    check(&window, "2026-10-25T00:30:00Z", false, "2026-10-26T01:00");
    let night = days(EVERY_DAY, 22 * 60, 6 * 60, "Europe/Berlin");
    check(&night, "2026-10-25T01:30:00Z", true, "2026-10-25T05:00:00Z");
}

#[test]
fn a_duration_is_what_a_stopwatch_shows() {
    let window = cron("0 22 * * *", 8, "Europe/Berlin");
    check(&window, "2026-03-28T23:00", true, "2026-03-29T05:00:00Z");
    check(&window, "2026-10-24T23:00", true, "2026-10-25T04:00:00Z");
}

#[test]
fn where_the_clock_jumps_by_half_an_hour_or_skips_a_day() {
    let lord_howe = days(EVERY_DAY, 2 * 60 + 15, 3 * 60, "Australia/Lord_Howe");
    check(&lord_howe, "2026-10-04T01:59", false, "2026-10-03T15:30:00Z");
    let apia = days(EVERY_DAY, 8 * 60, 9 * 60, "Pacific/Apia");
    check(&apia, "2011-12-29T10:00", false, "2011-12-31T08:00");
}

#[test]
fn a_cron_expression_is_read_as_vixie_does() {
    for (expression, now, next) in [
        ("*/15 9-17 * * MON-FRI", "2026-11-26T09:01", "2026-11-26T09:15"),
        ("0 0 13 * 5", "2026-11-26T00:01", "2026-11-27T00:00"),
        ("0 0 13 * *", "2026-11-26T00:00", "2026-12-13T00:00"),
        ("0 0 * * 7", "2026-11-26T00:00", "2026-11-29T00:00"),
        ("0 0 * * 0", "2026-11-26T00:00", "2026-11-29T00:00"),
        ("0 12 1,15 jan *", "2026-11-26T00:00", "2027-01-01T12:00"),
        ("5/20 3 * * ?", "2026-11-26T03:06", "2026-11-26T03:25"),
        ("@monthly", "2026-11-26T00:00", "2026-12-01T00:00"),
    ] {
        let recurrence = Recurrence::Cron(Cron::parse(expression).unwrap(), Span::seconds(1));
        let window = Window { name: "w".into(), zone: zone("UTC"), recurrence };
        check(&window, now, window.at(at(now, &window.zone)).open, next);
    }
}

#[test]
fn what_cannot_be_understood_is_said_with_its_field() {
    for (expression, said) in [
        ("0 8 * *", "has 4 fields"),
        ("60 8 * * *", "minute: \"60\" cannot be understood: numbers are 0 to 59"),
        ("0 8 0 * *", "day of the month: \"0\""),
        ("0 8 * * MON-SON", "day of the week: \"MON-SON\""),
        ("0 17-9 * * *", "hour: \"17-9\" cannot be understood: a range goes from the lower to the higher"),
        ("*/0 * * * *", "minute: \"*/0\" cannot be understood: a step is a number above 0"),
        ("0 +8 * * *", "hour: \"+8\""),
    ] {
        let found = Cron::parse(expression).unwrap_err();
        assert!(found.starts_with(said), "{expression}: {found}");
    }
}

#[test]
fn a_schedule_that_never_comes_is_told_from_one_that_is_rare() {
    assert!(!cron("0 0 30 2 *", 1, "UTC").ever_opens());
    assert!(cron("0 0 29 2 *", 1, "UTC").ever_opens());
    assert!(Zone::named("Europe/Atlantis").is_none());
}

/// Walks through a year and more, from edge to edge, and compares with what the clock on the wall shows each minute.
#[test]
fn edges_agree_with_the_clock_on_the_wall() {
    for zone_name in ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"] {
        let rules = jiff::tz::TimeZoneDatabase::bundled().get(zone_name).unwrap();
        let window = days(WORKDAYS, 9 * 60, 17 * 60 + 30, zone_name);
        let start = at("2026-01-01T00:00", &window.zone);
        let mut aperture = window.at(start);
        for minute in 0..400 * 1440 {
            let now = start + Span::seconds(minute * 60);
            if aperture.until.is_some_and(|until| until <= now) {
                aperture = window.at(now);
            }
            let wall = rules.to_datetime(jiff::Timestamp::from_millisecond(now.0).unwrap());
            let minutes = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
            let weekday = wall.weekday().to_monday_zero_offset();
            let expected = weekday < 5 && (9 * 60..17 * 60 + 30).contains(&minutes);
            assert_eq!(aperture.open, expected, "{wall}");
        }
    }
}

/// A daily run at two in the morning did not come on the day on which the clock went from two to three.
#[test]
fn peer_argo_workflows_8137() {
    let nightly = cron("0 2 * * 0-5", 1, "America/New_York");
    check(&nightly, "2022-03-13T01:59", false, "2022-03-13T07:00:00Z");
    check(&nightly, "2022-03-13T03:00", true, "2022-03-13T08:00:00Z");
    check(&nightly, "2022-03-13T04:00", false, "2022-03-14T02:00");
}

/// The base image came without the old names of time zones: whatever was scheduled by one of them never ran, without a word.
#[test]
fn peer_argo_workflows_15653() {
    for (old, now) in [("CET", "2026-03-04T17:59"), ("MET", "2026-07-04T17:59"), ("EST", "2026-03-04T17:59")] {
        let evening = cron("0 18 * * *", 1, old);
        check(&evening, now, false, &now.replace("17:59", "18:00"));
    }
    let evening = cron("0 18 * * *", 1, "CET");
    check(&evening, "2026-03-04T16:59:00Z", false, "2026-03-04T17:00:00Z");
    check(&evening, "2026-07-04T15:59:00Z", false, "2026-07-04T16:00:00Z");
}
