//! The controller of ScoringSchedule: ticks become runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::{Condition, ScoringCluster, ScoringRun, ScoringSchedule};
use jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use planner::ticks::Miss;
use serde_json::{Map, Value};

use crate::apply::Manager;
use crate::conditions::find;
use crate::context::{Ctx, name_of, namespace_of};
use crate::guard::Guard;
use crate::{Error, controller, invalid};

mod act;
mod edit;
mod history;
mod mounts;
mod observe;
mod readable;
mod status;
mod trials;
pub mod validate;

pub(crate) use observe::jitter;
use observe::{Checked, Observed, cached_runs, observe, validate};
use readable::Readable;
use trials::{SOON, Trials};
use validate::{Cluster, Invalid, POD_INVALID, admitted, check};

/// The field manager of this controller.
pub(crate) const MANAGER: Manager = Manager("batchscoring.dev/schedule");
/// The longest time between two looks, so that no missed wake-up stays unnoticed.
const LOOK: Duration = Duration::from_secs(300);
/// What it means for ticks that they cannot be told.
const UNKNOWN: &str = "until then no tick is known, and none is caught up";
/// How many schedules are looked at at a time. Many may be due at one instant, and each look mostly waits: to list a
/// schedule's runs as they are now, the API server may wait for a tenth of a second until its cache has caught up.
const AT_A_TIME: u16 = 128;

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
    let trials = Arc::new(Trials::of(caches.schedules.clone()));
    let reconcile = move |object, ctx| reconcile(object, ctx, trials.clone());
    controller::run(ctx.clone(), "schedule", AT_A_TIME, caches.schedules.store().clone(), queue, reconcile).await;
    Ok(())
}

async fn reconcile(object: Arc<Guard<ScoringSchedule>>, ctx: Arc<Ctx>, trials: Arc<Trials>) -> Result<Action, Error> {
    match Readable::of(&object) {
        Ok(readable) => valid_or_not(&readable, &ctx, &trials).await,
        Err(broken) => {
            let condition = ("Valid", "False", "InvalidSpec");
            let wrong = format!("{}; {UNKNOWN}", broken.wrong);
            let now = ctx.now();
            let lost = |status: &mut Map<String, Value>| status::ticks_lost(status, now);
            if invalid::report::<ScoringSchedule>(&ctx, MANAGER, &broken.metadata, &wrong, &[condition], lost).await? {
                ctx.events.warning(&object.object_ref(&()), "InvalidSpec", "Validate", &wrong).await;
            }
            Ok(Action::await_change())
        }
    }
}

async fn valid_or_not(readable: &Readable, ctx: &Ctx, trials: &Trials) -> Result<Action, Error> {
    let schedule = &readable.schedule;
    if schedule.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let cached = observe(ctx, schedule, validate(ctx, trials, readable).await?, cached_runs(ctx, schedule))?;
    // When it was edited, only the API server says.
    if !edit::is_another(schedule) && !cached.plan.as_ref().is_some_and(|plan| plan.acts(schedule)) {
        return settle(schedule, cached, ctx).await;
    }
    // The caches may lag behind what this process, or one before it, did a moment ago.
    let Some((readable, runs)) = act::live(ctx, schedule).await? else { return Ok(Action::await_change()) };
    let checked = validate(ctx, trials, &readable).await?;
    let schedule = readable.schedule;
    let mut observed = observe(ctx, &schedule, checked, runs)?;
    if let Some(plan) = &mut observed.plan {
        let mut taken = None;
        if let Some(tick) = plan.start.run {
            if plan.start.replace {
                act::replace(ctx, &schedule, &observed.runs, tick).await?;
            }
            if let act::Created::NameTaken(by) = act::create_run(ctx, &schedule, plan, tick).await? {
                plan.start.run = None;
                plan.start.missed.push((tick, Miss::NameTaken));
                taken = Some(by);
            }
        }
        if plan.start.run.is_some() && plan.start.missed.is_empty() {
            // The run tells of itself: the look that it causes writes it down, behind those at schedules that are due now.
            return Ok(again(&observed, ctx));
        }
        act::tell_missed(ctx, &schedule, &plan.start.missed, taken.as_deref()).await;
    }
    settle(&schedule, observed, ctx).await
}

/// Writes down what was decided, and tidies up.
async fn settle(schedule: &ScoringSchedule, observed: Observed, ctx: &Ctx) -> Result<Action, Error> {
    status::write(ctx, schedule, &observed).await?;
    act::count_missed(ctx, observed.plan.as_ref().map_or(&[], |plan| &plan.start.missed));
    act::delete_surplus(ctx, schedule, &observed.runs).await?;
    Ok(again(&observed, ctx))
}

/// When to look again, unless something happens before.
fn again(observed: &Observed, ctx: &Ctx) -> Action {
    let soon = matches!(observed.checked, Checked::Doubtful(..)).then(|| ctx.now().saturating_add(SOON).ok());
    let wake = observed.plan.as_ref().and_then(observe::Plan::wake).into_iter().chain(soon.flatten()).min();
    let wait = wake.and_then(|at| Duration::try_from(at.duration_since(ctx.now())).ok()).unwrap_or(LOOK);
    Action::requeue(wait.clamp(Duration::from_millis(1), LOOK))
}

/// Checks a schedule against what is cached of its cluster and namespace.
pub(crate) fn check_cached(
    ctx: &Ctx,
    schedule: &ScoringSchedule,
    now: Timestamp,
) -> Result<planner::ticks::Ticks, Invalid> {
    let namespace = namespace_of(schedule);
    let cluster = ctx.caches.clusters.get_global(&schedule.spec.cluster_ref.name);
    check(&schedule.spec, cached(cluster.as_deref()), namespace, &labels(ctx, namespace), now)
}

/// Checks by what is cached that a cluster is there, and admits the namespace.
pub(crate) fn check_cluster(ctx: &Ctx, name: &str, namespace: &str) -> Result<(), Invalid> {
    let cluster = ctx.caches.clusters.get_global(name);
    admitted(name, cached(cluster.as_deref()), namespace, &labels(ctx, namespace))
}

fn cached(cluster: Option<&Guard<ScoringCluster>>) -> Cluster<'_> {
    match cluster.map(|guard| &guard.0) {
        None => Cluster::Unknown,
        // It only waits for its nodes to go.
        Some(Ok(cluster)) if cluster.metadata.deletion_timestamp.is_some() => Cluster::Unknown,
        Some(Err(broken)) => Cluster::Invalid(&broken.wrong),
        Some(Ok(cluster)) => Cluster::Known(cluster),
    }
}

fn labels(ctx: &Ctx, namespace: &str) -> BTreeMap<String, String> {
    let namespace = ctx.caches.namespaces.get_global(namespace);
    namespace.and_then(|namespace| namespace.metadata.labels.clone()).unwrap_or_default()
}

/// What the schedule's status says of its pods, if the API server would refuse them.
pub(crate) fn wrong_pod(schedule: &ScoringSchedule) -> Option<&Condition> {
    let valid = find(&schedule.status.as_ref()?.conditions, "Valid")?;
    let of_this = valid.observed_generation == schedule.metadata.generation && valid.status == "False";
    (of_this && valid.reason == POD_INVALID).then_some(valid)
}

fn incomplete(schedule: &ScoringSchedule, field: &'static str) -> Error {
    Error::Incomplete { kind: "ScoringSchedule", name: name_of(schedule).to_owned(), field }
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
