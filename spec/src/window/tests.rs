use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::ticks::tests::{any_schedule, any_time};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ticks(schedule: &str, zone: &str) -> Ticks {
    Ticks::parse(schedule, Some(zone), at("2026-01-01T00:00:00Z")).unwrap()
}

fn window(length: Option<&str>, delay: &str) -> Window {
    Window { length: length.map(|length| length.parse().unwrap()), delay: delay.parse().unwrap() }
}

fn shown(range: Result<TimeRange, WindowError>) -> String {
    let TimeRange { start, end } = range.unwrap();
    format!("{start} {end}")
}

#[test]
fn a_window_with_a_length_ends_with_its_tick_less_the_delay() {
    let of = |delay| shown(window(Some("1h"), delay).at(at("2026-01-01T12:30:00Z"), None));
    assert_eq!(of("0s"), "2026-01-01T11:30:00Z 2026-01-01T12:30:00Z");
    assert_eq!(of("5m"), "2026-01-01T11:25:00Z 2026-01-01T12:25:00Z");
}

#[test]
fn a_window_without_length_begins_with_the_tick_before() {
    let shifts = ticks("0 6,14,22 * * MON-FRI", "UTC");
    let of = |delay, tick| shown(window(None, delay).at(at(tick), Some(&shifts)));
    assert_eq!(of("0s", "2026-01-05T14:00:00Z"), "2026-01-05T06:00:00Z 2026-01-05T14:00:00Z");
    // Monday's first shift takes the weekend, too.
    assert_eq!(of("10m", "2026-01-05T06:00:00Z"), "2026-01-02T21:50:00Z 2026-01-05T05:50:00Z");
}

#[test]
fn at_a_time_that_is_no_tick_the_window_without_length_is_the_latest_whole_one() {
    let hourly = ticks("@hourly", "UTC");
    let of = |time| shown(window(None, "0s").at(at(time), Some(&hourly)));
    assert_eq!(of("2026-01-01T12:34:56.7Z"), "2026-01-01T11:00:00Z 2026-01-01T12:00:00Z");
}

#[test]
fn hourly_windows_have_an_hour_when_the_clocks_change_and_daily_ones_as_many_hours_as_the_day() {
    let hours = |schedule, tick| {
        let range = window(None, "0s").at(at(tick), Some(&ticks(schedule, "Europe/Berlin"))).unwrap();
        range.end.duration_since(range.start).as_hours()
    };
    // 2:00 comes twice on 25 October 2026: as 0:00 and as 1:00 UTC.
    for tick in ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"] {
        assert_eq!(hours("@hourly", tick), 1, "{tick}");
    }
    // 2:00 is left out on 29 March 2026: 1:00 UTC is 3:00.
    assert_eq!(hours("@hourly", "2026-03-29T01:00:00Z"), 1);
    assert_eq!(hours("@daily", "2026-10-25T23:00:00Z"), 25);
    assert_eq!(hours("@daily", "2026-03-29T22:00:00Z"), 23);
}

#[test]
fn without_a_schedule_a_window_needs_a_length() {
    let error = window(None, "0s").at(at("2026-01-01T00:00:00Z"), None).unwrap_err();
    assert!(error.to_string().contains("give the schedule, or window.length"), "{error}");
}

proptest! {
    #[test]
    fn windows_without_length_leave_no_gap_and_do_not_overlap(
        schedule in any_schedule(),
        (zone, from) in any_time(),
        delay in 0_u64..200_000,
        late in 0_i64..86_400,
    ) {
        let ticks = ticks(&schedule, zone);
        let window = Window { length: None, delay: Span::from_secs(delay) };
        let mut tick = ticks.after(from).unwrap();
        let mut end = window.at(tick, Some(&ticks)).unwrap().end;
        prop_assert_eq!(end, tick - SignedDuration::from_secs(i64::try_from(delay).unwrap()));
        for _ in 0..40 {
            tick = ticks.after(tick).unwrap();
            let range = window.at(tick, Some(&ticks)).unwrap();
            prop_assert_eq!(range.start, end, "{} in {}: the window of {}", &schedule, zone, tick);
            end = range.end;
            // By hand it is the same until the next tick, whenever that comes.
            let by_hand = tick + SignedDuration::from_secs(late);
            if ticks.after(tick).unwrap() > by_hand {
                prop_assert_eq!(window.at(by_hand, Some(&ticks)).unwrap(), range);
            }
        }
    }
}
