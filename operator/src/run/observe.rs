//! Reads all that a decision about a run needs.

use std::fmt::Debug;
use std::sync::Arc;

use crds::{ScoringRun, ScoringSchedule, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use planner::run::{self as plan, Helper, Reckoned, RunView, Stalled};
use serde::de::DeserializeOwned;
use spec::ends::MAX_ENDS;
use spec::report::{ArchiveReport, PlanReport};
use spec::request::{PodEnd, PodEnds, RunRequest};
use spec::{PerPod, Span, TimeRange};

use super::complete;
use super::ends::{self, Memory};
use super::held_up::items_held_up;
use super::helper::{Standing, condition, standing};
use super::manifests::{Frozen, archive_name, plan_name, request_name};
use super::no_slots;
use super::pods::{self, Trouble};
use super::rerun::Rerun;
use super::status::STALLED;
use super::store::{self, Told};
use crate::cluster::{request_of_schedule, slots};
use crate::conditions::{find, is_true, whole_seconds};
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::finalizer;
use crate::gate::is_held;
use crate::schedule::{check_cached, is_owned};
use crate::{Category, Error};

/// How long a run may take, where the schedule does not say.
pub(crate) const DEADLINE: Span = Span::from_secs(3_600);
/// How long a run waits for a schedule or cluster that was created together with it.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// How many retries of each item are reckoned with: the ends of all pods must fit into one ConfigMap.
const RETRIES_OF_ALL: u32 = 2;

/// A run and all that belongs to it.
pub(super) struct Observed {
    /// What is decided upon.
    pub(super) view: RunView,
    /// The time at which the schedule was due.
    pub(super) tick: Timestamp,
    /// What was frozen, or would be now.
    pub(super) frozen: Option<Frozen>,
    pub(super) plan: Option<PlanReport>,
    pub(super) archive: Option<ArchiveReport>,
    pub(super) job: Option<Arc<Job>>,
    /// The checkpoint, and what it holds.
    pub(super) checkpoint: Option<Arc<ConfigMap>>,
    pub(super) ends: PodEnds,
    /// Ended pods that are not in it.
    pub(super) unfolded: Vec<PodEnd>,
    /// Why it does not go on.
    pub(super) trouble: Option<Trouble>,
    /// What its pods tell of the store.
    pub(super) store: Option<Told>,
    /// Its schedule or cluster may be on their way.
    pub(super) not_yet: bool,
}

/// Reads all of it, from the caches where they cannot mislead.
pub(super) async fn observe(ctx: &Ctx, memory: &Memory, run: &ScoringRun) -> Result<Observed, Error> {
    let now = ctx.now();
    let (namespace, name, uid) = (namespace_of(run), name_of(run), uid_of(run));
    let status = run.status.clone().unwrap_or_default();
    let is = |type_| is_true(&status.conditions, type_);
    let created = run.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let rerun = Rerun::of(ctx, run);
    let tick = run.spec.tick.or(rerun.tick()).unwrap_or_else(|| whole_seconds(created));
    let caches = &ctx.caches;
    let closing = caches.is_closing(namespace);

    let config_map = |name: &str| caches.config_maps.get(namespace, name).filter(|map| is_owned(&**map, uid));
    let of_name = |name: &str| caches.jobs.get(namespace, name).filter(|job| is_owned(&**job, uid));
    let mut request = config_map(&request_name(name));
    let checkpoint = config_map(&ends::config_map_name(name));
    let ended = is("Complete") || is("Failed");
    let planned = status.items.filter(|_| is("Planned"));
    if request.is_none() && planned.is_some() && !ended {
        request = live(ctx, run, &request_name(name)).await?;
    }
    let mut not_yet = false;
    let mut trouble = None;
    let frozen = match &request {
        _ if ended => None,
        Some(map) => {
            let frozen = Frozen::read(map);
            if frozen.is_none() {
                let message = format!("ConfigMap {} holds no request that this version reads", request_name(name));
                trouble = Some(Trouble::new("RequestUnreadable", message));
            }
            frozen
        }
        None if planned.is_some() => {
            let message =
                format!("ConfigMap {}, in which it was frozen what to score, was deleted", request_name(name));
            trouble = Some(Trouble::new(plan::Stop::RequestGone.reason(), message));
            None
        }
        None => match freeze(ctx, run, &rerun, tick, now) {
            Ok(frozen) => Some(frozen),
            Err(why) => {
                let young = now.duration_since(created) < PATIENCE;
                not_yet = young && run.metadata.deletion_timestamp.is_none() && !closing;
                trouble = Some(why);
                None
            }
        },
    };
    let mut plan: Standing<PlanReport> = match planned {
        Some(_) => Standing::of(Helper::Absent, None, None),
        None => standing(ctx, of_name(&plan_name(name)).as_deref(), now).await,
    };
    let retries = frozen.as_ref().map_or(RETRIES_OF_ALL, Frozen::retries);
    let most = MAX_ENDS / (1 + retries.min(RETRIES_OF_ALL));
    if let Some(report) = plan.answer.as_ref().filter(|report| report.items > most) {
        let message = format!(
            "{} items are more than the {most} that a run with retries: {retries} may have; raise packing.sensorsPerPod",
            report.items
        );
        plan = Standing::of(Helper::Failed { at: now }, None, Some(Trouble::new("TooManyItems", message)));
    }
    let archive: Standing<ArchiveReport> = standing(ctx, of_name(&archive_name(name)).as_deref(), now).await;
    let deleted = run.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let span = frozen.as_ref().and_then(|f| f.schedule.deadline).unwrap_or(DEADLINE);
    let deadline = deadline(run, tick, created, span);

    let stalled = find(&status.conditions, STALLED).filter(|stalled| stalled.status == "True");
    let ends = checkpoint.as_deref().map(ends::read).unwrap_or_default();
    let mut view = RunView {
        now,
        deleted,
        cancelled: run.spec.cancel,
        replaced: run.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(names::REPLACED_BY)),
        finalizer: finalizer::is_held(run, names::FINALIZER),
        closing,
        stalled: stalled.map(|why| Stalled { since: why.last_transition_time, refused: is_refusal(&why.reason) }),
        deadline,
        refused: !ended && frozen.is_none(),
        request: request.is_some(),
        plan: plan.helper,
        planned,
        admitted: is("Admitted"),
        slots: status.slots.unwrap_or(0),
        job: None,
        living: 0,
        unfolded: 0,
        folded: None,
        checkpoint_due: memory.checkpoint_due(uid, &ends, now),
        reckoned: match (&ends.spent, status.node_seconds_final) {
            (Some(_), _) => Reckoned::Written,
            (None, true) => Reckoned::Told,
            (None, false) => Reckoned::Open,
        },
        last_end: ends.ends.iter().filter_map(|end| end.ended).max(),
        archive: archive.helper,
        ended,
        jobs: count(caches.jobs.all().iter().filter(|job| is_owned(&***job, uid) && is_there(&***job))),
        config_maps: count(caches.config_maps.all().iter().filter(|map| is_owned(&***map, uid) && is_there(&***map))),
    };
    let mut job = of_name(name).filter(|_| planned.is_some());
    if job.is_none() && planned.is_some() && !ended && (view.admitted || plan::stop(&view).is_some()) {
        job = live(ctx, run, name).await?;
    }
    let job = job.filter(|job| is_there(&**job));
    let all_pods = job.as_deref().map(|job| ends::item_pods(caches, run, uid_of(job))).unwrap_or_default();
    // What waits for a slot never runs unless it gets one.
    let item_pods: Vec<_> = all_pods.iter().filter(|pod| !is_held(pod)).cloned().collect();
    let unfolded = match ended {
        true => Vec::new(),
        false => memory.unfolded(uid, &item_pods, &ends, now),
    };
    view.job = job.as_deref().map(|job| job_view(job, now));
    view.living = count(item_pods.iter().filter(|pod| !pods::ended(pod)));
    view.unfolded = count(unfolded.iter());
    view.last_end = view.last_end.max(unfolded.iter().filter_map(|end| end.ended).max());
    view.folded = checkpoint.as_ref().map(|_| count(ends.ends.iter()));
    let waiting = || item_pods.iter().filter_map(|pod| pods::trouble(pod)).find(|t| t.reason != "Unschedulable");
    let waits = match view.job {
        None => planned.is_some() && !ended && view.slots == 0,
        Some(job) => job.finished.is_none() && item_pods.len() < all_pods.len(),
    };
    let waits = waits && plan::stop(&view).is_none();
    let no_slots = || frozen.as_ref().filter(|_| waits).and_then(|frozen| no_slots::told(ctx, run, frozen));
    let stalled = || stalled.map(|why| Trouble::new(why.reason.clone(), why.message.clone()));
    let store = store::told(&ends::run_pods(caches, run));
    let refused = || match &store {
        Some(Told::Fails(why)) if !ended => Some(why.clone()),
        _ => None,
    };
    let awaited = || complete::awaited(&frozen.as_ref()?.request, plan.runs_since?);
    let mut trouble = trouble.or(plan.trouble).or(archive.trouble).or_else(waiting).or_else(refused).or_else(awaited);
    let going = view.job.is_some_and(|job| job.finished.is_none() && job.suspended.is_none());
    if let Some(job) = job.as_deref().filter(|_| going && trouble.is_none()) {
        trouble = items_held_up(ctx, memory, uid, (job, view.slots), &all_pods, now).await;
    }
    let trouble = trouble.or_else(no_slots).or_else(stalled);
    Ok(Observed {
        view,
        tick,
        frozen,
        plan: plan.answer,
        archive: archive.answer,
        job,
        checkpoint,
        ends,
        unfolded,
        trouble,
        store,
        not_yet,
    })
}

