//! When a schedule is due, and what becomes of each tick.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How many passed ticks are looked at one by one; older ones are skipped over.
const LOOK_BACK: usize = 1_000;

/// Why a schedule gives no ticks.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// Not cron's language.
    #[error(
        "schedule {schedule:?} is not a cron expression ({source}); write five fields such as \"*/5 * * * *\", or \
         @hourly, @daily, @weekly, @monthly, @yearly"
    )]
    Cron {
        /// What was written.
        schedule: String,
        /// What the parser says.
        source: CronError,
    },
    /// No such time zone.
    #[error(
        "timeZone {zone:?} is not in the IANA time zone database; write for example Europe/Berlin, or leave it out for UTC"
    )]
    Zone {
        /// What was written.
        zone: String,
    },
    /// Cron's language, but no day matches, such as 30 February.
    #[error("schedule {schedule:?} is never due: no day of the calendar matches it")]
    Never {
        /// What was written.
        schedule: String,
    },
}

impl TickError {
    /// A bounded category in CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Cron { .. } => "InvalidSchedule",
            Self::Zone { .. } => "InvalidTimeZone",
            Self::Never { .. } => "NeverDue",
        }
    }
}

/// The ticks of a schedule: whole minutes at which its cron expression matches the clocks of its time zone.
#[derive(Clone, Debug)]
pub struct Ticks {
    cron: Cron,
    zone: TimeZone,
}

impl Ticks {
    /// Reads a cron expression of five fields, or a nickname such as `@hourly`; no zone means UTC. `now` is only used to
    /// find out whether the schedule is ever due.
    ///
    /// # Errors
    /// When the expression or the zone means nothing, or no day matches.
    pub fn parse(schedule: &str, zone: Option<&str>, now: Timestamp) -> Result<Self, TickError> {
        let wrong = |source| TickError::Cron { schedule: schedule.to_owned(), source };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(schedule).map_err(wrong)?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| TickError::Zone { zone: name.to_owned() })?,
        };
        let ticks = Self { cron, zone };
        match ticks.after(now) {
            Some(_) => Ok(ticks),
            None => Err(TickError::Never { schedule: schedule.to_owned() }),
        }
    }

    /// The first tick after an instant.
    #[must_use]
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&at.to_zoned(self.zone.clone()), false).ok()?;
        Some(next.timestamp()).filter(|next| *next > at)
    }

    fn before_or_at(&self, at: Timestamp) -> Option<Timestamp> {
        let last = self.cron.find_previous_occurrence(&at.to_zoned(self.zone.clone()), true).ok()?;
        Some(last.timestamp()).filter(|last| *last <= at)
    }
}

/// What there is to know of a schedule when the question is what is due.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleView {
    /// Now.
    pub now: Timestamp,
    /// When the schedule was created: earlier ticks are none of its own.
    pub created: Timestamp,
    /// The last tick that was run or missed.
    pub last: Option<Timestamp>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// How late a run may start.
    pub starting_deadline: SignedDuration,
    /// Whether a run that goes on forbids another.
    pub forbidden: bool,
}

/// Why no run is made for a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// A run still went on.
    Forbidden,
    /// Nobody looked in time.
    TooLate,
    /// A later tick is due already: only the latest runs.
    Superseded,
    /// The schedule was suspended.
    Suspended,
    /// Something else has the run's name.
    NameTaken,
}

impl Miss {
    /// As status and events have it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::TooLate => "TooLate",
            Self::Superseded => "Superseded",
            Self::Suspended => "Suspended",
            Self::NameTaken => "NameTaken",
        }
    }
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The tick to run.
    pub run: Option<Timestamp>,
    /// The ticks that passed without a run, oldest first; at most the last thousand.
    pub missed: Vec<(Timestamp, Miss)>,
    /// The next tick.
    pub next: Option<Timestamp>,
}

/// What is due now. Of several ticks that passed, only the latest may run, as with CronJob.
#[must_use]
pub fn due(ticks: &Ticks, view: &ScheduleView) -> Due {
    let from = view.last.map_or(view.created, |last| last.max(view.created));
    let mut passed = Vec::new();
    let mut at = view.now;
    while let Some(tick) = ticks.before_or_at(at).filter(|tick| *tick > from) {
        passed.push(tick);
        let Ok(earlier) = tick.checked_sub(SignedDuration::from_secs(1)) else { break };
        at = earlier;
        if passed.len() == LOOK_BACK {
            break;
        }
    }
    passed.reverse();
    let mut due = Due { next: ticks.after(view.now), ..Due::default() };
    let latest = passed.last().copied();
    for tick in passed {
        let late = view.now.duration_since(tick) > view.starting_deadline;
        let miss = match () {
            () if view.suspended => Some(Miss::Suspended),
            () if late => Some(Miss::TooLate),
            () if Some(tick) != latest => Some(Miss::Superseded),
            () if view.forbidden => Some(Miss::Forbidden),
            () => None,
        };
        match miss {
            Some(miss) => due.missed.push((tick, miss)),
            None => due.run = Some(tick),
        }
    }
    due
}

