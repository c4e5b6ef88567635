//! What a backfill's status tells, and what is read from it again.

use crds::run::{WindowCounts, WindowFailure};
use crds::{ScoringRun, ScoringRunStatus};
use jiff::Timestamp;
use planner::backfill::{Counts, KEPT, Step};

use super::Children;
use crate::conditions::{Conditions, find, is_true, whole_seconds};
use crate::context::{name_of, namespace_of};
use crate::run::observe::PATIENCE;
use crate::run::status::{STALLED, as_seen};

/// Something else has the name of a window's run.
pub(super) const NAME_TAKEN: &str = "NameTaken";

/// Why a backfill cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Halt {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether its runs are to stop; else it waits.
    pub(super) stops: bool,
}

/// Why a backfill cannot go on. Since when is found again in its condition, by whichever process looks next: a schedule that
/// is deleted and made again is there before it is missed.
pub(super) fn halt(run: &ScoringRun, has_schedule: bool, now: Timestamp) -> Option<Halt> {
    let conditions = run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let known = find(conditions, STALLED).filter(|stalled| stalled.status == "True");
    if let Some(taken) = known.filter(|stalled| stalled.reason == NAME_TAKEN) {
        return Some(Halt { reason: NAME_TAKEN, message: taken.message.clone(), stops: true });
    }
    if has_schedule {
        return None;
    }
    let schedule = &run.spec.schedule_name;
    let message = format!("there is no ScoringSchedule {schedule:?} in namespace {}", namespace_of(run));
    let since = known.map_or(now, |stalled| stalled.last_transition_time);
    Some(Halt { reason: "ScheduleNotFound", message, stops: now.duration_since(since) >= PATIENCE })
}

/// What the status tells of.
pub(super) struct Seen<'a> {
    pub(super) step: &'a Step,
    pub(super) children: &'a Children,
    pub(super) halt: Option<&'a Halt>,
}

pub(super) fn wanted(now: Timestamp, run: &ScoringRun, total: u32, seen: &Seen) -> ScoringRunStatus {
    let Seen { step, halt, .. } = seen;
    let current = run.status.clone().unwrap_or_default();
    let mut conditions = Conditions::of(&current.conditions, run.metadata.generation, now);
    let Counts { complete, failed } = step.counted;
    let failed_windows = failures(&current.failed_windows, seen);
    let counts =
        format!("{complete} of {total} windows are Complete, {failed} Failed{}", named(&failed_windows, failed));
    let mut status = ScoringRunStatus {
        windows: Some(WindowCounts { total, complete, failed }),
        progress: Some(format!("{}/{total}", complete + failed)),
        failed_windows,
        ..as_seen(run)
    };
    status.started.get_or_insert_with(|| whole_seconds(now));
    match halt {
        Some(halt) => drop(conditions.set(STALLED, true, halt.reason, halt.message.clone())),
        None if is_true(&status.conditions, STALLED) => drop(conditions.set(STALLED, false, "GoesOn", "")),
        None => {}
    }
    let end = match halt {
        _ if !step.over => None,
        _ if complete + failed == total && failed > 0 => Some(("Failed", "WindowsFailed", counts.clone())),
        _ if complete + failed == total => Some(("Complete", "AllWindowsComplete", counts.clone())),
        _ if run.spec.cancel => Some(("Failed", "Cancelled", format!("{counts}; the others were cancelled"))),
        Some(halt) => Some(("Failed", halt.reason, format!("{}; {counts}", halt.message))),
        None => Some(("Failed", "WindowsMissing", counts.clone())),
    };
    let word = match end {
        Some((word, reason, message)) => {
            conditions.set("Complete", word == "Complete", reason, message.clone());
            if word == "Failed" {
                conditions.set("Failed", true, reason, message);
            }
            status.ended = Some(whole_seconds(now));
            word
        }
        None => {
            let stops = run.spec.cancel || halt.is_some_and(|halt| halt.stops);
            let word = if stops { "Stopping" } else { "Running" };
            conditions.set("Complete", false, word, counts);
            word
        }
    };
    status.state = Some(word.to_owned());
    status.conditions = conditions.into_vec();
    status
}

/// The first failed windows: those that are known, and then those that are counted now.
fn failures(known: &[WindowFailure], Seen { step, children, .. }: &Seen) -> Vec<WindowFailure> {
    let now = step.failed.iter().filter_map(|window| {
        let child = children.get(window)?;
        let conditions = child.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        Some(WindowFailure {
            run: name_of(child).to_owned(),
            window: child.spec.window?,
            reason: find(conditions, "Failed").map(|failed| failed.reason.clone()).unwrap_or_default(),
        })
    });
    known.iter().cloned().chain(now).take(KEPT).collect()
}

