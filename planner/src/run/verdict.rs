//! Whether a run is Complete or Failed.

use spec::Limit;

use super::Stop;

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

/// Judges a run by its sensors, of which so many may fail. A run that was stopped is Failed, unless everything had
/// succeeded by then.
#[must_use]
pub fn verdict(tally: Tally, allowed: Option<Limit>, stopped: Option<Stop>) -> Verdict {
    let Tally { total, failed } = tally;
    let succeeded = total.saturating_sub(failed);
    if let Some(stop) = stopped.filter(|_| failed > 0) {
        let message = format!("{succeeded} of {total} sensors were scored before {}", stop.clause());
        return Verdict { complete: false, reason: stop.reason(), message };
    }
    if !Limit::tolerates(allowed, failed, total) {
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

    #[test]
    fn a_run_is_failed_when_more_sensors_failed_than_may() {
        let judge = |failed, allowed| verdict(Tally { total: 24, failed }, allowed, None);
        assert!(judge(2, Some(Limit::Number(2))).complete);
        assert_eq!(judge(3, Some(Limit::Number(2))).reason, "TooManyFailedSensors");
        assert!(judge(23, None).complete && !judge(24, None).complete);
    }

    #[test]
    fn a_stopped_run_says_why_it_failed() {
        let stopped = verdict(Tally { total: 4, failed: 1 }, None, Some(Stop::DeadlineExceeded));
        assert_eq!((stopped.complete, stopped.reason), (false, "DeadlineExceeded"));
        let done = verdict(Tally { total: 4, failed: 0 }, None, Some(Stop::Cancelled));
        assert!(done.complete);
    }
}
