//! What cron, clocks and policies mean, minute by minute and by brute force. Nothing here calls the planner.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A minute since 1970.
pub(crate) type Minute = i64;

/// The clocks of a zone over a span of minutes.
pub(crate) struct Clocks {
    pub(crate) start: Minute,
    /// By how many minutes the clocks are ahead of UTC, for each minute of the span.
    ahead: Vec<i16>,
}

impl Clocks {
    pub(crate) fn of(zone: &str, start: Minute, end: Minute) -> Self {
        let zone = TimeZone::get(zone).unwrap();
        let mut ahead = Vec::new();
        let mut offset = 0;
        for minute in start..end {
            // No clock changes but at a quarter of an hour.
            if minute % 15 == 0 || minute == start {
                let at = Timestamp::from_second(minute * 60).unwrap();
                offset = i16::try_from(zone.to_offset(at).seconds() / 60).unwrap();
            }
            ahead.push(offset);
        }
        Self { start, ahead }
    }
}

/// The minutes or hours that a field names.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) text: String,
    pub(crate) set: u64,
    /// Whether it names one value, and no range of them.
    pub(crate) single: bool,
}

/// The days that the three fields of the date name.
#[derive(Clone, Debug)]
pub(crate) enum Days {
    Every,
    /// Days of the month, of these months.
    OfMonth {
        days: u64,
        months: u64,
    },
    /// The last of the month.
    LastOfMonth,
    /// Days of the week, from 0 for Sunday.
    OfWeek(u64),
    /// The n-th of a day of the week in the month.
    Nth {
        day: i64,
        n: i64,
    },
    /// Either a day of the month, or one of the week.
    Either {
        days: u64,
        week: u64,
    },
}

/// A cron expression, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    pub(crate) minute: Field,
    pub(crate) hour: Field,
    pub(crate) days: Days,
}

fn has(set: u64, value: i64) -> bool {
    set >> value & 1 == 1
}

