//! A run that is many: a range of readings, window by window. The planner decides, here it is read and written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::run::{Backfill, WindowCounts};
use crds::{ScoringRun, ScoringRunSpec, ScoringRunStatus};
use kube::Resource;
use kube::runtime::controller::Action;
use planner::backfill::{Child, Counts, Step, View, decide};
use spec::TimeRange;

use super::observe::PATIENCE;
use super::owned::{Made, cancel, delete, make};
use super::{LOOK, MANAGER, status, ttl};
use crate::Error;
use crate::conditions::{Conditions, is_true, whole_seconds};
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::schedule::{goes_on, is_owned};

/// The most windows of one backfill.
const MAX_WINDOWS: u32 = 10_000;

/// Goes on with a backfill.
pub(super) async fn reconcile(ctx: &Ctx, run: &ScoringRun, backfill: &Backfill) -> Result<Action, Error> {
    // Its windows' runs are deleted with it.
    if run.metadata.deletion_timestamp.is_some() || ctx.caches.is_closing(namespace_of(run)) {
        return Ok(Action::await_change());
    }
    if !goes_on(run) {
        return ttl::expire(ctx, run).await;
    }
    let total = windows(backfill);
    if total > MAX_WINDOWS {
        let message = format!(
            "{total} windows are more than the {MAX_WINDOWS} of one backfill; make step longer, or the range shorter"
        );
        write(ctx, run, total, &Step::default(), Some(("TooManyWindows", message))).await?;
        return Ok(Action::await_change());
    }
    let schedule = &run.spec.schedule_name;
    if ctx.caches.schedules.get(namespace_of(run), schedule).is_none() {
        let created = run.metadata.creation_timestamp.as_ref().map_or(ctx.now(), |time| time.0);
        if ctx.now().duration_since(created) < PATIENCE {
            return Ok(Action::requeue(Duration::from_secs(1)));
        }
        let message = format!("there is no ScoringSchedule {schedule:?} in namespace {}", namespace_of(run));
        write(ctx, run, total, &Step::default(), Some(("ScheduleNotFound", message))).await?;
        return Ok(Action::await_change());
    }
    let children = children(ctx, run);
    let known = run.status.as_ref().and_then(|status| status.windows.clone()).unwrap_or_default();
    let step = decide(&View {
        windows: total,
        counted: Counts { complete: known.complete, failed: known.failed },
        children: children.iter().map(|(window, child)| (*window, state(child))).collect(),
        max_concurrent: backfill.max_concurrent,
        cancelled: run.spec.cancel,
    });
    for window in &step.create {
        if let Some(taken) = create(ctx, run, backfill, *window).await? {
            let message =
                format!("ScoringRun {taken} is there and not of this backfill; give the backfill another name");
            write(ctx, run, total, &step, Some(("NameTaken", message))).await?;
            return Ok(Action::await_change());
        }
    }
    for child in step.cancel.iter().filter_map(|window| children.get(window)) {
        cancel(ctx, MANAGER, child, None).await?;
    }
    for child in step.delete.iter().filter_map(|window| children.get(window)) {
        delete(ctx, child).await?;
    }
    write(ctx, run, total, &step, None).await?;
    Ok(Action::requeue(LOOK))
}

/// How many windows there are: the last one may be shorter.
fn windows(backfill: &Backfill) -> u32 {
    let (length, step) = (backfill.end.duration_since(backfill.start).as_secs(), backfill.step.to_signed().as_secs());
    let windows = length.max(0).checked_add(step - 1).and_then(|up| up.checked_div(step));
    windows.and_then(|windows| u32::try_from(windows).ok()).unwrap_or(u32::MAX)
}

fn window(backfill: &Backfill, index: u32) -> Option<TimeRange> {
    let start = backfill.start.checked_add(backfill.step.to_signed().checked_mul(i32::try_from(index).ok()?)?).ok()?;
    let end = start.checked_add(backfill.step.to_signed()).unwrap_or(backfill.end).min(backfill.end);
    Some(TimeRange { start, end })
}

fn name(run: &ScoringRun, window: u32) -> String {
    format!("{}-{window}", name_of(run))
}

/// The runs of its windows, as the cache has them.
fn children(ctx: &Ctx, run: &ScoringRun) -> BTreeMap<u32, Arc<ScoringRun>> {
    let of = |child: &ScoringRun| -> Option<u32> {
        let ours = namespace_of(child) == namespace_of(run) && is_owned(child, uid_of(run));
        let window = name_of(child).strip_prefix(name_of(run))?.strip_prefix('-')?.parse().ok()?;
        ours.then_some(window)
    };
    let all = ctx.caches.runs.all().into_iter();
    all.filter_map(|guard| {
        let child = guard.0.as_ref().ok()?;
        Some((of(child)?, Arc::new(child.clone())))
    })
    .collect()
}

fn state(child: &Arc<ScoringRun>) -> Child {
    let conditions = child.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match () {
        () if goes_on(child) => Child::GoesOn { cancelled: child.spec.cancel },
        () if is_true(conditions, "Complete") => Child::Complete,
        () => Child::Failed,
    }
}

