use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ticks(schedule: &str, zone: Option<&str>) -> Ticks {
    Ticks::parse(schedule, zone, at("2026-01-01T00:00:00Z")).unwrap()
}

fn view(now: &str, last: Option<&str>) -> ScheduleView {
    ScheduleView {
        now: at(now),
        created: at("2026-01-01T00:00:30Z"),
        decided: last.map(at),
        waiting: Vec::new(),
        made: BTreeSet::new(),
        suspended: false,
        invalid: false,
        starting_deadline: SignedDuration::from_mins(10),
        jitter: SignedDuration::ZERO,
        catch_up: CatchUp::None,
    }
}

/// What starts when no run goes on.
fn idle(ticks: &Ticks, view: &ScheduleView) -> Start {
    start(due(ticks, view), false, Concurrency::Forbid, view.catch_up)
}

#[test]
fn a_tick_runs_once_and_the_next_is_known() {
    let hourly = ticks("@hourly", None);
    let now = view("2026-01-01T01:00:00.2Z", None);
    assert_eq!(idle(&hourly, &now).run, Some(at("2026-01-01T01:00:00Z")));
    assert_eq!(due(&hourly, &now).next, Some(at("2026-01-01T02:00:00Z")));
    let again = idle(&hourly, &view("2026-01-01T01:00:01Z", Some("2026-01-01T01:00:00Z")));
    assert_eq!(again, Start::default());
}

#[test]
fn a_tick_before_the_schedule_was_made_never_runs() {
    let minutely = ticks("* * * * *", None);
    assert_eq!(idle(&minutely, &view("2026-01-01T00:00:45Z", None)).run, None);
    assert_eq!(idle(&minutely, &view("2026-01-01T00:01:00Z", None)).run, Some(at("2026-01-01T00:01:00Z")));
}

#[test]
fn of_many_ticks_that_passed_only_the_latest_runs() {
    let start = idle(&ticks("* * * * *", None), &view("2026-01-01T00:20:10Z", None));
    assert_eq!(start.run, Some(at("2026-01-01T00:20:00Z")));
    assert_eq!(start.missed.len(), 19);
    assert_eq!(start.missed[0], (at("2026-01-01T00:01:00Z"), Miss::TooLate));
    assert_eq!(start.missed[18], (at("2026-01-01T00:19:00Z"), Miss::Superseded));
}

#[test]
fn a_tick_is_missed_when_suspended_forbidden_or_too_late() {
    let hourly = ticks("0 * * * *", None);
    let now = view("2026-01-01T01:00:01Z", None);
    let tick = at("2026-01-01T01:00:00Z");
    let busy = start(due(&hourly, &now), true, Concurrency::Forbid, CatchUp::None);
    assert_eq!((busy.run, busy.missed), (None, vec![(tick, Miss::Forbidden)]));
    assert_eq!(idle(&hourly, &ScheduleView { suspended: true, ..now }).missed, [(tick, Miss::Suspended)]);
    assert_eq!(idle(&hourly, &view("2026-01-01T01:10:01Z", None)).missed, [(tick, Miss::TooLate)]);
}

#[test]
fn a_run_that_goes_on_lets_another_start_beside_it_or_in_its_place_where_the_policy_says_so() {
    let hourly = ticks("0 * * * *", None);
    let of = |concurrency| {
        let due = due(&hourly, &view("2026-01-01T01:00:01Z", None));
        let start = start(due, true, concurrency, CatchUp::None);
        (start.run.is_some(), start.replace)
    };
    assert_eq!(of(Concurrency::Allow), (true, false));
    assert_eq!(of(Concurrency::Replace), (true, true));
    assert_eq!(of(Concurrency::Forbid), (false, false));
}