/// Year, month and day of the month of a day since 1970.
fn civil(day: i64) -> (i64, i64, i64) {
    let mut year = 1970;
    let mut left = day;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    loop {
        let days = 365 + i64::from(leap(year));
        if left < days {
            break;
        }
        left -= days;
        year += 1;
    }
    let mut month = 1;
    for days in lengths(year) {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    (year, month, left + 1)
}

fn lengths(year: i64) -> [i64; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

impl Days {
    fn has(&self, day: i64) -> bool {
        let (year, month, of_month) = civil(day);
        let of_week = (day + 4) % 7; // 1970 began on a Thursday.
        match *self {
            Self::Every => true,
            Self::OfMonth { days, months } => has(days, of_month) && has(months, month),
            Self::LastOfMonth => of_month == lengths(year)[usize::try_from(month - 1).unwrap()],
            Self::OfWeek(week) => has(week, of_week),
            Self::Nth { day, n } => of_week == day && (of_month - 1) / 7 + 1 == n,
            Self::Either { days, week } => has(days, of_month) || has(week, of_week),
        }
    }
}

impl Cron {
    /// The minutes at which it ticks.
    pub(crate) fn ticks(&self, clocks: &Clocks) -> Vec<Minute> {
        let once_a_day = self.minute.single && self.hour.single;
        let mut of_day = (i64::MIN, false);
        let mut has_day = |shown: i64| {
            let day = shown / 1440;
            if of_day.0 != day {
                of_day = (day, self.days.has(day));
            }
            of_day.1
        };
        let times: Vec<bool> =
            (0..1440).map(|minute| has(self.minute.set, minute % 60) && has(self.hour.set, minute / 60)).collect();
        let has_time = |shown: i64| times[usize::try_from(shown % 1440).unwrap()];
        let mut ticks = Vec::new();
        let mut latest = i64::MIN;
        for (minute, ahead) in (clocks.start..).zip(&clocks.ahead) {
            // What the clocks show, as minutes since 1970.
            let shown = minute + i64::from(*ahead);
            let mut due = has_time(shown) && has_day(shown);
            if once_a_day && latest != i64::MIN {
                let repeated = shown <= latest;
                let left_out = latest + 1..shown;
                due = (due && !repeated)
                    || (!left_out.is_empty() && left_out.into_iter().any(has_time) && has_day(shown));
            }
            latest = latest.max(shown);
            if due {
                ticks.push(minute);
            }
        }
        ticks
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Forbid,
    Allow,
    Replace,
}

/// How a schedule is run, all in minutes.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    /// How many are caught up; `late` ones only if there is nothing newer where it is `latest_only`.
    pub(crate) catch_up: usize,
    pub(crate) latest_only: bool,
    pub(crate) deadline: i64,
    pub(crate) jitter: i64,
    /// How long runs go on, by turns.
    pub(crate) lengths: Vec<i64>,
    /// Half-open spans in which nobody looks.
    pub(crate) down: Vec<(Minute, Minute)>,
    /// Half-open spans in which the schedule is suspended.
    pub(crate) suspended: Vec<(Minute, Minute)>,
    /// Half-open spans in which the schedule is not valid.
    pub(crate) invalid: Vec<(Minute, Minute)>,
}

/// What became of a tick, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Run,
    Missed(&'static str),
}

/// Lives through every minute and says what becomes of each tick.
pub(crate) fn live(ticks: &[Minute], rules: &Rules, start: Minute, end: Minute) -> Vec<(Minute, Minute, Fate)> {
    let mut fates = Vec::new();
    let mut unseen = ticks.iter().copied().peekable();
    let mut waiting: Vec<Minute> = Vec::new();
    let mut ends: Vec<Minute> = Vec::new();
    let mut runs = 0;
    let mut latest = i64::MIN;
    let (mut down, mut suspended) = (rules.down.iter().peekable(), rules.suspended.iter().peekable());
    let mut invalid = rules.invalid.iter().peekable();
    for now in start..end {
        while down.next_if(|(_, to)| *to <= now).is_some() {}
        while suspended.next_if(|(_, to)| *to <= now).is_some() {}
        while invalid.next_if(|(_, to)| *to <= now).is_some() {}
        let passed = unseen.peek().is_some_and(|tick| tick + rules.jitter <= now);
        // In most minutes there is nothing to decide upon.
        if (!passed && waiting.is_empty()) || down.peek().is_some_and(|(from, _)| *from <= now) {
            continue;
        }
        ends.retain(|end| *end > now);
        let mut new: Vec<Minute> = Vec::new();
        while let Some(tick) = unseen.next_if(|tick| tick + rules.jitter <= now) {
            new.push(tick);
            latest = tick;
        }
        // Nobody is told of more than a thousand at once.
        let told = new.len().saturating_sub(1_000);
        new.drain(..told);
        if suspended.peek().is_some_and(|(from, _)| *from <= now) {
            fates.extend(new.iter().map(|tick| (*tick, now, Fate::Missed("Suspended"))));
            continue;
        }
        if new.is_empty() && waiting.is_empty() {
            continue;
        }
        let wrong = invalid.peek().is_some_and(|(from, _)| *from <= now);
        let late = |tick: Minute| now - tick - rules.jitter > rules.deadline;
        waiting.append(&mut new);
        waiting.sort_unstable();
        let newest = waiting.pop().unwrap();
        let mut present = Some(newest);
        if late(newest) || newest < latest {
            present = None;
            waiting.push(newest);
        }
        let room = if rules.latest_only && present.is_some() { 0 } else { rules.catch_up };
        while waiting.len() > room {
            let tick = waiting.remove(0);
            let why = match (rules.latest_only, rules.catch_up) {
                (true, _) => "Superseded",
                (false, 0) => {
                    if wrong {
                        "Invalid"
                    } else if late(tick) {
                        "TooLate"
                    } else {
                        "Superseded"
                    }
                }
                (false, _) => "CatchUpLimit",
            };
            fates.push((tick, now, Fate::Missed(why)));
        }
        let chosen = match present {
            Some(tick) if wrong => {
                waiting.push(tick);
                if waiting.len() > rules.catch_up.max(1) {
                    fates.push((waiting.remove(0), now, Fate::Missed("CatchUpLimit")));
                }
                None
            }
            None if wrong => None,
            Some(tick) if ends.is_empty() || rules.policy != Policy::Forbid => {
                if rules.policy == Policy::Replace {
                    ends.clear();
                }
                Some(tick)
            }
            Some(tick) if rules.catch_up == 0 => {
                fates.push((tick, now, Fate::Missed("Forbidden")));
                None
            }
            Some(tick) => {
                waiting.push(tick);
                if waiting.len() > rules.catch_up {
                    fates.push((waiting.remove(0), now, Fate::Missed("CatchUpLimit")));
                }
                None
            }
            None if ends.is_empty() && !waiting.is_empty() => Some(waiting.remove(0)),
            None => None,
        };
        if let Some(tick) = chosen {
            fates.push((tick, now, Fate::Run));
            ends.push(now + rules.lengths[runs % rules.lengths.len()]);
            runs += 1;
        }
    }
    fates
}