/// Makes the run of a window, and tells whose name it is if it cannot.
async fn create(ctx: &Ctx, run: &ScoringRun, backfill: &Backfill, index: u32) -> Result<Option<String>, Error> {
    let incomplete = |field| Error::Incomplete { kind: "ScoringRun", name: name_of(run).to_owned(), field };
    let owner = run.controller_owner_ref(&()).ok_or_else(|| incomplete("metadata.uid"))?;
    let window = window(backfill, index).ok_or_else(|| incomplete("spec.backfill.start"))?;
    let spec = ScoringRunSpec {
        schedule_name: run.spec.schedule_name.clone(),
        tick: Some(window.end),
        window: Some(window),
        rerun_failed_of: None,
        backfill: None,
        cancel: false,
        ttl_seconds_after_finished: None,
    };
    let name = name(run, index);
    Ok(match make(ctx, MANAGER, namespace_of(run), &name, owner, spec).await? {
        Made::New => {
            tracing::info!(run = name, start = %window.start, end = %window.end, "made the run of a window");
            None
        }
        Made::Before => None,
        Made::NameTaken => Some(name),
    })
}

async fn write(
    ctx: &Ctx,
    run: &ScoringRun,
    total: u32,
    step: &Step,
    refused: Option<(&'static str, String)>,
) -> Result<(), Error> {
    let wanted = wanted(ctx.now(), run, total, step, refused);
    let over = wanted.ended.is_some();
    if status::write(ctx, run, &wanted).await? && over {
        status::tell_end(ctx, run, &wanted).await;
    }
    Ok(())
}

fn wanted(
    now: jiff::Timestamp,
    run: &ScoringRun,
    total: u32,
    step: &Step,
    refused: Option<(&'static str, String)>,
) -> ScoringRunStatus {
    let current = run.status.clone().unwrap_or_default();
    let mut conditions = Conditions::of(&current.conditions, run.metadata.generation, now);
    let Counts { complete, failed } = step.counted;
    let counts = format!("{complete} of {total} windows are Complete, {failed} Failed");
    let mut status = ScoringRunStatus {
        slots: None,
        observed_generation: run.metadata.generation,
        windows: Some(WindowCounts { total, complete, failed }),
        progress: Some(format!("{}/{total}", complete + failed)),
        ..current
    };
    status.started.get_or_insert_with(|| whole_seconds(now));
    let end = match refused {
        Some((reason, message)) => Some(("Failed", reason, message)),
        None if !step.over => None,
        None if run.spec.cancel && complete + failed < total => {
            Some(("Failed", "Cancelled", format!("{counts}; the others were cancelled")))
        }
        None if failed > 0 => Some(("Failed", "WindowsFailed", counts.clone())),
        None => Some(("Complete", "AllWindowsComplete", counts.clone())),
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
            let word = if run.spec.cancel { "Stopping" } else { "Running" };
            conditions.set("Complete", false, word, counts);
            word
        }
    };
    status.state = Some(word.to_owned());
    status.conditions = conditions.into_vec();
    status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backfill(start: &str, end: &str, step: &str) -> Backfill {
        serde_json::from_value(json!({"start": start, "end": end, "step": step})).unwrap()
    }

    fn run(cancel: bool) -> ScoringRun {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "metadata": {"name": "june"},
            "spec": {"scheduleName": "hourly", "cancel": cancel},
        }))
        .unwrap()
    }

    #[test]
    fn windows_follow_each_other_and_the_last_one_ends_where_the_range_does() {
        let range = backfill("2026-06-01T00:00:00Z", "2026-06-01T02:30:00Z", "1h");
        assert_eq!(windows(&range), 3);
        let all: Vec<TimeRange> = (0..3).filter_map(|index| window(&range, index)).collect();
        assert_eq!((all[0].start, all[2].end), (range.start, range.end));
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
    }

    #[test]
    fn a_range_of_all_times_is_too_many_windows_and_not_an_overflow() {
        let range = backfill("0001-01-01T00:00:00Z", "9999-12-30T00:00:00Z", "1s");
        assert!(windows(&range) > MAX_WINDOWS);
    }

    #[test]
    fn it_is_complete_when_every_window_is_and_failed_when_one_is() {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let end = |complete, failed, cancel, over| {
            let step = Step { counted: Counts { complete, failed }, over, ..Step::default() };
            let status = wanted(now, &run(cancel), 3, &step, None);
            (status.state.unwrap(), status.progress.unwrap())
        };
        assert_eq!(end(1, 0, false, false), ("Running".to_owned(), "1/3".to_owned()));
        assert_eq!(end(3, 0, false, true).0, "Complete");
        assert_eq!(end(2, 1, false, true).0, "Failed");
        assert_eq!(end(1, 0, true, false).0, "Stopping");
        assert_eq!(end(1, 0, true, true).0, "Failed");
        assert_eq!(end(3, 0, true, true).0, "Complete", "it was cancelled too late");
    }
}