#[test]
fn a_tick_whose_run_is_there_is_neither_run_nor_missed_again() {
    let minutely = ticks("* * * * *", None);
    let made = BTreeSet::from([at("2026-01-01T00:01:00Z")]);
    let start = idle(&minutely, &ScheduleView { made, ..view("2026-01-01T00:02:01Z", None) });
    assert_eq!((start.run, start.missed), (Some(at("2026-01-01T00:02:00Z")), vec![]));
    // And an older one does not run after it.
    let made = BTreeSet::from([at("2026-01-01T00:02:00Z")]);
    let start = idle(&minutely, &ScheduleView { made, ..view("2026-01-01T00:02:01Z", None) });
    assert_eq!((start.run, start.missed), (None, vec![(at("2026-01-01T00:01:00Z"), Miss::Superseded)]));
}

#[test]
fn a_run_starts_when_the_jitter_of_its_schedule_is_over() {
    let hourly = ticks("@hourly", None);
    let jitter = SignedDuration::from_secs(90);
    let of = |now| idle(&hourly, &ScheduleView { jitter, ..view(now, None) }).run;
    assert_eq!(of("2026-01-01T01:01:29.9Z"), None);
    assert_eq!(of("2026-01-01T01:01:30Z"), Some(at("2026-01-01T01:00:00Z")));
}

#[test]
fn the_latest_tick_is_caught_up_however_late() {
    let minutely = ticks("* * * * *", None);
    let late = view("2026-01-01T01:00:50Z", Some("2026-01-01T00:30:00Z"));
    let late = ScheduleView { catch_up: CatchUp::Latest, starting_deadline: SignedDuration::from_secs(10), ..late };
    let start = idle(&minutely, &late);
    assert_eq!((start.run, start.missed.len()), (Some(at("2026-01-01T01:00:00Z")), 29));
}

#[test]
fn a_forbidden_tick_waits_until_a_later_one_takes_its_place() {
    let minutely = ticks("* * * * *", None);
    let latest = ScheduleView { catch_up: CatchUp::Latest, ..view("2026-01-01T00:01:01Z", None) };
    let busy = start(due(&minutely, &latest), true, Concurrency::Forbid, CatchUp::Latest);
    assert_eq!((busy.run, busy.waiting.as_slice()), (None, [at("2026-01-01T00:01:00Z")].as_slice()));
    let later = ScheduleView {
        now: at("2026-01-01T00:02:01Z"),
        decided: Some(busy.waiting[0]),
        waiting: busy.waiting,
        ..latest
    };
    let start = idle(&minutely, &later);
    assert_eq!((start.run, start.waiting.len()), (Some(at("2026-01-01T00:02:00Z")), 0));
    assert_eq!(start.missed, [(at("2026-01-01T00:01:00Z"), Miss::Superseded)]);
}

#[test]
fn all_that_passed_is_caught_up_oldest_first_up_to_the_limit_and_behind_the_present() {
    let minutely = ticks("* * * * *", None);
    let minute = |n: u8| at(&format!("2026-01-01T00:{n:02}:00Z"));
    let mut now = ScheduleView { catch_up: CatchUp::All(3), ..view("2026-01-01T00:06:01Z", None) };
    let run = |now: &mut ScheduleView| {
        let start = idle(&minutely, now);
        now.decided = now.decided.max(Some(minute(6)));
        now.waiting = start.waiting;
        (start.run, start.missed.len())
    };
    assert_eq!(run(&mut now), (Some(minute(6)), 2));
    assert_eq!(run(&mut now), (Some(minute(3)), 0));
    // The next tick goes before the other two.
    now.now = at("2026-01-01T00:07:01Z");
    assert_eq!(run(&mut now), (Some(minute(7)), 0));
    now.decided = Some(minute(7));
    assert_eq!(run(&mut now), (Some(minute(4)), 0));
    assert_eq!(run(&mut now), (Some(minute(5)), 0));
    assert_eq!(run(&mut now), (None, 0));
}

#[test]
fn what_waits_to_be_caught_up_waits_on_while_the_schedule_is_suspended() {
    let waiting = vec![at("2026-01-01T00:01:00Z")];
    let last = view("2026-01-01T00:01:30Z", Some("2026-01-01T00:01:00Z"));
    let view = ScheduleView { waiting: waiting.clone(), catch_up: CatchUp::All(3), suspended: true, ..last };
    assert_eq!(idle(&ticks("* * * * *", None), &view), Start { waiting, ..Start::default() });
}

