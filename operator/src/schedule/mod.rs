//! The controller of ScoringSchedule: ticks become runs.

use std::sync::Arc;
use std::time::Duration;

use crds::{ScoringRun, ScoringSchedule};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use planner::ticks::{Due, Miss, ScheduleView, due};

use crate::apply::Manager;
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::guard::Guard;
use crate::{Error, controller, invalid};

mod act;
mod history;
mod status;
pub mod validate;

use history::Run;
use validate::{Cluster, Invalid, check};

/// The field manager of this controller.
pub(crate) const MANAGER: Manager = Manager("batchscoring.dev/schedule");
/// How late a run may start where the schedule does not say.
const STARTING_DEADLINE_SECONDS: u32 = 600;
/// The longest time between two looks, so that no missed wake-up stays unnoticed.
const LOOK: Duration = Duration::from_secs(300);

/// Runs until dropped.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run(ctx: Arc<Ctx>) -> Result<(), Error> {
    let caches = &ctx.caches;
    let of_clusters = {
        let schedules = caches.schedules.clone();
        caches.clusters.concerning(move |cluster| {
            let name = name_of(cluster).to_owned();
            schedules.all().into_iter().filter_map(move |schedule| {
                let object = schedule.0.as_ref().ok()?;
                (object.spec.cluster_ref.name == name).then(|| ObjectRef::from_obj(&*schedule))
            })
        })
    };
    let of_namespaces = {
        let schedules = caches.schedules.clone();
        caches.namespaces.concerning(move |namespace| {
            let name = name_of(namespace).to_owned();
            let all = schedules.all().into_iter();
            all.filter(move |s| namespace_of(&**s) == name).map(|s| ObjectRef::from_obj(&*s))
        })
    };
    let of_runs = caches.runs.concerning(|run| {
        let schedule = run.0.as_ref().ok().map(|r| r.spec.schedule_name.clone());
        schedule.map(|name| ObjectRef::new(&name).within(namespace_of(run)))
    });
    let queue = futures::stream::select_all([
        Box::pin(caches.schedules.own()) as futures::stream::BoxStream<'static, _>,
        Box::pin(of_clusters),
        Box::pin(of_namespaces),
        Box::pin(of_runs),
    ]);
    controller::run(ctx.clone(), "schedule", caches.schedules.store().clone(), queue, reconcile).await;
    Ok(())
}

async fn reconcile(object: Arc<Guard<ScoringSchedule>>, ctx: Arc<Ctx>) -> Result<Action, Error> {
    match &object.0 {
        Ok(schedule) => valid_or_not(schedule, &ctx).await,
        Err(broken) => {
            let condition = ("Valid", "False", "InvalidSpec");
            invalid::report::<ScoringSchedule>(&ctx, MANAGER, &broken.metadata, &broken.wrong, condition).await?;
            Ok(Action::await_change())
        }
    }
}

/// A schedule and what there is to know of it.
pub(crate) struct Observed {
    pub(crate) now: Timestamp,
    runs: Vec<Run>,
    due: Result<Due, Invalid>,
}

async fn valid_or_not(schedule: &ScoringSchedule, ctx: &Ctx) -> Result<Action, Error> {
    if schedule.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let mut observed = observe(schedule, ctx)?;
    let mut taken = None;
    if let Ok(due) = &mut observed.due {
        if let Some(tick) = due.run {
            if act::forbidden(ctx, schedule, tick).await? {
                due.run = None;
                due.missed.push((tick, Miss::Forbidden));
            } else if let act::Created::NameTaken(by) = act::create_run(ctx, schedule, tick).await? {
                due.run = None;
                due.missed.push((tick, Miss::NameTaken));
                taken = Some(by);
            }
        }
        act::tell_missed(ctx, schedule, &due.missed, taken.as_deref()).await;
    }
    status::write(ctx, schedule, &observed).await?;
    act::delete_surplus(ctx, schedule, &observed.runs).await?;
    let next = observed.due.ok().and_then(|due| due.next);
    let wait = next.and_then(|next| Duration::try_from(next.duration_since(ctx.now())).ok()).unwrap_or(LOOK);
    Ok(Action::requeue(wait.clamp(Duration::from_millis(1), LOOK)))
}