/// The name of a tick's run: the same for every process that ever looks at this tick.
#[must_use]
pub fn run_name(schedule: &str, tick: Timestamp) -> String {
    format!("{schedule}-{}", tick.as_second().div_euclid(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            last: last.map(at),
            suspended: false,
            starting_deadline: SignedDuration::from_mins(10),
            forbidden: false,
        }
    }

    #[test]
    fn a_tick_runs_once_and_the_next_is_known() {
        let hourly = ticks("@hourly", None);
        let due_now = due(&hourly, &view("2026-01-01T01:00:00.2Z", None));
        assert_eq!(due_now.run, Some(at("2026-01-01T01:00:00Z")));
        assert_eq!(due_now.next, Some(at("2026-01-01T02:00:00Z")));
        let again = due(&hourly, &view("2026-01-01T01:00:01Z", Some("2026-01-01T01:00:00Z")));
        assert_eq!((again.run, again.missed.len()), (None, 0));
    }

    #[test]
    fn a_tick_before_the_schedule_was_made_never_runs() {
        let minutely = ticks("* * * * *", None);
        assert_eq!(due(&minutely, &view("2026-01-01T00:00:45Z", None)).run, None);
        assert_eq!(due(&minutely, &view("2026-01-01T00:01:00Z", None)).run, Some(at("2026-01-01T00:01:00Z")));
    }

    #[test]
    fn of_many_ticks_that_passed_only_the_latest_runs() {
        let minutely = ticks("* * * * *", None);
        let due = due(&minutely, &view("2026-01-01T00:20:10Z", None));
        assert_eq!(due.run, Some(at("2026-01-01T00:20:00Z")));
        assert_eq!(due.missed.len(), 19);
        assert_eq!(due.missed[0], (at("2026-01-01T00:01:00Z"), Miss::TooLate));
        assert_eq!(due.missed[18], (at("2026-01-01T00:19:00Z"), Miss::Superseded));
    }

    #[test]
    fn a_tick_is_missed_when_suspended_forbidden_or_too_late() {
        let hourly = ticks("0 * * * *", None);
        let missed = |view| due(&hourly, &view).missed;
        let now = view("2026-01-01T01:00:01Z", None);
        let tick = at("2026-01-01T01:00:00Z");
        assert_eq!(missed(ScheduleView { suspended: true, ..now }), [(tick, Miss::Suspended)]);
        assert_eq!(missed(ScheduleView { forbidden: true, ..now }), [(tick, Miss::Forbidden)]);
        assert_eq!(missed(view("2026-01-01T01:10:01Z", None)), [(tick, Miss::TooLate)]);
    }

    #[test]
    fn a_year_of_missed_minutes_is_looked_at_in_no_time() {
        let due = due(&ticks("* * * * *", None), &view("2027-01-01T00:00:10Z", None));
        assert_eq!((due.run, due.missed.len()), (Some(at("2027-01-01T00:00:00Z")), LOOK_BACK - 1));
    }

    #[test]
    fn the_clocks_of_the_zone_count() {
        let berlin = ticks("30 2 * * *", Some("Europe/Berlin"));
        assert_eq!(berlin.after(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T00:30:00Z")));
        assert_eq!(berlin.after(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T01:30:00Z")));
        // 02:30 does not exist on 29 March 2026; the tick is not lost, and comes once.
        let spring = berlin.after(at("2026-03-28T12:00:00Z")).unwrap();
        assert_eq!(spring, at("2026-03-29T01:00:00Z"));
        assert_eq!(berlin.after(spring), Some(at("2026-03-30T00:30:00Z")));
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

    #[test]
    fn a_run_is_named_after_its_tick() {
        assert_eq!(run_name("hourly", at("1970-01-01T02:00:00Z")), "hourly-120");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,24}", fields in "[0-9*/,LW#?@-]{1,3}( [0-9*/,LW#?-]{1,4}){4}") {
            let now = at("2026-01-01T00:00:00Z");
            let _ = Ticks::parse(&text, Some(&text), now);
            let _ = Ticks::parse(&fields, None, now);
        }

        #[test]
        fn however_often_one_looks_no_tick_is_lost_or_repeated(gaps in prop::collection::vec(1i64..400, 1..40)) {
            let ticks = ticks("*/2 * * * *", None);
            let start = view("2026-01-01T00:00:30Z", None);
            let (mut now, mut last, mut seen) = (start.now, None, Vec::new());
            for gap in gaps {
                now = now.checked_add(SignedDuration::from_secs(gap)).unwrap();
                let due = due(&ticks, &ScheduleView { now, last, ..start });
                seen.extend(due.missed.iter().map(|(tick, _)| *tick).chain(due.run));
                last = seen.last().copied();
            }
            let mut expected = Vec::new();
            let mut at = start.created;
            while let Some(tick) = ticks.after(at).filter(|tick| *tick <= now) {
                expected.push(tick);
                at = tick;
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
