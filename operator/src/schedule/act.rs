//! What the schedule controller writes.

use crds::schedule::ScoringScheduleStatus;
use crds::{ScoringRunSpec, ScoringSchedule};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use planner::ticks::{Miss, run_name};

use super::MANAGER;
use super::history::{Run, surplus};
use super::observe::{Plan, own};
use super::readable::Readable;
use crate::Error;
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::guard::Guard;
use crate::run::owned::{self, Made, cancel, delete, make};

/// What became of a tick's run.
pub(super) enum Created {
    /// It is there, made now or by a process that died before it could say so.
    Ours,
    /// Something else has its name.
    NameTaken(String),
}

/// A schedule and its own runs as the API server has them now; nothing where it is gone, or cannot be read.
pub(super) async fn live(ctx: &Ctx, schedule: &ScoringSchedule) -> Result<Option<(Readable, Vec<Run>)>, Error> {
    let (namespace, name, key) = (namespace_of(schedule), name_of(schedule), ObjectRef::from_obj(schedule));
    let schedules: Api<Guard<ScoringSchedule>> = Api::namespaced(ctx.client.clone(), namespace);
    let there = async { schedules.get_opt(name).await.map_err(Error::api("read", &key)) };
    let (there, runs) = futures::try_join!(there, owned::live(ctx, schedule, name))?;
    let same = |there: &Guard<ScoringSchedule>| uid_of(there) == uid_of(schedule);
    let there = there.filter(|there| same(there) && there.meta().deletion_timestamp.is_none());
    Ok(there.and_then(|there| Readable::of(&there).ok()).map(|there| {
        let runs = own(&there.schedule, runs.into_iter());
        (there, runs)
    }))
}

/// Cancels the runs that go on for the run of a later tick. That is made afterwards: a process that dies in between finds
/// the tick still due.
pub(super) async fn replace(ctx: &Ctx, schedule: &ScoringSchedule, own: &[Run], tick: Timestamp) -> Result<(), Error> {
    let by = run_name(name_of(schedule), tick);
    for run in own.iter().filter(|run| run.goes_on() && !run.object.spec.cancel) {
        if cancel(ctx, MANAGER, &run.object, Some(&by)).await? {
            tracing::info!(run = name_of(&*run.object), by, "cancelled a run that goes on for that of a later tick");
        }
    }
    Ok(())
}

/// Makes the run of a tick, finalizer and all, or finds the one that was made before. Its window is written into it: an
/// edit of the schedule does not move the window of a run that is there.
pub(super) async fn create_run(
    ctx: &Ctx,
    schedule: &ScoringSchedule,
    plan: &Plan,
    tick: Timestamp,
) -> Result<Created, Error> {
    let name = run_name(name_of(schedule), tick);
    let spec = ScoringRunSpec {
        schedule_name: name_of(schedule).to_owned(),
        tick: Some(tick),
        // One that cannot be told is told by the run, which finds the same.
        window: schedule.spec.window.and_then(|window| window.at(tick, Some(&plan.ticks)).ok()),
        rerun_failed_of: None,
        backfill: None,
        cancel: false,
        ttl_seconds_after_finished: None,
    };
    let owner = schedule.controller_owner_ref(&()).ok_or_else(|| super::incomplete(schedule, "metadata.uid"))?;
    Ok(match make(ctx, MANAGER, namespace_of(schedule), &name, owner, spec).await? {
        Made::New => {
            let late = ctx.now().duration_since(tick).saturating_sub(plan.jitter);
            let reason = if plan.caught_up { "CaughtUp" } else { "InTime" };
            ctx.metrics.ticks.with_label_values(&["Run", reason]).inc();
            if !plan.caught_up {
                ctx.metrics.lateness.observe(late.as_secs_f64().max(0.0));
            }
            tracing::info!(run = name, %tick, reason, late_ms = late.as_millis(), "made the run of a tick");
            Created::Ours
        }
        Made::Before => Created::Ours,
        Made::NameTaken => Created::NameTaken(name),
    })
}

/// Tells people of missed ticks: one event for all that were missed for the same reason. It comes before the status, so that
/// a death in between loses none, and once, however often the same is decided anew.
pub(super) async fn tell_missed(
    ctx: &Ctx,
    schedule: &ScoringSchedule,
    missed: &[(Timestamp, Miss)],
    taken: Option<&str>,
) {
    let about = schedule.object_ref(&());
    for (reason, ticks) in by_reason(missed) {
        let Some(last) = ticks.last().filter(|_| reason != Miss::Suspended) else { continue };
        let note = note(&ticks, reason, taken);
        let action = format!("{}{}", reason.reason(), last.as_second());
        ctx.events.warning_once(&about, "MissedTick", &action, &note, ctx.now()).await;
    }
}

