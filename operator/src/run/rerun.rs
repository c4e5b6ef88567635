//! The run of which another scores the failed sensors again.

use std::sync::Arc;

use crds::ScoringRun;
use jiff::Timestamp;
use spec::TimeRange;

use super::pods::Trouble;
use crate::conditions::is_true;
use crate::context::{Ctx, namespace_of};
use crate::guard::Guard;
use crate::schedule::goes_on;

/// What is known of the run of which a run scores the failed sensors again, if it does.
pub(super) enum Rerun {
    /// All sensors are scored.
    No,
    /// The run's object is there.
    Of(Arc<Guard<ScoringRun>>),
    /// The run's object is gone, or was never there; its record may be in the store.
    Gone {
        /// The tick, as this run's status has it since the object was there.
        tick: Option<Timestamp>,
    },
}

impl Rerun {
    /// Of a run, as the caches have it.
    pub(super) fn of(ctx: &Ctx, run: &ScoringRun) -> Self {
        let Some(name) = &run.spec.rerun_failed_of else { return Self::No };
        match ctx.caches.runs.get(namespace_of(run), name) {
            Some(guard) => Self::Of(guard),
            None => Self::Gone { tick: run.status.as_ref().and_then(|status| status.tick) },
        }
    }

    fn earlier(&self) -> Option<&ScoringRun> {
        match self {
            Self::Of(guard) => guard.0.as_ref().ok(),
            Self::No | Self::Gone { .. } => None,
        }
    }

    /// The earlier run's tick: the predictions are named after it where there is no window.
    pub(super) fn tick(&self) -> Option<Timestamp> {
        match self {
            Self::No => None,
            Self::Of(_) => self.earlier().and_then(|run| run.spec.tick.or(run.status.as_ref()?.tick)),
            Self::Gone { tick } => *tick,
        }
    }

    /// The earlier run's window.
    pub(super) fn window(&self) -> Option<TimeRange> {
        self.earlier().and_then(|run| run.spec.window.or(run.status.as_ref()?.window))
    }

    /// Whether a run can score the failed sensors again.
    pub(super) fn check(&self, run: &ScoringRun) -> Result<(), Trouble> {
        let name = run.spec.rerun_failed_of.as_deref().unwrap_or_default();
        let refuse = |reason, message: String| Err(Trouble::new(reason, message));
        match (self, self.earlier()) {
            (Self::No, _) => Ok(()),
            // Without the tick the predictions could not join those of the earlier run.
            (Self::Gone { .. }, _) if run.spec.tick.is_some() => Ok(()),
            (_, None) => refuse(
                "RunNotFound",
                format!(
                    "there is no ScoringRun {name:?} in namespace {}; if it is only its object that is gone, create the \
                     rerun with tick and window as the run's record.json in the store has them",
                    namespace_of(run)
                ),
            ),
            (_, Some(earlier)) if earlier.spec.schedule_name != run.spec.schedule_name => refuse(
                "OtherSchedule",
                format!(
                    "ScoringRun {name:?} is one of ScoringSchedule {:?}; set scheduleName to that",
                    earlier.spec.schedule_name
                ),
            ),
            (_, Some(earlier)) if goes_on(earlier) => refuse(
                "RunNotEnded",
                format!("ScoringRun {name:?} still goes on; rerun its failed sensors once it has ended"),
            ),
            (_, Some(_)) if differs(run.spec.window, self.window()) || differs(run.spec.tick, self.tick()) => refuse(
                "OtherWindow",
                format!(
                    "ScoringRun {name:?} is of the tick {} and scored {}, where its failed sensors are scored again; leave \
                     out tick and window, or create a run of all sensors",
                    self.tick().map_or_else(|| "that its record has".to_owned(), |tick| tick.to_string()),
                    self.window().map_or_else(
                        || "every row".to_owned(),
                        |window| format!("the window from {} to {}", window.start, window.end)
                    ),
                ),
            ),
            (_, Some(earlier)) => {
                let conditions = earlier.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
                match is_true(conditions, "Archived") {
                    true => Ok(()),
                    false => refuse(
                        "RunNotArchived",
                        format!(
                            "ScoringRun {name:?} has no record that tells which sensors failed; create a run of all sensors"
                        ),
                    ),
                }
            }
        }
    }
}