fn named(failures: &[WindowFailure], failed: u32) -> String {
    let names: Vec<String> = failures.iter().map(|failure| format!("{} ({})", failure.run, failure.reason)).collect();
    let more = if failed as usize > names.len() { ", …" } else { "" };
    if names.is_empty() { String::new() } else { format!(": {}{more}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(cancel: bool) -> ScoringRun {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "metadata": {"name": "june"},
            "spec": {"scheduleName": "hourly", "cancel": cancel},
        }))
        .unwrap()
    }

    fn told(run: &ScoringRun, step: &Step, children: &Children, halt: Option<&Halt>) -> ScoringRunStatus {
        wanted(at(0), run, 3, &Seen { step, children, halt })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn it_is_complete_when_every_window_is_and_failed_when_one_is() {
        let end = |complete, failed, cancel, over| {
            let step = Step { counted: Counts { complete, failed }, over, ..Step::default() };
            let status = told(&run(cancel), &step, &Children::new(), None);
            (status.state.unwrap(), status.progress.unwrap())
        };
        assert_eq!(end(1, 0, false, false), ("Running".to_owned(), "1/3".to_owned()));
        assert_eq!(end(3, 0, false, true).0, "Complete");
        assert_eq!(end(2, 1, false, true).0, "Failed");
        assert_eq!(end(1, 0, true, false).0, "Stopping");
        assert_eq!(end(1, 0, true, true).0, "Failed");
        assert_eq!(end(3, 0, true, true).0, "Complete", "it was cancelled too late");
    }

    #[test]
    fn a_schedule_that_is_made_again_is_waited_for_from_when_it_went() {
        let mut run = run(false);
        let gone = halt(&run, false, at(0)).unwrap();
        assert!(!gone.stops, "{gone:?}");
        let step = Step { counted: Counts { complete: 1, failed: 0 }, ..Step::default() };
        let status = told(&run, &step, &Children::new(), Some(&gone));
        assert_eq!((status.state.as_deref(), status.progress.as_deref()), (Some("Running"), Some("1/3")));
        run.status = Some(status);
        // Any other process finds since when.
        assert!(!halt(&run, false, at(9)).unwrap().stops);
        assert!(halt(&run, false, at(10)).unwrap().stops);
        assert_eq!(halt(&run, true, at(5)), None);
        let again = told(&run, &step, &Children::new(), None);
        assert!(!is_true(&again.conditions, STALLED));
        run.status = Some(again);
        assert!(!halt(&run, false, at(100)).unwrap().stops, "it went again");
    }

    #[test]
    fn without_its_schedule_it_stops_its_runs_and_keeps_its_counts() {
        let gone = Halt { reason: "ScheduleNotFound", message: "there is none".into(), stops: true };
        let mut step = Step { counted: Counts { complete: 1, failed: 0 }, ..Step::default() };
        let run = run(false);
        assert_eq!(told(&run, &step, &Children::new(), Some(&gone)).state.as_deref(), Some("Stopping"));
        step.over = true;
        let status = told(&run, &step, &Children::new(), Some(&gone));
        let failed = find(&status.conditions, "Failed").unwrap();
        assert_eq!(failed.reason, "ScheduleNotFound");
        assert_eq!(failed.message, "there is none; 1 of 3 windows are Complete, 0 Failed");
        assert_eq!(status.windows, Some(WindowCounts { total: 3, complete: 1, failed: 0 }));
    }

    #[test]
    fn a_name_that_is_taken_stops_its_runs_for_good() {
        let taken = Halt { reason: NAME_TAKEN, message: "june-1 is there".into(), stops: true };
        let mut run = run(false);
        run.status = Some(told(&run, &Step::default(), &Children::new(), Some(&taken)));
        assert_eq!(halt(&run, true, at(1)), Some(taken));
    }

    #[test]
    fn the_first_failed_windows_are_named() {
        let failed = |window: u32| -> (u32, ScoringRun) {
            let child = json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
                "metadata": {"name": format!("june-{window}")},
                "spec": {
                    "scheduleName": "hourly",
                    "window": {"start": at(i64::from(window) * 3600), "end": at(i64::from(window + 1) * 3600)},
                },
                "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "NoSensors", "message": "",
                    "lastTransitionTime": at(0)}]},
            });
            (window, serde_json::from_value(child).unwrap())
        };
        let (mut run, children) = (run(false), (0..12).map(failed).collect::<Children>());
        let mut step = Step { counted: Counts { complete: 0, failed: 1 }, failed: vec![0], ..Step::default() };
        run.status = Some(told(&run, &step, &children, None));
        step = Step { counted: Counts { complete: 0, failed: 12 }, failed: (1..12).collect(), ..Step::default() };
        let status = told(&run, &step, &children, None);
        let named: Vec<&str> = status.failed_windows.iter().map(|failure| failure.run.as_str()).collect();
        assert_eq!((named.len(), named[0], named[9]), (10, "june-0", "june-9"));
        let message = &find(&status.conditions, "Complete").unwrap().message;
        assert!(message.contains("12 Failed: june-0 (NoSensors), june-1 (NoSensors)"), "{message}");
        assert!(message.ends_with("june-9 (NoSensors), …"), "{message}");
    }
}
