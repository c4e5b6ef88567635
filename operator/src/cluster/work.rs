//! The work that waits for a cluster's nodes: its runs, as the planner sees them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crds::{ScoringCluster, ScoringRun, names};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use planner::capacity::Resources;
use planner::slots::Demand;

use super::lacking::Lacking;
use super::pods;
use crate::conditions::is_true;
use crate::context::{Ctx, key_of, label, name_of, namespace_of, uid_of};
use crate::gate::is_held;
use crate::run_pods::Ended;
use crate::schedule::validate::selects;

/// A run of the cluster that is not over, and what it asks for.
pub(super) struct Work {
    /// The run.
    pub(super) run: Arc<ScoringRun>,
    /// What it asks for.
    pub(super) demand: Demand,
    /// Its pods that wait for a slot, in the order in which they get one.
    pub(super) held: Vec<Arc<Pod>>,
}

/// The runs of a cluster that are not over. Pods that were `let_go`, by UID, do not wait any more, whatever the cache
/// shows. Which of them are `lacking` pods is remembered.
#[must_use]
pub(super) fn of_cluster(
    ctx: &Ctx,
    cluster: &ScoringCluster,
    pods: &[Arc<Pod>],
    let_go: &BTreeSet<String>,
    lacking: &mut Lacking,
) -> Vec<Work> {
    let mut by_run: HashMap<(&str, &str), Vec<&Arc<Pod>>> = HashMap::new();
    for pod in pods.iter().filter(|pod| pods::is_item(pod)) {
        if let Some(run) = label(&**pod, names::RUN) {
            by_run.entry((namespace_of(&**pod), run)).or_default().push(pod);
        }
    }
    let name = name_of(cluster);
    let runs = ctx.caches.runs.all();
    let runs = runs.iter().filter_map(|guard| guard.0.as_ref().ok());
    let ours = runs.filter(|run| run.status.as_ref().is_some_and(|status| status.cluster.as_deref() == Some(name)));
    let now = ctx.now();
    let work: Vec<Work> = ours
        .filter_map(|run| {
            let key = key_of(run);
            let pods = by_run.get(&(namespace_of(run), name_of(run))).map(Vec::as_slice).unwrap_or_default();
            let job = ctx.caches.jobs.get(namespace_of(run), name_of(run));
            let schedule = ctx.caches.schedules.get(namespace_of(run), &run.spec.schedule_name);
            let schedule = schedule.as_ref().and_then(|guard| guard.0.as_ref().ok());
            let resources = schedule.and_then(|schedule| schedule.spec.scorer.resources.as_ref());
            let priority = schedule.map_or(0, |schedule| schedule.spec.priority);
            let admitted = may_use(ctx, cluster, namespace_of(run)) && !ctx.caches.is_closing(namespace_of(run));
            let waits = |pod: &&Arc<Pod>| is_held(pod) && !let_go.contains(uid_of(&***pod));
            let (held, gone): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) = pods.iter().copied().partition(waits);
            let mut held: Vec<Arc<Pod>> = held.into_iter().filter(|pod| is_to_be(pod)).cloned().collect();
            held.sort_by_cached_key(|pod| (index(pod), name_of(&**pod).to_owned()));
            // What admission has made of them counts: a LimitRange's defaults, a RuntimeClass's overhead, further containers.
            let of_pod =
                held.first().map(|pod| &**pod).or_else(|| gone.iter().map(|pod| &***pod).find(|pod| is_to_be(pod)));
            let request = of_pod.and_then(|pod| pod.spec.as_ref()).map(pods::request);
            let request = request.or_else(|| job.as_deref().and_then(request_of_job));
            let request = request.unwrap_or_else(|| pods::request_of_schedule(resources));
            let ended = ctx.caches.run_pods.ended(namespace_of(run), name_of(run));
            let demand = demand(key, run, job.as_deref(), (&gone, &held, ended), request, priority, admitted)?;
            let most = job.as_deref().and_then(parallelism).map_or(u32::MAX, |parallelism| {
                let has = demand.started + demand.starting + demand.held;
                let lacks = has < demand.remaining.min(parallelism);
                let all = || ctx.caches.run_pods.of_run(namespace_of(run), name_of(run));
                let has = has + if lacks && ended.failed > 0 { retried(&all(), job.as_deref()) } else { 0 };
                lacking.most(uid_of(run), parallelism, demand.remaining, has, now)
            });
            let demand = Demand { most, ..demand };
            Some(Work { run: Arc::new(run.clone()), demand, held })
        })
        .collect();
    lacking.retain(&work.iter().map(|work| uid_of(&*work.run)).collect());
    work
}