/// Whether something is said that is not as it was.
fn differs<T: PartialEq + Copy>(said: Option<T>, was: Option<T>) -> bool {
    said.is_some() && said != was
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rerun(tick: Option<&str>) -> ScoringRun {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "again", "namespace": "plant"},
            "spec": {"scheduleName": "hourly", "rerunFailedOf": "hourly-1", "tick": tick},
        }))
        .unwrap()
    }

    fn earlier(schedule: &str, end: &str, archived: &str) -> Rerun {
        let condition = |kind: &str, status: &str| {
            let since = "2026-01-01T00:00:00Z";
            json!({"type": kind, "status": status, "reason": "X", "message": "", "lastTransitionTime": since})
        };
        let run = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "hourly-1", "namespace": "plant"},
            "spec": {"scheduleName": schedule, "tick": "2026-01-01T00:00:00Z"},
            "status": {
                "window": {"start": "2025-12-31T23:00:00Z", "end": "2026-01-01T00:00:00Z"},
                "conditions": [condition(end, "True"), condition("Archived", archived)],
            },
        });
        Rerun::Of(Arc::new(serde_json::from_value(run).unwrap()))
    }

    fn refused(earlier: &Rerun, tick: Option<&str>) -> Option<String> {
        earlier.check(&rerun(tick)).err().map(|trouble| trouble.reason)
    }

    #[test]
    fn an_ended_run_is_scored_again_at_its_tick_and_in_its_window() {
        let earlier = earlier("hourly", "Failed", "True");
        assert_eq!(refused(&earlier, None), None);
        assert_eq!(earlier.tick(), Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(earlier.window().map(|w| w.start), Some("2025-12-31T23:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_run_that_goes_on_or_has_no_record_or_is_of_another_schedule_is_not_scored_again() {
        assert_eq!(refused(&earlier("hourly", "Running", "False"), None).as_deref(), Some("RunNotEnded"));
        assert_eq!(refused(&earlier("hourly", "Complete", "False"), None).as_deref(), Some("RunNotArchived"));
        assert_eq!(refused(&earlier("daily", "Complete", "True"), None).as_deref(), Some("OtherSchedule"));
    }

    #[test]
    fn failed_sensors_are_scored_in_their_own_window_and_in_no_other() {
        let earlier = earlier("hourly", "Failed", "True");
        let refused = |key: &str, said: serde_json::Value| {
            let mut spec = json!({"scheduleName": "hourly", "rerunFailedOf": "hourly-1"});
            spec[key] = said;
            let mut run = rerun(None);
            run.spec = serde_json::from_value(spec).unwrap();
            earlier.check(&run).err().map(|trouble| (trouble.reason, trouble.message))
        };
        let window = |end: &str| json!({"start": "2025-12-31T23:00:00Z", "end": end});
        assert_eq!(refused("window", window("2026-01-01T00:00:00Z")), None);
        assert_eq!(refused("tick", json!("2026-01-01T00:00:00Z")), None);
        let (reason, message) = refused("window", window("2026-01-02T00:00:00Z")).unwrap();
        assert_eq!(reason, "OtherWindow");
        assert!(message.contains("from 2025-12-31T23:00:00Z to 2026-01-01T00:00:00Z"), "{message}");
        assert_eq!(refused("tick", json!("2026-01-01T01:00:00Z")).unwrap().0, "OtherWindow");
    }

    #[test]
    fn of_a_run_whose_object_is_gone_the_tick_has_to_be_said() {
        let gone = Rerun::Gone { tick: None };
        assert_eq!(refused(&gone, None).as_deref(), Some("RunNotFound"));
        assert_eq!(refused(&gone, Some("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn any_other_run_scores_all_sensors() {
        assert_eq!(refused(&Rerun::No, None), None);
    }
}