/// An object of the run as the API server has it. It may be younger than the cache; that matters only where its absence
/// would end the run.
async fn live<K>(ctx: &Ctx, run: &ScoringRun, name: &str) -> Result<Option<Arc<K>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let key = ObjectRef::<K>::new(name).within(namespace_of(run));
    let there = api.get_opt(name).await.map_err(Error::api("read", &key))?;
    Ok(there.filter(|object| is_owned(object, uid_of(run))).map(Arc::new))
}

/// When a run must have ended: so long after it was made, however late that was.
fn deadline(run: &ScoringRun, tick: Timestamp, created: Timestamp, span: Span) -> Timestamp {
    // Of a run by hand the tick may be any time. One of a schedule is not made before its tick, whatever the API server's
    // clock says.
    let by_schedule = run.metadata.owner_references.iter().flatten().any(|o| o.controller == Some(true));
    let from = if by_schedule { tick.max(created) } else { created };
    from.checked_add(span.to_signed()).unwrap_or(Timestamp::MAX)
}

/// Whether a `Stalled` condition of this reason tells that the API server refuses something for good.
fn is_refusal(reason: &str) -> bool {
    [Category::Rejected, Category::Forbidden].iter().any(|category| category.as_str() == reason)
}

fn is_there<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_none()
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

