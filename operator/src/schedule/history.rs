//! Which ended runs stay as objects.

use std::sync::Arc;

use crds::ScoringRun;
use crds::schedule::History;
use jiff::Timestamp;

use crate::conditions::is_true;

/// What is looked at: one of the schedule's own runs.
pub(super) struct Run {
    /// The run.
    pub(super) object: Arc<ScoringRun>,
    /// Its tick.
    pub(super) tick: Timestamp,
}

impl Run {
    fn is(&self, condition: &str) -> bool {
        self.object.status.as_ref().is_some_and(|status| is_true(&status.conditions, condition))
    }

    /// Whether it is Complete.
    pub(super) fn complete(&self) -> bool {
        self.is("Complete")
    }

    /// Whether it is neither Complete nor Failed yet.
    pub(super) fn goes_on(&self) -> bool {
        super::goes_on(&self.object)
    }

    /// Whether it is Complete or Failed.
    pub(super) fn ended(&self) -> bool {
        self.is("Complete") || self.is("Failed")
    }
}

/// The runs to delete: ended ones beyond the limits, oldest first. One that still has to tidy up after itself (its
/// finalizer is on it), or that is being deleted already, is left alone.
pub(super) fn surplus<'a>(runs: &'a [Run], limits: &History) -> Vec<&'a Run> {
    let mut surplus = Vec::new();
    for (complete, limit) in [(true, limits.successful), (false, limits.failed)] {
        let mut ended: Vec<&Run> = runs.iter().filter(|run| run.ended() && run.complete() == complete).collect();
        ended.sort_by_key(|run| run.tick);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let beyond = ended.len().saturating_sub(limit);
        surplus.extend(ended.into_iter().take(beyond).filter(|run| {
            let meta = &run.object.metadata;
            meta.deletion_timestamp.is_none() && meta.finalizers.as_ref().is_none_or(Vec::is_empty)
        }));
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(name: &str, minute: i64, end: &str, finalizers: &[&str]) -> Run {
        let object = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": name, "finalizers": finalizers}, "spec": {"scheduleName": "s"},
            "status": {"conditions": [{"type": end, "status": "True", "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }));
        Run { object: Arc::new(object.unwrap()), tick: Timestamp::from_second(minute * 60).unwrap() }
    }

    #[test]
    fn the_oldest_ended_runs_go_once_they_have_tidied_up() {
        let runs = [
            run("c", 3, "Complete", &[]),
            run("a", 1, "Complete", &[]),
            run("b", 2, "Complete", &["batchscoring.dev/archive"]),
            run("f", 1, "Failed", &[]),
            run("goes-on", 0, "Planned", &[]),
        ];
        let names = |limits| -> Vec<String> {
            surplus(&runs, &limits).iter().map(|r| r.object.metadata.name.clone().unwrap()).collect()
        };
        assert_eq!(names(History { successful: 2, failed: 1 }), ["a"]);
        assert_eq!(names(History { successful: 0, failed: 0 }), ["a", "c", "f"]);
        assert_eq!(names(History { successful: 3, failed: 3 }), [""; 0]);
    }
}