/// Counts missed ticks, once that they were is written down: until then it may be decided anew.
pub(super) fn count_missed(ctx: &Ctx, missed: &[(Timestamp, Miss)]) {
    for (_, reason) in missed {
        ctx.metrics.ticks.with_label_values(&["Missed", reason.reason()]).inc();
    }
}

/// Missed ticks by reason, in the order of each reason's first.
fn by_reason(missed: &[(Timestamp, Miss)]) -> Vec<(Miss, Vec<Timestamp>)> {
    let mut reasons: Vec<(Miss, Vec<Timestamp>)> = Vec::new();
    for (tick, miss) in missed {
        match reasons.iter_mut().find(|(reason, _)| reason == miss) {
            Some((_, ticks)) => ticks.push(*tick),
            None => reasons.push((*miss, vec![*tick])),
        }
    }
    reasons
}

fn note(ticks: &[Timestamp], reason: Miss, taken: Option<&str>) -> String {
    let why = match reason {
        Miss::Forbidden => "a run still goes on and concurrencyPolicy is Forbid".to_owned(),
        Miss::TooLate => "longer ago than startingDeadlineSeconds".to_owned(),
        Miss::Invalid => "the schedule was not valid as long as the run could start in time".to_owned(),
        Miss::Superseded => "a later tick is due already".to_owned(),
        Miss::CatchUpLimit => "more ticks wait to be caught up than catchUp.limit".to_owned(),
        Miss::Rescheduled => {
            "it had not started before the schedule was edited, and is no tick of the new one".to_owned()
        }
        Miss::Suspended => "the schedule is suspended".to_owned(),
        Miss::NameTaken => format!("ScoringRun {} is not this schedule's; delete it", taken.unwrap_or_default()),
    };
    match ticks {
        [] => why,
        [tick] => format!("no run for {tick}: {why}"),
        [first, .., last] => format!("no run for {} ticks from {first} to {last}: {why}", ticks.len()),
    }
}

/// Whether a status tells that nothing is to be made for a tick any more.
fn is_decided(status: &ScoringScheduleStatus, tick: Timestamp) -> bool {
    status.decided_until.max(status.last_scheduled_tick).is_some_and(|until| tick <= until)
        && !status.waiting.contains(&tick)
}

/// Deletes ended runs beyond the history's limits.
pub(super) async fn delete_surplus(ctx: &Ctx, schedule: &ScoringSchedule, own: &[Run]) -> Result<(), Error> {
    for run in surplus(own, &schedule.spec.history) {
        // Only the status remembers a tick whose run is gone; so it must be in there, as read before.
        if !schedule.status.as_ref().is_some_and(|status| is_decided(status, run.tick)) {
            continue;
        }
        if delete(ctx, &run.object).await? {
            tracing::info!(run = name_of(&*run.object), "deleted an ended run beyond the history's limits");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    #[test]
    fn missed_ticks_are_told_once_for_each_reason() {
        let missed = [(hour(1), Miss::TooLate), (hour(2), Miss::TooLate), (hour(3), Miss::Forbidden)];
        let notes: Vec<String> = by_reason(&missed).iter().map(|(reason, ticks)| note(ticks, *reason, None)).collect();
        assert_eq!(
            notes,
            [
                "no run for 2 ticks from 1970-01-01T01:00:00Z to 1970-01-01T02:00:00Z: longer ago than \
                 startingDeadlineSeconds",
                "no run for 1970-01-01T03:00:00Z: a run still goes on and concurrencyPolicy is Forbid",
            ]
        );
    }

    #[test]
    fn a_run_stays_until_the_status_remembers_its_tick() {
        let status = |waiting: &[i64]| ScoringScheduleStatus {
            decided_until: Some(hour(5)),
            waiting: waiting.iter().map(|at| hour(*at)).collect(),
            ..ScoringScheduleStatus::default()
        };
        assert!(is_decided(&status(&[]), hour(5)) && is_decided(&status(&[4]), hour(3)));
        assert!(!is_decided(&status(&[]), hour(6)) && !is_decided(&status(&[4]), hour(4)));
        assert!(!is_decided(&ScoringScheduleStatus::default(), hour(1)));
    }
}
