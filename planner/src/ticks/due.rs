//! Which ticks have passed, and what each of them may still become.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Ticks;

/// How many passed ticks are looked at one by one; older ones are skipped over.
const LOOK_BACK: usize = 1_000;

/// What is done about ticks that could not run in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are missed.
    #[default]
    None,
    /// The latest of them runs as soon as it can, however late.
    Latest,
    /// The latest so many run as soon as they can, the oldest first.
    All(u32),
}

impl CatchUp {
    /// How many ticks wait at most.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::None => 0,
            Self::Latest => 1,
            Self::All(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }
}

/// What there is to know of a schedule when the question is what is due.
#[derive(Clone, Debug)]
pub struct ScheduleView {
    /// Now.
    pub now: Timestamp,
    /// When the schedule was created: earlier ticks are none of its own.
    pub created: Timestamp,
    /// Up to when it is decided what becomes of ticks: they were run, missed or put off, or the schedule was another one.
    pub decided: Option<Timestamp>,
    /// The ticks that were put off: they wait to be caught up.
    pub waiting: Vec<Timestamp>,
    /// The ticks of runs that are there: a process may have died between making a run and saying so.
    pub made: BTreeSet<Timestamp>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether it is not valid: nothing starts, but its ticks are known.
    pub invalid: bool,
    /// How late a run may start.
    pub starting_deadline: SignedDuration,
    /// How long after a tick its run starts.
    pub jitter: SignedDuration,
    /// What is done about ticks that could not run in time.
    pub catch_up: CatchUp,
}

/// Why no run is made for a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// A run still went on.
    Forbidden,
    /// Nobody looked in time.
    TooLate,
    /// The schedule was not valid, as long as its run could have started in time.
    Invalid,
    /// A later tick is due already.
    Superseded,
    /// More ticks wait to be caught up than the limit allows.
    CatchUpLimit,
    /// It had not started before the schedule was edited, and is no tick of it any more.
    Rescheduled,
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
            Self::Invalid => "Invalid",
            Self::Superseded => "Superseded",
            Self::CatchUpLimit => "CatchUpLimit",
            Self::Rescheduled => "Rescheduled",
            Self::Suspended => "Suspended",
            Self::NameTaken => "NameTaken",
        }
    }
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The latest tick, if its run may still start in time: it goes before all that are caught up.
    pub present: Option<Timestamp>,
    /// The ticks that may be caught up, oldest first.
    pub waiting: Vec<Timestamp>,
    /// The ticks that passed and will not run, oldest first; at most the last thousand.
    pub missed: Vec<(Timestamp, Miss)>,
    /// The next tick.
    pub next: Option<Timestamp>,
    /// Nothing starts: the schedule is suspended.
    pub suspended: bool,
    /// Nothing starts: the schedule is not valid.
    pub invalid: bool,
}

/// What is due now. Without catching up, of several ticks that passed only the latest may run, as with CronJob.
#[must_use]
pub fn due(ticks: &Ticks, view: &ScheduleView) -> Due {
    // A tick has passed when its jitter is over.
    let now = view.now.checked_sub(view.jitter).unwrap_or(view.now);
    let (passed, next) = passed(ticks, view.decided.map_or(view.created, |decided| decided.max(view.created)), now);
    let mut due = Due { next, suspended: view.suspended, invalid: view.invalid, ..Due::default() };
    if view.suspended {
        due.waiting.clone_from(&view.waiting);
        due.missed
            .extend(passed.into_iter().filter(|tick| !view.made.contains(tick)).map(|tick| (tick, Miss::Suspended)));
        return due;
    }
    let is_tick = |tick: &&Timestamp| ticks.before_or_at(**tick) == Some(**tick);
    due.missed.extend(view.waiting.iter().filter(|tick| !is_tick(tick)).map(|tick| (*tick, Miss::Rescheduled)));
    let late = |tick: &Timestamp| now.duration_since(*tick) > view.starting_deadline;
    let mut others: BTreeSet<Timestamp> = view.waiting.iter().filter(is_tick).copied().chain(passed).collect();
    // What is decided reaches beyond the last tick after an edit.
    let decided = view.decided.filter(|_| !view.waiting.is_empty()).and_then(|decided| ticks.before_or_at(decided));
    let latest = others.last().max(view.made.last()).copied().max(decided);
    due.present = latest.filter(|tick| !late(tick) && others.remove(tick) && !view.made.contains(tick));
    // Of the others, the latest so many; beside a later tick with a run, `Latest` has nothing left to catch up.
    let keep = match view.catch_up {
        CatchUp::Latest if due.present.is_some() || view.made.last() > others.last() => 0,
        catch_up => catch_up.limit(),
    };
    // Those with a run are counted too: after a death it is decided as before.
    let gone = others.len().saturating_sub(keep);
    for (place, tick) in others.into_iter().enumerate().filter(|(_, tick)| !view.made.contains(tick)) {
        let miss = match view.catch_up {
            _ if place >= gone => {
                due.waiting.push(tick);
                continue;
            }
            CatchUp::All(_) => Miss::CatchUpLimit,
            CatchUp::None if view.invalid => Miss::Invalid,
            CatchUp::None if late(&tick) => Miss::TooLate,
            CatchUp::None | CatchUp::Latest => Miss::Superseded,
        };
        due.missed.push((tick, miss));
    }
    due
}

/// The ticks after `from` and up to `now`, oldest first, and the next one. Of more than a thousand, the last thousand.
#[must_use]
pub fn passed(ticks: &Ticks, from: Timestamp, now: Timestamp) -> (Vec<Timestamp>, Option<Timestamp>) {
    let mut passed = Vec::new();
    let mut next = ticks.after(from);
    while let Some(tick) = next.filter(|tick| *tick <= now) {
        if passed.len() == LOOK_BACK {
            let last = std::iter::successors(ticks.before_or_at(now), |tick| ticks.before(*tick));
            passed = last.take(LOOK_BACK).collect();
            passed.reverse();
            return (passed, ticks.after(now));
        }
        passed.push(tick);
        next = ticks.after(tick);
    }
    (passed, next)
}
