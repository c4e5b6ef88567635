//! What the schedule controller writes.

use crds::schedule::ConcurrencyPolicy;
use crds::{ScoringRun, ScoringRunSpec, ScoringSchedule, names};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use planner::ticks::{Miss, run_name};

use super::history::{Run, surplus};
use super::{MANAGER, goes_on, is_owned};
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::error::{Error, is_code};
use crate::guard::Guard;
use crate::run::make::{Made, make};

/// What became of a tick's run.
pub(super) enum Created {
    /// It is there, made now or by a process that died before it could say so.
    Ours,
    /// Something else has its name.
    NameTaken(String),
}

fn runs(ctx: &Ctx, schedule: &ScoringSchedule) -> Api<ScoringRun> {
    Api::namespaced(ctx.client.clone(), namespace_of(schedule))
}

/// Whether a run that goes on forbids another. Asks the API server, since the cache may lag behind the last tick's run;
/// for the same reason the tick's own run may be there already, and does not forbid itself.
pub(super) async fn forbidden(ctx: &Ctx, schedule: &ScoringSchedule, tick: Timestamp) -> Result<bool, Error> {
    if schedule.spec.concurrency_policy == ConcurrencyPolicy::Allow {
        return Ok(false);
    }
    let api: Api<Guard<ScoringRun>> = Api::namespaced(ctx.client.clone(), namespace_of(schedule));
    let list = api
        .list(&ListParams::default().labels(&format!("{}={}", names::SCHEDULE, name_of(schedule))))
        .await
        .map_err(Error::api("list the runs of", &ObjectRef::from_obj(schedule)))?;
    let mut own = list.items.iter().filter_map(|guard| guard.0.as_ref().ok());
    let this = run_name(name_of(schedule), tick);
    Ok(own.any(|run| is_owned(run, uid_of(schedule)) && goes_on(run) && name_of(run) != this))
}

/// Makes the run of a tick, finalizer and all, or finds the one that was made before.
pub(super) async fn create_run(ctx: &Ctx, schedule: &ScoringSchedule, tick: Timestamp) -> Result<Created, Error> {
    let name = run_name(name_of(schedule), tick);
    let spec = ScoringRunSpec {
        schedule_name: name_of(schedule).to_owned(),
        tick: Some(tick),
        window: None,
        rerun_failed_of: None,
        backfill: None,
        cancel: false,
    };
    let owner = schedule.controller_owner_ref(&()).ok_or_else(|| super::incomplete(schedule, "metadata.uid"))?;
    Ok(match make(ctx, MANAGER, namespace_of(schedule), &name, owner, spec).await? {
        Made::New => {
            let late = ctx.now().duration_since(tick);
            ctx.metrics.ticks.with_label_values(&["Run"]).inc();
            ctx.metrics.lateness.observe(late.as_secs_f64().max(0.0));
            tracing::info!(run = name, %tick, late_ms = late.as_millis(), "made the run of a tick");
            Created::Ours
        }
        Made::Before => Created::Ours,
        Made::NameTaken => Created::NameTaken(name),
    })
}

/// Tells people of missed ticks: one event for a single one, one event for many that passed unseen.
pub(super) async fn tell_missed(
    ctx: &Ctx,
    schedule: &ScoringSchedule,
    missed: &[(Timestamp, Miss)],
    taken: Option<&str>,
) {
    ctx.metrics.ticks.with_label_values(&["Missed"]).inc_by(u64::try_from(missed.len()).unwrap_or(u64::MAX));
    let Some((tick, miss)) = missed.last() else { return };
    if missed.iter().all(|(_, miss)| *miss == Miss::Suspended) {
        return;
    }
    let why = match miss {
        Miss::Forbidden => "a run still goes on and concurrencyPolicy is Forbid".to_owned(),
        Miss::TooLate => "it is longer ago than startingDeadlineSeconds".to_owned(),
        Miss::Superseded => "a later tick is due already".to_owned(),
        Miss::Suspended => "the schedule is suspended".to_owned(),
        Miss::NameTaken => format!("ScoringRun {} is not this schedule's; delete it", taken.unwrap_or_default()),
    };
    let others = match missed.len() - 1 {
        0 => String::new(),
        more => format!(" ({more} before it were missed too)"),
    };
    let about = schedule.object_ref(&());
    let note = format!("no run for {tick}{others}: {why}");
    ctx.events.warning(&about, "MissedTick", &format!("Tick{}", tick.as_second()), &note).await;
}

/// Deletes ended runs beyond the history's limits.
pub(super) async fn delete_surplus(ctx: &Ctx, schedule: &ScoringSchedule, own: &[Run]) -> Result<(), Error> {
    let scheduled = schedule.status.as_ref().and_then(|status| status.last_scheduled_tick);
    for run in surplus(own, &schedule.spec.history) {
        // Only the status remembers a tick whose run is gone; so it must be in there, as seen by the watch.
        if scheduled.is_none_or(|last| run.tick > last) {
            continue;
        }
        let preconditions = Preconditions { uid: run.object.metadata.uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match runs(ctx, schedule).delete(name_of(&*run.object), &params).await {
            Ok(_) => tracing::info!(run = name_of(&*run.object), "deleted an ended run beyond the history's limits"),
            Err(error) if is_code(&error, 404) || is_code(&error, 409) => {}
            Err(error) => return Err(Error::api("delete", &ObjectRef::from_obj(&*run.object))(error)),
        }
    }
    Ok(())
}