#[test]
fn what_waits_and_is_no_tick_of_the_edited_schedule_is_missed() {
    let waiting = vec![at("2026-01-01T01:00:00Z"), at("2026-01-01T01:30:00Z")];
    let last = view("2026-01-01T01:40:00Z", Some("2026-01-01T01:40:00Z"));
    let view = ScheduleView { waiting: waiting.clone(), catch_up: CatchUp::All(3), ..last };
    let start = idle(&ticks("@hourly", None), &view);
    assert_eq!((start.run, start.missed), (Some(waiting[0]), vec![(waiting[1], Miss::Rescheduled)]));
}

#[test]
fn a_tick_of_an_invalid_schedule_starts_if_that_is_valid_in_time_and_else_is_missed_for_it() {
    let hourly = ticks("@hourly", None);
    let tick = at("2026-01-01T01:00:00Z");
    let invalid = ScheduleView { invalid: true, ..view("2026-01-01T01:00:01Z", None) };
    let held = idle(&hourly, &invalid);
    assert_eq!(held, Start { waiting: vec![tick], ..Start::default() });
    let later = |now, invalid| {
        let last = view(now, Some("2026-01-01T01:00:00Z"));
        idle(&hourly, &ScheduleView { waiting: vec![tick], invalid, ..last })
    };
    assert_eq!(later("2026-01-01T01:10:00Z", true), held);
    assert_eq!(later("2026-01-01T01:10:00Z", false).run, Some(tick));
    let missed = Start { missed: vec![(tick, Miss::Invalid)], ..Start::default() };
    assert_eq!(later("2026-01-01T01:10:01Z", true), missed);
    // A later tick takes its place.
    let next = later("2026-01-01T02:00:00Z", true);
    assert_eq!((next.missed, next.waiting), (missed.missed, vec![at("2026-01-01T02:00:00Z")]));
}

#[test]
fn an_edit_that_makes_a_schedule_valid_does_not_lose_the_tick_that_waited_for_it() {
    // As the edit is seen, all up to now is decided.
    let edited = ScheduleView {
        waiting: vec![at("2026-01-01T01:00:00Z")],
        ..view("2026-01-01T01:05:00Z", Some("2026-01-01T01:05:00Z"))
    };
    assert_eq!(idle(&ticks("@hourly", None), &edited).run, Some(at("2026-01-01T01:00:00Z")));
    let other = idle(&ticks("30 * * * *", None), &edited);
    assert_eq!((other.run, other.missed), (None, vec![(at("2026-01-01T01:00:00Z"), Miss::Rescheduled)]));
}

#[test]
fn ticks_of_an_invalid_schedule_are_caught_up_as_its_policy_says() {
    let minutely = ticks("* * * * *", None);
    let of = |catch_up| {
        let invalid = ScheduleView { invalid: true, catch_up, ..view("2026-01-01T00:05:01Z", None) };
        let start = start(due(&minutely, &invalid), false, Concurrency::Forbid, catch_up);
        let reasons: Vec<Miss> = start.missed.iter().map(|(_, miss)| *miss).collect();
        (start.run, start.waiting.len(), reasons)
    };
    assert_eq!(of(CatchUp::None), (None, 1, vec![Miss::Invalid; 4]));
    assert_eq!(of(CatchUp::Latest), (None, 1, vec![Miss::Superseded; 4]));
    assert_eq!(of(CatchUp::All(3)), (None, 3, vec![Miss::CatchUpLimit; 2]));
    assert_eq!(of(CatchUp::All(9)), (None, 5, vec![]));
}

#[test]
fn a_year_of_missed_minutes_is_looked_at_in_no_time() {
    let start = idle(&ticks("* * * * *", None), &view("2027-01-01T00:00:10Z", None));
    assert_eq!((start.run, start.missed.len()), (Some(at("2027-01-01T00:00:00Z")), 999));
    assert_eq!(start.missed[0].0, at("2026-12-31T07:21:00Z"));
}

#[test]
fn a_run_is_named_after_its_tick() {
    assert_eq!(run_name("hourly", at("1970-01-01T02:00:00Z")), "hourly-120");
}