fn job_view(job: &Job, now: Timestamp) -> plan::Job {
    let positive = |number: Option<i32>| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let (spec, status) = (job.spec.as_ref(), job.status.as_ref());
    let finished = condition(job, "Complete").or_else(|| condition(job, "Failed"));
    let suspended = spec.and_then(|spec| spec.suspend).unwrap_or(false);
    let gates = spec.and_then(|spec| spec.template.spec.as_ref()?.scheduling_gates.as_deref()).unwrap_or_default();
    plan::Job {
        gated: gates.iter().any(|gate| gate.name == names::SLOT_GATE),
        parallelism: positive(spec.and_then(|spec| spec.parallelism)),
        finished: finished.map(|(at, _)| at),
        suspended: suspended.then(|| condition(job, "Suspended").map_or(now, |(at, _)| at)),
        counted: positive(status.and_then(|s| s.succeeded)).saturating_add(positive(status.and_then(|s| s.failed))),
    }
}

/// What would be frozen now, or why nothing can be.
fn freeze(ctx: &Ctx, run: &ScoringRun, rerun: &Rerun, tick: Timestamp, now: Timestamp) -> Result<Frozen, Trouble> {
    let name = &run.spec.schedule_name;
    let guard = ctx.caches.schedules.get(namespace_of(run), name).ok_or_else(|| {
        let message = format!("there is no ScoringSchedule {name:?} in namespace {}", namespace_of(run));
        Trouble::new("ScheduleNotFound", message)
    })?;
    let invalid = |why: &dyn std::fmt::Display| format!("ScoringSchedule {name:?} is not valid: {why}");
    let schedule = guard.0.as_ref().map_err(|broken| Trouble::new("ScheduleInvalid", invalid(broken)))?;
    let ticks = check_cached(ctx, schedule, now).map_err(|why| Trouble::new(why.reason(), invalid(&why)))?;
    if let Some(why) = crate::schedule::wrong_pod(schedule) {
        return Err(Trouble::new(why.reason.clone(), invalid(&why.message)));
    }
    rerun.check(run)?;
    let window = match (run.spec.window.or(rerun.window()), schedule.spec.window) {
        (Some(window), _) => Some(window),
        (None, Some(window)) => {
            Some(window.at(tick, Some(&ticks)).map_err(|why| Trouble::new("InvalidWindow", invalid(&why)))?)
        }
        (None, None) => None,
    };
    let mut frozen = frozen(run, schedule, &ctx.settings.scorer_image, tick, window);
    // An image of an earlier scorer, which a schedule may name, does not know these where nothing asks for them.
    if schedule.spec.data.sql.is_some() {
        let created = run.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        frozen.request.deadline = Some(deadline(run, tick, created, schedule.spec.deadline.unwrap_or(DEADLINE)));
    }
    let wait = schedule.spec.data.complete.as_ref().map(|complete| complete.wait_up_to.to_signed());
    frozen.request.wait_until = wait.map(|wait| whole_seconds(now).checked_add(wait).unwrap_or(Timestamp::MAX));
    if schedule.spec.packing.sensors_per_pod == PerPod::Auto {
        let cluster = ctx.caches.clusters.get_global(&schedule.spec.cluster_ref.name);
        let cluster = cluster.as_ref().and_then(|guard| guard.0.as_ref().ok());
        let request = request_of_schedule(schedule.spec.scorer.resources.as_ref());
        frozen.request.slots = cluster.map(|cluster| slots(cluster, &request));
    }
    Ok(frozen)
}

