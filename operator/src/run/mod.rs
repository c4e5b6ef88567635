//! The controller of ScoringRun: plan, items, archive.

use std::sync::Arc;
use std::time::Duration;

use crds::{ScoringRun, names};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use planner::run::{Finish, decide, wake};

use crate::apply::Manager;
use crate::context::{Ctx, label, namespace_of, uid_of};
use crate::guard::Guard;
use crate::{Category, Error, controller};

mod act;
mod backfill;
mod complete;
pub(crate) mod ends;
mod exec;
mod held_up;
mod helper;
mod last_words;
mod manifests;
mod no_slots;
mod observe;
pub(crate) mod owned;
mod pods;
mod rerun;
mod secrets;
mod status;
mod store;
mod template;
pub(crate) mod trial;
mod ttl;
mod unreadable;
mod warnings;

use ends::Memory;
pub(crate) use observe::DEADLINE;
use observe::Observed;
use pods::Trouble;
pub(crate) use template::{ENV, PATHS, VOLUMES, WORKLOAD_IDENTITY};

/// The field manager of this controller.
const MANAGER: Manager = Manager("batchscoring.dev/run");
/// The longest time between two looks at a run that goes on, so that no missed wake-up stays unnoticed.
const LOOK: Duration = Duration::from_secs(30);
/// How many runs are looked at at a time: few, so that a thousand that are made at one instant leave the API server time to
/// make them.
const AT_A_TIME: u16 = 16;

type Guarded = Guard<ScoringRun>;

/// Runs until dropped.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run(ctx: Arc<Ctx>) -> Result<(), Error> {
    let caches = &ctx.caches;
    let of_schedules = {
        let runs = caches.runs.clone();
        caches.schedules.concerning(move |schedule| {
            let (namespace, name) = (namespace_of(schedule).to_owned(), schedule.name_any());
            runs.all().into_iter().filter_map(move |run| {
                let object = run.0.as_ref().ok()?;
                let same = object.spec.schedule_name == name && namespace_of(object) == namespace;
                (same && crate::schedule::goes_on(object)).then(|| ObjectRef::from_obj(&*run))
            })
        })
    };
    // A backfill goes on when one of its windows' runs does.
    let of_windows = caches.runs.concerning(|run| {
        let owners = run.meta().owner_references.iter().flatten();
        let backfill = owners.filter(|owner| owner.controller == Some(true) && owner.kind == ScoringRun::kind(&()));
        backfill.map(|owner| ObjectRef::new(&owner.name).within(namespace_of(run))).next()
    });
    let of_namespaces = {
        let runs = caches.runs.clone();
        caches.namespaces.concerning(move |namespace| {
            let name = namespace.metadata.deletion_timestamp.is_some().then(|| namespace.name_any());
            let all = name.map(|name| (name, runs.all())).into_iter();
            all.flat_map(|(name, runs)| runs.into_iter().filter(move |run| namespace_of(&**run) == name))
                .map(|run| ObjectRef::from_obj(&*run))
        })
    };
    let queue = futures::stream::select_all([
        Box::pin(caches.runs.own()) as futures::stream::BoxStream<'static, _>,
        Box::pin(caches.jobs.concerning(of_label)),
        Box::pin(caches.pods.concerning(of_label)),
        Box::pin(caches.config_maps.concerning(of_label)),
        Box::pin(of_schedules),
        Box::pin(of_windows),
        Box::pin(of_namespaces),
    ]);
    let memory = Arc::new(Memory::new({
        let runs = caches.runs.clone();
        move || runs.uids()
    }));
    let reconcile = move |object, ctx| reconcile(object, ctx, memory.clone());
    let store = caches.runs.store().clone();
    // A Job that was just deleted still tells of a run that is gone: the queue skips what is not in the store.
    let known = store.clone();
    let queue = futures::StreamExt::filter(queue, move |run: &ObjectRef<Guarded>| {
        futures::future::ready(known.get(run).is_some())
    });
    controller::run(ctx.clone(), "run", AT_A_TIME, store, queue, reconcile).await;
    Ok(())
}

fn of_label<K: Resource>(child: &K) -> Option<ObjectRef<Guarded>> {
    label(child, names::RUN).map(|run| ObjectRef::new(run).within(namespace_of(child)))
}

async fn reconcile(object: Arc<Guarded>, ctx: Arc<Ctx>, memory: Arc<Memory>) -> Result<Action, Error> {
    let run = match &object.0 {
        Ok(run) => run,
        Err(broken) => return unreadable::reconcile(&ctx, &object, broken).await,
    };
    if !crate::schedule::goes_on(run) && run.metadata.deletion_timestamp.is_none() {
        status::observe_generation(&ctx, run).await?;
    }
    if let Some(range) = &run.spec.backfill {
        return backfill::reconcile(&ctx, run, range).await;
    }
    let mut observed = observe::observe(&ctx, &memory, run).await?;
    if observed.not_yet {
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    let mut done = Vec::new();
    let mut failure = None;
    for action in decide(&observed.view) {
        match act::act(&ctx, &memory, run, &observed, action).await {
            Ok(()) => done.push(action),
            // The others do not rely on it. A conflict is told only where nothing else is wrong.
            Err(error) if failure.as_ref().is_none_or(|first: &Error| first.category() == Category::Conflict) => {
                failure = Some(error);
            }
            Err(error) => tracing::warn!(run = run.name_any(), ?action, "{error}"),
        }
    }
    if let Some(error) = &failure
        && !matches!(error.category(), Category::Conflict | Category::Unavailable | Category::Gone)
    {
        observed.trouble = Some(Trouble::new(error.category().as_str(), error.to_string()));
    }
    if observed.view.ended {
        // Once it is let go, one that was deleted is not seen again.
        if !observed.view.finalizer || done.contains(&planner::run::Action::RemoveFinalizer) {
            memory.forget(uid_of(run));
        }
    } else {
        let finish = done.iter().find_map(|action| match action {
            planner::run::Action::Finish(finish) => Some(*finish),
            _ => None,
        });
        finish_or_go_on(&ctx, run, &observed, &done, finish, failure.as_ref()).await?;
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let now = ctx.now();
    let wait = wake(&observed.view).and_then(|at| Duration::try_from(at.duration_since(now)).ok()).unwrap_or(LOOK);
    if observed.view.ended && !observed.view.finalizer {
        return ttl::expire(&ctx, run).await;
    }
    Ok(Action::requeue(wait.clamp(Duration::from_millis(100), LOOK)))
}

async fn finish_or_go_on(
    ctx: &Ctx,
    run: &ScoringRun,
    observed: &Observed,
    done: &[planner::run::Action],
    finish: Option<Finish>,
    failure: Option<&Error>,
) -> Result<(), Error> {
    let wanted = status::wanted(run, observed, done, finish, failure);
    let wrote = status::write(ctx, run, &wanted).await?;
    store::tell(ctx, run, &wanted.conditions).await;
    if wrote && done.contains(&planner::run::Action::RecordPlan) {
        complete::tell(ctx, run, &wanted.conditions).await;
    }
    if finish.is_some() && wrote {
        ctx.metrics.runs.with_label_values(&[wanted.state.as_deref().unwrap_or_default()]).inc();
        status::tell_end(ctx, run, &wanted).await;
        if let Some(deleted) = observed.archive.as_ref().and_then(|report| report.retention.as_ref()) {
            status::tell_retention(ctx, run, deleted).await;
        }
    }
    Ok(())
}
