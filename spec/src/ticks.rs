//! The ticks of a cron expression in a time zone: instants that follow from the two alone.
//!
//! Daylight saving: a schedule that names one time of day (`30 2 * * *`) ticks once a day. A time that the clocks leave out
//! comes at the first minute after the gap, if that is a day of the schedule; of a time that comes twice, the first counts.
//! Every other schedule (`*/10 * * * *`, `0 * * * *`, `0 2,14 * * *`) follows the clocks: what they leave out does not tick,
//! what they repeat ticks again. These are Vixie cron's rules.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

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
        // croner takes nothing beside a comma for no time at all, and then looks for a tick through thousands of years.
        if schedule.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
            return Err(wrong(CronError::InvalidPattern("a comma with nothing on one side of it".to_owned())));
        }
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

    /// The last tick at or before an instant.
    #[must_use]
    pub fn before_or_at(&self, at: Timestamp) -> Option<Timestamp> {
        // Of a time that comes twice, croner takes what is less than a second ahead for past.
        let floor = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
        let whole = at.round(floor).ok()?;
        let last = self.cron.find_previous_occurrence(&whole.to_zoned(self.zone.clone()), true).ok()?;
        Some(last.timestamp()).filter(|last| *last <= at)
    }

    /// The last tick before an instant.
    #[must_use]
    pub fn before(&self, at: Timestamp) -> Option<Timestamp> {
        self.before_or_at(at.checked_sub(SignedDuration::from_nanos(1)).ok()?)
    }
}

#[cfg(test)]
pub(crate) mod tests;