/// A run's request, and its schedule as it is.
pub(super) fn frozen(
    run: &ScoringRun,
    schedule: &ScoringSchedule,
    image: &str,
    tick: Timestamp,
    window: Option<TimeRange>,
) -> Frozen {
    let spec = schedule.spec.clone();
    // The image of a command is no scorer's.
    let image = spec.scorer.image.as_deref().filter(|_| spec.scorer.command.is_none()).unwrap_or(image).to_owned();
    let request = RunRequest {
        namespace: namespace_of(run).to_owned(),
        schedule: run.spec.schedule_name.clone(),
        run: name_of(run).to_owned(),
        run_uid: uid_of(run).to_owned(),
        tick,
        window,
        work: spec.work(),
        rerun_failed_of: run.spec.rerun_failed_of.clone(),
        slots: None,
        deadline: None,
        wait_until: None,
    };
    Frozen { request, schedule: spec, image }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_has_all_of_its_deadline_however_late_it_was_made() {
        let run = |owner: Option<bool>| -> ScoringRun {
            let owners = owner.map(|controller| {
                json!({"apiVersion": "v1", "kind": "K", "name": "o", "uid": "u", "controller": controller})
            });
            serde_json::from_value(json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
                "metadata": {"name": "r", "ownerReferences": owners.into_iter().collect::<Vec<_>>()},
                "spec": {"scheduleName": "hourly"},
            }))
            .unwrap()
        };
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let of = |owner, tick, created| deadline(&run(owner), at(tick), at(created), Span::from_secs(60)).as_second();
        assert_eq!(of(Some(true), 3_600, 3_600), 3_660);
        assert_eq!(of(Some(true), 3_600, 9_000), 9_060, "caught up");
        assert_eq!(of(None, 3_600, 9_000), 9_060, "by hand");
        assert_eq!(of(None, 99_999_999, 9_000), 9_060, "of a time to come");
        assert_eq!(of(Some(true), 3_600, 3_500), 3_660, "by a clock that is behind");
    }
}