/// An item's index, as Kubernetes puts it on its pod.
fn index(pod: &Pod) -> u32 {
    label(pod, "batch.kubernetes.io/job-completion-index").and_then(|index| index.parse().ok()).unwrap_or(u32::MAX)
}

/// Whether the pod has not ended and nobody has deleted it.
fn is_to_be(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !pods::has_ended(pod)
}

/// What a run asks for, given its pods that were let go, those that wait, and how many have ended; `None` when it is over or not
/// planned yet.
fn demand(
    key: String,
    run: &ScoringRun,
    job: Option<&Job>,
    (gone, held, ended): (&[&Arc<Pod>], &[Arc<Pod>], Ended),
    request: Resources,
    priority: i32,
    admitted: bool,
) -> Option<Demand> {
    let status = run.status.as_ref()?;
    let conditions = &status.conditions;
    if !is_true(conditions, "Planned") || is_true(conditions, "Complete") || is_true(conditions, "Failed") {
        return None;
    }
    let count = |which: &dyn Fn(&Pod) -> bool| size(gone.iter().filter(|pod| which(pod)).count());
    let started = count(&|pod| pods::node_of(pod).is_some() && !pods::has_ended(pod));
    let starting = count(&|pod| pods::node_of(pod).is_none() && is_to_be(pod));
    let over = job.is_some_and(job_is_over) || job.is_none() && status.state.as_deref() == Some("Archiving");
    let stopping = job.is_some_and(is_suspended) || status.state.as_deref() == Some("Stopping");
    let stops = stopping || run.spec.cancel || run.metadata.deletion_timestamp.is_some() || !admitted;
    let items = status.items.unwrap_or_default();
    let left = items.saturating_sub(job.map_or(0, |job| ended_items(job, ended.succeeded))).max(started);
    let remaining = if over || stops { started } else { left };
    let created = run.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let given = status.slots.unwrap_or_default();
    let held = size(held.len());
    Some(Demand { run: key, priority, created, request, remaining, started, starting, held, most: u32::MAX, given })
}

/// How many items wait for the Job to try them again: their last pod has failed, and there is no other yet.
fn retried(pods: &[Arc<Pod>], job: Option<&Job>) -> u32 {
    let has_failed = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed");
    let items = pods.iter().filter(|pod| pods::is_item(pod) && (!is_held(pod) || is_to_be(pod)));
    let (failed, others): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) = items.partition(|pod| has_failed(pod));
    let others: BTreeSet<u32> = others.into_iter().map(|pod| index(pod)).collect();
    let failed: BTreeSet<u32> = failed.into_iter().map(|pod| index(pod)).filter(|at| !others.contains(at)).collect();
    let for_good = job.and_then(|job| job.status.as_ref()?.failed_indexes.as_deref()).map_or(0, indexes);
    size(failed.len()).saturating_sub(for_good)
}

/// How many pods a Job may have at a time.
fn parallelism(job: &Job) -> Option<u32> {
    job.spec.as_ref()?.parallelism.and_then(|pods| u32::try_from(pods).ok())
}

fn request_of_job(job: &Job) -> Option<Resources> {
    job.spec.as_ref()?.template.spec.as_ref().map(pods::request)
}

/// Whether nothing new of the Job starts any more: it is done, or failed.
pub(super) fn job_is_over(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ends = ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];
    conditions.into_iter().any(|c| c.status == "True" && ends.contains(&c.type_.as_str()))
}

/// Whether the Job was stopped.
pub(super) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false)
}

/// Items that need no further pod, where at least so many pods have succeeded.
fn ended_items(job: &Job, seen: u32) -> u32 {
    // Pods are seen to end before their Job counts them.
    let Some(status) = &job.status else { return seen };
    let succeeded = u32::try_from(status.succeeded.unwrap_or_default()).unwrap_or_default().max(seen);
    succeeded.saturating_add(status.failed_indexes.as_deref().map_or(0, indexes))
}

