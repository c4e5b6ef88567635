//! Whether a run is Complete or Failed.

use std::str::FromStr;

use super::Stop;

/// How many sensors may fail before the run itself is Failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxFailed {
    /// All but one: the run fails when every sensor failed.
    #[default]
    AllButOne,
    /// This many.
    Number(u32),
    /// This part of all, in percent.
    Percent(u32),
}

/// Why a text is not a [`MaxFailed`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("maxFailedSensors {0:?} is neither a number such as 5 nor a percentage from 0% to 100% such as 10%")]
pub struct MaxFailedError(String);

impl FromStr for MaxFailed {
    type Err = MaxFailedError;

    fn from_str(text: &str) -> Result<Self, MaxFailedError> {
        let wrong = || MaxFailedError(text.to_owned());
        match text.strip_suffix('%') {
            Some(part) => part.parse().ok().filter(|p| *p <= 100).map(Self::Percent).ok_or_else(wrong),
            None => text.parse().map(Self::Number).map_err(|_| wrong()),
        }
    }
}

impl MaxFailed {
    fn exceeded(self, failed: u32, total: u32) -> bool {
        match self {
            Self::AllButOne => failed > 0 && failed >= total,
            Self::Number(most) => failed > most,
            Self::Percent(most) => u64::from(failed) * 100 > u64::from(most) * u64::from(total),
        }
    }
}

/// The sensors of an ended run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub total: u32,
    /// Those that failed, those without an outcome included.
    pub failed: u32,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Complete, or else Failed.
    pub complete: bool,
    /// Why, in one CamelCase word.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// Judges a run by its sensors. A run that was stopped is Failed, unless everything had succeeded by then.
#[must_use]
pub fn verdict(tally: Tally, allowed: MaxFailed, stopped: Option<Stop>) -> Verdict {
    let Tally { total, failed } = tally;
    let succeeded = total.saturating_sub(failed);
    if let Some(stop) = stopped.filter(|_| failed > 0) {
        let message = format!("{succeeded} of {total} sensors were scored before {}", stop.clause());
        return Verdict { complete: false, reason: stop.reason(), message };
    }
    if allowed.exceeded(failed, total) {
        let message = format!("{failed} of {total} sensors failed, more than maxFailedSensors allows");
        return Verdict { complete: false, reason: "TooManyFailedSensors", message };
    }
    match failed {
        0 => Verdict { complete: true, reason: "AllSucceeded", message: format!("{total} sensors were scored") },
        _ => Verdict {
            complete: true,
            reason: "SomeFailed",
            message: format!("{succeeded} of {total} sensors were scored, {failed} failed"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(failed: u32, total: u32, allowed: &str) -> bool {
        verdict(Tally { total, failed }, allowed.parse().unwrap(), None).complete
    }

    #[test]
    fn by_default_a_run_fails_when_every_sensor_failed() {
        let judge = |failed, total| verdict(Tally { total, failed }, MaxFailed::default(), None).complete;
        assert!(judge(0, 24) && judge(23, 24) && judge(0, 1));
        assert!(!judge(24, 24) && !judge(1, 1));
    }

    #[test]
    fn a_number_or_a_percentage_of_sensors_may_fail() {
        assert!(complete(2, 24, "2") && !complete(3, 24, "2") && !complete(1, 24, "0"));
        assert!(complete(2, 20, "10%") && !complete(3, 20, "10%") && complete(20, 20, "100%"));
        assert!("ten".parse::<MaxFailed>().is_err() && "101%".parse::<MaxFailed>().is_err());
    }

    #[test]
    fn a_stopped_run_says_why_it_failed() {
        let stopped = verdict(Tally { total: 4, failed: 1 }, MaxFailed::default(), Some(Stop::DeadlineExceeded));
        assert_eq!((stopped.complete, stopped.reason), (false, "DeadlineExceeded"));
        let done = verdict(Tally { total: 4, failed: 0 }, MaxFailed::default(), Some(Stop::Cancelled));
        assert!(done.complete);
    }
}