/// Checks a schedule against what is cached of its cluster and namespace.
pub(crate) fn check_cached(
    ctx: &Ctx,
    schedule: &ScoringSchedule,
    now: Timestamp,
) -> Result<planner::ticks::Ticks, Invalid> {
    let cluster = ctx.caches.clusters.get_global(&schedule.spec.cluster_ref.name);
    let cluster = match cluster.as_deref().map(|guard| &guard.0) {
        None => Cluster::Unknown,
        // It only waits for its nodes to go.
        Some(Ok(cluster)) if cluster.metadata.deletion_timestamp.is_some() => Cluster::Unknown,
        Some(Err(broken)) => Cluster::Invalid(&broken.wrong),
        Some(Ok(cluster)) => Cluster::Known(cluster),
    };
    let namespace = namespace_of(schedule);
    let labels = ctx.caches.namespaces.get_global(namespace).and_then(|n| n.metadata.labels.clone());
    check(&schedule.spec, cluster, namespace, &labels.unwrap_or_default(), now)
}

fn observe(schedule: &ScoringSchedule, ctx: &Ctx) -> Result<Observed, Error> {
    let now = ctx.now();
    let spec = &schedule.spec;
    let created = schedule.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let created = created.ok_or_else(|| incomplete(schedule, "metadata.creationTimestamp"))?;
    let status = schedule.status.clone().unwrap_or_default();
    let missed = status.last_missed.map(|missed| missed.tick);
    let runs = own_runs(ctx, schedule);
    // A process may have died between making a run and saying so.
    let made = runs.iter().map(|run| run.tick).max();
    let deadline = spec.starting_deadline_seconds.unwrap_or(STARTING_DEADLINE_SECONDS);
    let due = check_cached(ctx, schedule, now).map(|ticks| {
        // Under the spec before an edit nothing was due yet: ticks of the new one that passed are none of its own.
        let edited = status.observed_generation.is_some_and(|seen| Some(seen) != schedule.metadata.generation);
        let floor = (edited && status.next_tick.is_none_or(|next| next > now)).then_some(now);
        let view = ScheduleView {
            now,
            created,
            last: status.last_scheduled_tick.max(missed).max(made).max(floor),
            suspended: spec.suspend,
            starting_deadline: jiff::SignedDuration::from_secs(deadline.into()),
            // The live API decides, and only when something is due.
            forbidden: false,
        };
        due(&ticks, &view)
    });
    Ok(Observed { now, runs, due })
}

fn incomplete(schedule: &ScoringSchedule, field: &'static str) -> Error {
    Error::Incomplete { kind: "ScoringSchedule", name: name_of(schedule).to_owned(), field }
}

/// The runs that the schedule made itself.
fn own_runs(ctx: &Ctx, schedule: &ScoringSchedule) -> Vec<Run> {
    let all = ctx.caches.runs.all().into_iter();
    all.filter_map(|guard| guard.0.clone().ok())
        .filter(|run| namespace_of(run) == namespace_of(schedule) && is_owned(run, uid_of(schedule)))
        .filter_map(|run| Some(Run { tick: run.spec.tick?, object: Arc::new(run) }))
        .collect()
}

/// Whether an object's controller has this UID.
pub(crate) fn is_owned<K: kube::Resource>(object: &K, uid: &str) -> bool {
    let owners = object.meta().owner_references.iter().flatten();
    owners.filter(|owner| owner.controller == Some(true)).any(|owner| owner.uid == uid)
}

/// Whether a run goes on.
pub(crate) fn goes_on(run: &ScoringRun) -> bool {
    let conditions = run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    !crate::conditions::is_true(conditions, "Complete") && !crate::conditions::is_true(conditions, "Failed")
}
