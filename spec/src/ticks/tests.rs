use proptest::prelude::*;

use super::*;

/// Half-hour steps, changes at midnight and before it, a winter time in Ramadan, none at all.
const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Nuuk",
    "Africa/Cairo",
    "America/Santiago",
    "Africa/Casablanca",
    "America/Havana",
    "Asia/Kolkata",
];

/// Any schedule that is due at least once in a month of any year, often around the hours in which clocks change.
pub(crate) fn any_schedule() -> impl Strategy<Value = String> {
    let minute = prop_oneof!["[0-5]?[0-9]", "\\*/(7|15|30)", "\\*", "(0|15),(30|45)"];
    let hour = prop_oneof!["[0-4]", "1?[0-9]|2[0-3]", "\\*", "\\*/(2|5)", "[0-2],(3|23)", "0-(2|4)"];
    let days = prop_oneof![
        5 => Just("* * *".to_owned()),
        1 => Just("L * *".to_owned()),
        1 => Just("* * MON-FRI".to_owned()),
        1 => "\\* \\* (SUN|6)",
        1 => "([1-9]|1[0-9]|2[0-8]) \\* \\*",
        1 => "\\* \\* (SUN#[1-4]|FRIL)",
        1 => "(1|15) \\* SAT",
    ];
    (minute, hour, days).prop_map(|(minute, hour, days)| format!("{minute} {hour} {days}"))
}

/// Any time from 2020 to 2037, every other one shortly before the clocks of the zone change.
pub(crate) fn any_time() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let time = (1_577_836_800_i64..2_114_380_800).prop_map(|second| Timestamp::from_second(second).unwrap());
    (prop::sample::select(&ZONES[..]), time, prop::option::of(0_i64..50_000)).prop_map(|(zone, time, before)| {
        let change = TimeZone::get(zone).unwrap().following(time).next().map(|change| change.timestamp());
        let near = change.zip(before).map(|(change, before)| change - SignedDuration::from_secs(before));
        (zone, near.unwrap_or(time))
    })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ticks(schedule: &str, zone: &str) -> Ticks {
    Ticks::parse(schedule, Some(zone), at("2026-01-01T00:00:00Z")).unwrap()
}

/// The ticks of one local day, as times in UTC.
fn on(day: &str, schedule: &str, zone: &str) -> Vec<String> {
    let midnight = |date: jiff::civil::Date| date.to_zoned(TimeZone::get(zone).unwrap()).unwrap().timestamp();
    let date: jiff::civil::Date = day.parse().unwrap();
    let (start, end) = (midnight(date), midnight(date.tomorrow().unwrap()));
    let ticks = ticks(schedule, zone);
    let first = ticks.after(start - SignedDuration::from_secs(1));
    let all = std::iter::successors(first, |tick| ticks.after(*tick)).take_while(|tick| *tick < end);
    all.map(|tick| tick.strftime("%H:%M").to_string()).collect()
}

#[test]
fn a_comma_with_nothing_beside_it_is_refused() {
    for schedule in [", 21 * * 2-5", "*/5 , * * *", "0 1, * * *", "0 ,1 * * *", "0 0 1,,3 * *"] {
        let error = Ticks::parse(schedule, None, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.reason(), "InvalidSchedule", "{error}");
        assert!(error.to_string().contains("a comma with nothing on one side of it"), "{error}");
    }
}

