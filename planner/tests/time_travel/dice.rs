//! Random schedules and the lives that they are led.

use std::fmt;

use super::oracle::{Cron, Days, Field, Minute, Policy, Rules};

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Numbers by a seed (xorshift): the same on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    pub(crate) fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// A field of values from 0 to below `values`.
    fn field(&mut self, values: u64, star: u64) -> Field {
        let all = |from: u64, to: u64, step: u64| {
            (from..=to).step_by(usize::try_from(step).unwrap()).fold(0, |set, v| set | 1 << v)
        };
        let last = values - 1;
        if self.below(10) < star {
            return Field { text: "*".to_owned(), set: all(0, last, 1), single: false };
        }
        match self.below(5) {
            0 => {
                let step = self.between(2, values / 2);
                Field { text: format!("*/{step}"), set: all(0, last, step), single: false }
            }
            1 => {
                let (from, to) = (self.below(values / 2), self.between(values / 2, last));
                let step = self.between(1, 7);
                Field { text: format!("{from}-{to}/{step}"), set: all(from, to, step), single: false }
            }
            2 => {
                let (one, other) = (self.below(values / 2), self.between(values / 2, last));
                Field { text: format!("{one},{other}"), set: 1 << one | 1 << other, single: false }
            }
            _ => {
                let value = self.below(values);
                Field { text: value.to_string(), set: 1 << value, single: true }
            }
        }
    }

    /// An expression; those that tick all the time are few, since they take the longest.
    pub(crate) fn cron(&mut self) -> Cron {
        let minutely = self.below(100) == 0;
        let minute = self.field(60, if minutely { 10 } else { 0 });
        let mut hour = self.field(24, 2);
        while !minutely && minute.set.count_ones() > 6 && hour.set.count_ones() > 2 {
            hour = self.field(24, 0);
        }
        let days = match self.below(8) {
            0 => Days::OfMonth { days: 1 << self.between(1, 31), months: 0x1ffe },
            1 => {
                let (from, to) = (self.between(1, 15), self.between(16, 28));
                let days = (from..=to).fold(0, |set, day| set | 1 << day);
                let months = 1 << self.between(1, 12) | 1 << self.between(1, 12);
                Days::OfMonth { days, months }
            }
            2 => Days::LastOfMonth,
            3 => Days::OfWeek(0b011_1110),
            4 => Days::OfWeek(1 << self.below(7)),
            5 => {
                Days::Nth { day: i64::try_from(self.below(7)).unwrap(), n: i64::try_from(self.between(1, 5)).unwrap() }
            }
            6 => Days::Either { days: 1 << self.between(1, 28), week: 1 << self.below(7) },
            _ => Days::Every,
        };
        Cron { minute, hour, days }
    }

    /// Half-open spans in a row.
    fn spans(&mut self, (start, end): (Minute, Minute), apart: u64, long: u64) -> Vec<(Minute, Minute)> {
        let mut spans = Vec::new();
        let mut at = start;
        loop {
            let from = at + i64::try_from(self.between(1, apart)).unwrap();
            let to = from + i64::try_from(self.between(1, long)).unwrap();
            if to >= end {
                return spans;
            }
            spans.push((from, to));
            at = to;
        }
    }

    pub(crate) fn rules(&mut self, span: (Minute, Minute)) -> Rules {
        let policy = *self.one(&[Policy::Forbid, Policy::Allow, Policy::Replace]);
        let latest_only = self.below(3) == 0;
        let catch_up = if latest_only { 1 } else { usize::try_from(*self.one(&[0, 0, 1, 3, 20])).unwrap() };
        let minutes = |dice: &mut Self, all: &[u64]| i64::try_from(*dice.one(all)).unwrap();
        let longest = *self.one(&[1, 5, 90, 2_000]);
        Rules {
            policy,
            catch_up,
            latest_only,
            deadline: minutes(self, &[0, 1, 10, 60, 1_440]),
            jitter: minutes(self, &[0, 0, 1, 7, 45]),
            lengths: (0..7).map(|_| i64::try_from(self.between(1, longest)).unwrap()).collect(),
            down: if self.below(4) == 0 { Vec::new() } else { self.spans(span, 40_000, 3_000) },
            suspended: if self.below(2) == 0 { Vec::new() } else { self.spans(span, 80_000, 5_000) },
            invalid: if self.below(2) == 0 { Vec::new() } else { self.spans(span, 60_000, 4_000) },
        }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, catch_up, latest_only, deadline, jitter, lengths, down, suspended, invalid } = self;
        write!(
            f,
            "{policy:?}, {catch_up} caught up (latest only: {latest_only}), deadline {deadline}, jitter {jitter}, "
        )?;
        write!(f, "runs of {lengths:?}, {} times down, {} times suspended, ", down.len(), suspended.len())?;
        write!(f, "{} times invalid", invalid.len())
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: u64, name: &dyn Fn(u64) -> String| {
            (0..64).filter(|v| set >> v & 1 == 1).map(name).collect::<Vec<_>>().join(",")
        };
        let number = |value: u64| value.to_string();
        let month = |value: u64| MONTHS[usize::try_from(value - 1).unwrap()].to_owned();
        let day = |value: u64| DAYS[usize::try_from(value).unwrap()].to_owned();
        let (of_month, months, of_week) = match &self.days {
            Days::Every => ("*".to_owned(), "*".to_owned(), "*".to_owned()),
            Days::OfMonth { days, months } => (list(*days, &number), list(*months, &month), "*".to_owned()),
            Days::LastOfMonth => ("L".to_owned(), "*".to_owned(), "*".to_owned()),
            Days::OfWeek(week) => ("*".to_owned(), "*".to_owned(), list(*week, &day)),
            Days::Nth { day, n } => ("*".to_owned(), "*".to_owned(), format!("{day}#{n}")),
            Days::Either { days, week } => (list(*days, &number), "*".to_owned(), list(*week, &number)),
        };
        write!(f, "{} {} {of_month} {months} {of_week}", self.minute.text, self.hour.text)
    }
}
