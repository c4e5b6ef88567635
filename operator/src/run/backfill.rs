//! A run that is many: a range of readings, window by window. The planner decides, here it is read and written.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::run::Backfill;
use crds::{ScoringRun, ScoringRunSpec};
use kube::Resource;
use kube::runtime::controller::Action;
use planner::backfill::{Child, Counts, MADE, Step, View, decide};
use spec::TimeRange;

use super::owned::{Made, cancel, delete, live, make};
use super::{LOOK, MANAGER, status, ttl};
use crate::Error;
use crate::conditions::{is_true, whole_seconds};
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::schedule::{goes_on, is_owned};

mod told;

use told::{Halt, NAME_TAKEN, Seen, halt, wanted};

/// The most windows of one backfill.
const MAX_WINDOWS: u32 = 10_000;
/// When to look again at one that is held up, or that made some of its runs.
const SOON: Duration = Duration::from_secs(1);

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
    if let Some((reason, message)) = refusal(backfill, total) {
        let halt = Halt { reason, message, stops: true };
        let step = Step { over: true, ..Step::default() };
        write(ctx, run, total, &Seen { step: &step, children: &Children::new(), halt: Some(&halt) }).await?;
        return Ok(Action::await_change());
    }
    let has_schedule = ctx.caches.schedules.get(namespace_of(run), &run.spec.schedule_name).is_some();
    let halt = halt(run, has_schedule, ctx.now());
    let known = run.status.as_ref().and_then(|status| status.windows.clone()).unwrap_or_default();
    let next = |children: &Children| {
        decide(&View {
            windows: total,
            counted: Counts { complete: known.complete, failed: known.failed },
            children: children.iter().map(|(window, child)| (*window, state(child))).collect(),
            max_concurrent: if halt.is_some() { 0 } else { backfill.max_concurrent },
            cancelled: run.spec.cancel || halt.as_ref().is_some_and(|halt| halt.stops),
        })
    };
    let mut children = children(run, ctx.caches.runs.all().iter().filter_map(|guard| guard.0.as_ref().ok()));
    let mut step = next(&children);
    // A run that was just made may be younger than the cache, and must not go on once the backfill has ended.
    if step.over && step.counted.all() < total {
        children = self::children(run, live(ctx, run, &run.spec.schedule_name).await?.iter());
        step = next(&children);
    }
    let seen = Seen { step: &step, children: &children, halt: halt.as_ref() };
    if !step.over {
        write(ctx, run, total, &seen).await?;
    }
    for child in step.cancel.iter().filter_map(|window| children.get(window)) {
        cancel(ctx, MANAGER, child, None).await?;
    }
    for child in step.delete.iter().filter_map(|window| children.get(window)) {
        delete(ctx, child).await?;
    }
    for window in &step.create {
        if is_stopped(ctx, run) {
            break;
        }
        if let Some(taken) = create(ctx, run, backfill, *window).await? {
            let message =
                format!("ScoringRun {taken} is there and not of this backfill; give the backfill another name");
            let halt = Halt { reason: NAME_TAKEN, message, stops: true };
            write(ctx, run, total, &Seen { halt: Some(&halt), ..seen }).await?;
            return Ok(Action::requeue(SOON));
        }
    }
    if step.over {
        write(ctx, run, total, &seen).await?;
    }
    Ok(Action::requeue(if halt.is_some() || step.create.len() == MADE { SOON } else { LOOK }))
}

/// Whether it is to stop by now.
fn is_stopped(ctx: &Ctx, run: &ScoringRun) -> bool {
    let latest = ctx.caches.runs.get(namespace_of(run), name_of(run));
    let goes_on = |latest: &ScoringRun| latest.metadata.deletion_timestamp.is_none() && !latest.spec.cancel;
    !latest.is_some_and(|latest| uid_of(&*latest) == uid_of(run) && latest.0.as_ref().is_ok_and(goes_on))
}

/// Why no window is scored, if the API server could not tell: its rules see no more of a second than its thousandths.
fn refusal(backfill: &Backfill, total: u32) -> Option<(&'static str, String)> {
    let (start, end) = (backfill.start, backfill.end);
    if (start, end) != (whole_seconds(start), whole_seconds(end)) {
        return Some(("InvalidRange", format!("start {start} and end {end} must be whole seconds")));
    }
    (total > MAX_WINDOWS).then(|| {
        let message = format!(
            "{total} windows are more than the {MAX_WINDOWS} of one backfill; make step longer, or the range shorter"
        );
        ("TooManyWindows", message)
    })
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

/// The runs of its windows, by window.
type Children = BTreeMap<u32, ScoringRun>;

fn children<'a>(run: &ScoringRun, all: impl Iterator<Item = &'a ScoringRun>) -> Children {
    let of = |child: &ScoringRun| -> Option<u32> {
        let ours = namespace_of(child) == namespace_of(run) && is_owned(child, uid_of(run));
        let window = name_of(child).strip_prefix(name_of(run))?.strip_prefix('-')?.parse().ok()?;
        ours.then_some(window)
    };
    all.filter_map(|child| Some((of(child)?, child.clone()))).collect()
}

fn state(child: &ScoringRun) -> Child {
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

async fn write(ctx: &Ctx, run: &ScoringRun, total: u32, seen: &Seen<'_>) -> Result<(), Error> {
    let wanted = wanted(ctx.now(), run, total, seen);
    let over = wanted.ended.is_some();
    if status::write(ctx, run, &wanted).await? && over {
        status::tell_end(ctx, run, &wanted).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backfill(start: &str, end: &str, step: &str) -> Backfill {
        serde_json::from_value(json!({"start": start, "end": end, "step": step})).unwrap()
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
        assert_eq!(refusal(&range, windows(&range)).map(|(reason, _)| reason), Some("TooManyWindows"));
    }

    #[test]
    fn a_part_of_a_second_that_no_window_would_hold_is_refused() {
        let refused = |end| refusal(&backfill("2026-06-01T00:00:00Z", end, "1h"), 1).map(|(reason, _)| reason);
        assert_eq!(refused("2026-06-01T00:00:00.0005Z"), Some("InvalidRange"));
        assert_eq!(refused("2026-06-01T01:00:00.000Z"), None);
    }

    #[test]
    fn a_run_of_another_with_a_like_name_is_none_of_its_windows() {
        let child = |name: &str, owner: &str| -> ScoringRun {
            let owner = json!({"apiVersion": "", "kind": "ScoringRun", "name": "", "uid": owner, "controller": true});
            serde_json::from_value(json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
                "metadata": {"name": name, "ownerReferences": [owner]}, "spec": {"scheduleName": "hourly"},
            }))
            .unwrap()
        };
        let mut june = child("june", "schedule");
        june.metadata.uid = Some("u".to_owned());
        let all = [child("june-0", "u"), child("june-1", "other"), child("june-x", "u")];
        assert_eq!(children(&june, all.iter()).into_keys().collect::<Vec<u32>>(), [0]);
    }
}