#[test]
fn the_clocks_of_the_zone_count() {
    let berlin = ticks("30 2 * * *", "Europe/Berlin");
    assert_eq!(berlin.after(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T00:30:00Z")));
    assert_eq!(berlin.after(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T01:30:00Z")));
    assert_eq!(berlin.before(at("2026-12-01T01:30:00Z")), Some(at("2026-11-30T01:30:00Z")));
    assert_eq!(berlin.before_or_at(at("2026-12-01T01:30:00Z")), Some(at("2026-12-01T01:30:00Z")));
}

#[test]
fn the_zones_are_part_of_the_program() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    for zone in ZONES {
        assert!(bundled.get(zone).is_ok(), "{zone}");
    }
}

#[test]
fn a_time_of_day_that_the_clocks_leave_out_comes_right_after_the_gap() {
    // Berlin, 29 March 2026: 2:00 to 3:00 is left out, 3:00 is 1:00 UTC.
    assert_eq!(on("2026-03-29", "30 2 * * *", "Europe/Berlin"), ["01:00"]);
    assert_eq!(on("2026-03-29", "0 3 * * *", "Europe/Berlin"), ["01:00"]);
    // The day after, all is as ever.
    assert_eq!(on("2026-03-30", "30 2 * * *", "Europe/Berlin"), ["00:30"]);
    // Half an hour is left out on Lord Howe on 4 October 2026, from 2:00.
    assert_eq!(on("2026-10-04", "10 2 * * *", "Australia/Lord_Howe"), ["15:30"]);
    // Cairo leaves out the first hour of 24 April 2026: midnight comes at 1:00.
    assert_eq!(on("2026-04-24", "@daily", "Africa/Cairo"), ["22:00"]);
}

#[test]
fn a_time_of_day_that_comes_twice_counts_once_the_first_time() {
    // Berlin, 25 October 2026: 2:00 to 3:00 comes at 0:00 and at 1:00 UTC.
    assert_eq!(on("2026-10-25", "30 2 * * *", "Europe/Berlin"), ["00:30"]);
    assert_eq!(on("2026-11-01", "30 1 * * *", "America/New_York"), ["05:30"]);
    assert_eq!(on("2026-04-05", "45 1 * * *", "Australia/Lord_Howe"), ["14:45"]);
}

#[test]
fn several_times_a_day_follow_the_clocks() {
    let spring = on("2026-03-29", "*/30 * * * *", "Europe/Berlin");
    assert_eq!((spring.len(), &spring[2..5]), (46, &["00:00".to_owned(), "00:30".into(), "01:00".into()][..]));
    assert_eq!(on("2026-10-25", "*/30 * * * *", "Europe/Berlin").len(), 50);
    assert_eq!(on("2026-03-29", "@hourly", "Europe/Berlin").len(), 23);
    assert_eq!(on("2026-10-25", "@hourly", "Europe/Berlin").len(), 25);
    // What is left out does not tick, what comes twice does so twice.
    assert_eq!(on("2026-03-29", "0 2,14 * * *", "Europe/Berlin"), ["12:00"]);
    assert_eq!(on("2026-10-25", "0 2,14 * * *", "Europe/Berlin"), ["00:00", "01:00", "13:00"]);
}

#[test]
fn names_steps_last_and_nth_days_and_nicknames_are_understood() {
    let first = |schedule| ticks(schedule, "UTC").after(at("2026-02-10T00:00:00Z")).unwrap().to_string();
    assert_eq!(first("0 12 * MAR,JUN MON"), "2026-03-02T12:00:00Z");
    assert_eq!(first("5-59/20 */6 * * *"), "2026-02-10T00:05:00Z");
    assert_eq!(first("0 0 L * *"), "2026-02-28T00:00:00Z");
    assert_eq!(first("0 0 * * FRI#2"), "2026-02-13T00:00:00Z");
    assert_eq!(first("0 0 * * FRIL"), "2026-02-27T00:00:00Z");
    assert_eq!(first("0 0 29 2 *"), "2028-02-29T00:00:00Z");
    // Where both name a day, either is enough, as everywhere in cron.
    assert_eq!(first("0 0 20 * WED"), "2026-02-11T00:00:00Z");
    assert_eq!(first("@hourly"), "2026-02-10T01:00:00Z");
    assert_eq!(first("@daily"), "2026-02-11T00:00:00Z");
    assert_eq!(first("@weekly"), "2026-02-15T00:00:00Z");
    assert_eq!(first("@monthly"), "2026-03-01T00:00:00Z");
    assert_eq!(first("@yearly"), "2027-01-01T00:00:00Z");
}

#[test]
fn what_is_wrong_is_said_with_what_is_right() {
    let parse = |schedule, zone| Ticks::parse(schedule, zone, at("2026-01-01T00:00:00Z")).unwrap_err();
    for schedule in ["", "often", "* * * *", "* * * * * *", "61 * * * *", "@reboot", "TZ=UTC * * * * *"] {
        let error = parse(schedule, None);
        assert_eq!(error.reason(), "InvalidSchedule", "{schedule:?}");
        assert!(error.to_string().contains("five fields"), "{error}");
    }
    assert_eq!(parse("@hourly", Some("Europe/Berln")).reason(), "InvalidTimeZone");
    assert_eq!(parse("0 0 30 2 *", None).reason(), "NeverDue");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,24}", fields in "[0-9*/,LW#?@-]{1,3}( [0-9*/,LW#?-]{1,4}){4}") {
        let now = at("2026-01-01T00:00:00Z");
        let _ = Ticks::parse(&text, Some(&text), now);
        let _ = Ticks::parse(&fields, None, now);
    }

    #[test]
    fn backwards_the_ticks_are_the_same_as_forwards(
        schedule in any_schedule(),
        (zone, from) in any_time(),
        inside in 0.0..1.0,
    ) {
        let ticks = ticks(&schedule, zone);
        let mut tick = ticks.after(from).unwrap();
        for _ in 0..40 {
            let next = ticks.after(tick).unwrap();
            let between = tick + next.duration_since(tick).mul_f64(inside);
            for time in [tick, between, next - SignedDuration::from_nanos(1)].into_iter().filter(|time| *time < next) {
                prop_assert_eq!(ticks.before_or_at(time), Some(tick), "{} in {}, at {}", &schedule, zone, time);
                prop_assert_eq!(ticks.after(time), Some(next), "{} in {}, at {}", &schedule, zone, time);
            }
            prop_assert_eq!(ticks.before(next), Some(tick), "{} in {}", &schedule, zone);
            tick = next;
        }
    }
}