fn size(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// How many indexes a list such as `1,3-5` names.
fn indexes(list: &str) -> u32 {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').filter_map(count).fold(0, u32::saturating_add)
}

/// Whether the cluster's administrator lets this namespace use it.
pub(super) fn may_use(ctx: &Ctx, cluster: &ScoringCluster, namespace: &str) -> bool {
    let Some(selector) = &cluster.spec.namespace_selector else { return true };
    let labels = ctx.caches.namespaces.get_global(namespace).and_then(|ns| ns.metadata.labels.clone());
    selects(selector, &labels.unwrap_or_default()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(status: &Value) -> ScoringRun {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": { "name": "hourly-1", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "scheduleName": "hourly" }, "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str) -> Value {
        json!({ "type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" })
    }

    fn planned() -> ScoringRun {
        run(&json!({ "items": 10, "slots": 4, "conditions": [condition("Planned")] }))
    }

    fn job(status: &Value) -> Job {
        serde_json::from_value(json!({ "metadata": { "name": "hourly-1" }, "status": status })).unwrap()
    }

    fn pod(node: &str, phase: &str) -> Arc<Pod> {
        let spec = json!({ "containers": [], "nodeName": node });
        Arc::new(serde_json::from_value(json!({ "metadata": {}, "spec": spec, "status": { "phase": phase } })).unwrap())
    }

    fn asks(run: &ScoringRun, job: Option<&Job>, pods: &[Arc<Pod>]) -> Option<(u32, u32)> {
        let gone: Vec<&Arc<Pod>> = pods.iter().collect();
        let has = |phase: &str| {
            size(pods.iter().filter(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some(phase)).count())
        };
        let ended = Ended { succeeded: has("Succeeded"), failed: has("Failed") };
        let demand = demand("k".into(), run, job, (&gone, &[], ended), Resources::default(), 0, true)?;
        Some((demand.remaining, demand.started))
    }

    #[test]
    fn a_planned_run_asks_for_all_its_items_and_one_that_is_not_for_nothing() {
        assert_eq!(asks(&planned(), None, &[]), Some((10, 0)));
        assert_eq!(asks(&run(&json!({ "items": 10 })), None, &[]), None);
        let complete = json!({ "items": 10, "conditions": [condition("Planned"), condition("Complete")] });
        assert_eq!(asks(&run(&complete), None, &[]), None);
    }

    #[test]
    fn items_that_ended_ask_for_nothing_more() {
        let job = job(&json!({ "succeeded": 3, "failedIndexes": "1,4-5" }));
        let pods = [pod("n", "Running"), pod("n", "Succeeded"), pod("", "Pending")];
        assert_eq!(asks(&planned(), Some(&job), &pods), Some((4, 1)));
        let behind = [pod("n", "Succeeded"), pod("n", "Succeeded"), pod("n", "Succeeded"), pod("n", "Succeeded")];
        assert_eq!(asks(&planned(), Some(&job), &behind), Some((3, 0)));
    }

    #[test]
    fn a_pod_that_was_let_go_starts_until_it_is_on_a_node_or_deleted() {
        let deleted = json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" });
        let deleted = serde_json::from_value(json!({ "metadata": deleted, "spec": { "containers": [] } })).unwrap();
        let (on, off, deleted) = (pod("n", "Running"), pod("", "Pending"), Arc::new(deleted));
        let gone = [&on, &off, &deleted];
        let held = [off.clone(), off.clone()];
        let pods = (&gone[..], &held[..], Ended::default());
        let demand = demand("k".into(), &planned(), None, pods, Resources::default(), 0, true).unwrap();
        assert_eq!((demand.started, demand.starting, demand.held), (1, 1, 2));
    }

    #[test]
    fn an_item_whose_last_pod_failed_is_to_be_tried_again_until_it_has_another_or_has_failed_for_good() {
        let of = |index: &str, phase: &str| {
            let mut pod = (*pod("n", phase)).clone();
            let labels = [("batch.kubernetes.io/job-completion-index", index), (names::ROLE, "item")];
            pod.metadata.labels = Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
            Arc::new(pod)
        };
        let failed = [of("0", "Failed"), of("0", "Failed"), of("1", "Failed"), of("2", "Failed")];
        let mut goes = (*of("2", "Pending")).clone();
        goes.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let gate = json!([{ "name": names::SLOT_GATE }]);
        goes.spec.as_mut().unwrap().scheduling_gates = Some(serde_json::from_value(gate).unwrap());
        let pods = [&failed[..], &[of("3", "Running"), of("1", "Pending"), Arc::new(goes)]].concat();
        assert_eq!(retried(&pods, None), 2);
        assert_eq!(retried(&pods, Some(&job(&json!({ "failedIndexes": "2" })))), 1);
    }

    #[test]
    fn a_run_that_stops_only_keeps_what_has_started() {
        let pods = [pod("n", "Running"), pod("m", "Pending")];
        let mut cancelled = planned();
        cancelled.spec.cancel = true;
        assert_eq!(asks(&cancelled, None, &pods), Some((2, 2)));
        let mut past_its_deadline = planned();
        past_its_deadline.status.as_mut().unwrap().state = Some("Stopping".to_owned());
        assert_eq!(asks(&past_its_deadline, None, &pods), Some((2, 2)));
        let over = job(&json!({ "conditions": [{ "type": "Failed", "status": "True" }] }));
        assert_eq!(asks(&planned(), Some(&over), &[]), Some((0, 0)));
        let archiving = run(&json!({ "items": 10, "state": "Archiving", "conditions": [condition("Planned")] }));
        assert_eq!(asks(&archiving, None, &[]), Some((0, 0)));
    }
}
