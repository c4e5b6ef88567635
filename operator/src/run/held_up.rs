//! What a Job waits for that only events tell: an absent Secret or ServiceAccount, a quota or policy that refuses its pods.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ObjectMeta;

use super::ends::Memory;
use super::pods::{self, Trouble};
use super::warnings::{seen, warnings};
use crate::context::{Ctx, name_of, namespace_of, uid_of};

/// How long a Job may take to get a pod, and that to start, before events are asked for.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// The events that tell why a pod is not made, or made and not started.
const REASONS: [&str; 4] = ["FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"];

/// The object whose events tell why nothing starts.
#[derive(Debug, PartialEq)]
struct Silent {
    what: String,
    uid: String,
    /// What was told before is over.
    since: Option<Timestamp>,
}

/// Asks why a Job lacks pods, or has some that do not start, when that takes long. That nothing can be learned is no
/// failure of the run.
pub(super) async fn held_up(ctx: &Ctx, job: &Job, job_pods: &[Arc<Pod>], now: Timestamp) -> Option<Trouble> {
    ask(ctx, job, &silent(job, u32::MAX, job_pods, now)?).await
}

/// The same for the Job of a run's items and its slots; the many pods would have it asked at each of their changes.
pub(super) async fn items_held_up(
    ctx: &Ctx,
    memory: &Memory,
    run: &str,
    (job, slots): (&Job, u32),
    job_pods: &[Arc<Pod>],
    now: Timestamp,
) -> Option<Trouble> {
    let silent = silent(job, slots, job_pods, now)?;
    if let Some(told) = memory.told(run, now) {
        return told;
    }
    let told = ask(ctx, job, &silent).await;
    memory.asked(run, told.clone(), now);
    told
}

async fn ask(ctx: &Ctx, job: &Job, Silent { what, uid, since }: &Silent) -> Option<Trouble> {
    why(what, &warnings(&ctx.client, namespace_of(job), what, uid).await, *since)
}

/// A pod that is on a node and not started, or the Job itself where it lacks pods.
fn silent(job: &Job, slots: u32, job_pods: &[Arc<Pod>], now: Timestamp) -> Option<Silent> {
    let old = |at: Timestamp| now.duration_since(at) >= PATIENCE;
    if !created(&job.metadata).is_some_and(old) {
        return None;
    }
    let living = || job_pods.iter().filter(|pod| !pods::ended(pod));
    if let Some(pod) = living().find(|pod| pods::is_creating(pod) && created(&pod.metadata).is_some_and(old)) {
        return Some(Silent { what: format!("pod {}", name_of(&**pod)), uid: uid_of(&**pod).to_owned(), since: None });
    }
    let since = job_pods.iter().filter_map(|pod| created(&pod.metadata)).max();
    let lacks = job_pods.is_empty() || lacks_pods(job, slots, living().count()) && since.is_some_and(old);
    lacks.then(|| Silent { what: format!("Job {}", name_of(job)), uid: uid_of(job).to_owned(), since })
}

fn created(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Whether the Job has fewer pods than it needs at a time, as far as its counts tell: one that waits before a retry has fewer.
/// What it has beyond the slots only waits to be let go, which is a fifth of its parallelism or more: that a quota has no room
/// for that is no loss. Where the slots have become fewer because there are no pods for more, it is.
fn lacks_pods(job: &Job, slots: u32, living: usize) -> bool {
    let number = |number: Option<i32>| number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let spec = job.spec.as_ref();
    let succeeded = number(job.status.as_ref().and_then(|status| status.succeeded));
    let left = number(spec.and_then(|spec| spec.completions)).saturating_sub(succeeded);
    let parallelism = number(spec.and_then(|spec| spec.parallelism));
    let slots = usize::try_from(slots).unwrap_or(usize::MAX);
    let once = parallelism * 4 / 5;
    living < left.min(parallelism).min(slots.max(once)) && living <= slots
}

/// What the events tell: the one that names what is missing, and of several the last.
fn why(what: &str, events: &[Event], since: Option<Timestamp>) -> Option<Trouble> {
    let telling = events.iter().filter(|event| REASONS.contains(&event.reason.as_deref().unwrap_or_default()));
    let message = |event: &Event| event.message.clone().unwrap_or_default();
    let telling = telling.filter(|event| seen(event) >= since);
    let event = telling.max_by_key(|event| (message(event).contains("not found"), seen(event)))?;
    Some(Trouble::new(event.reason.clone().unwrap_or_default(), format!("{what}: {}", message(event))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job() -> Job {
        serde_json::from_value(json!({"metadata": {"name": "run-plan", "uid": "j",
            "creationTimestamp": "2026-01-01T00:00:00Z"}}))
        .unwrap()
    }

    fn pod(status: &Value) -> Arc<Pod> {
        let metadata = json!({"name": "run-plan-x", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let spec = json!({"containers": [], "nodeName": "node"});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap())
    }

    fn asked_at(second: i64, pods: &[Arc<Pod>]) -> Option<String> {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        silent(&job(), u32::MAX, pods, start + SignedDuration::from_secs(second)).map(|silent| silent.uid)
    }

    fn container(state: &Value) -> Value {
        json!({"phase": "Pending", "containerStatuses": [{"name": "scorer", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": state}]})
    }

    fn event(reason: &str, message: &str, minute: u32) -> Event {
        serde_json::from_value(json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message,
            "lastTimestamp": format!("2026-01-01T00:{minute:02}:00Z")}))
        .unwrap()
    }

    #[test]
    fn events_are_asked_for_only_where_nothing_starts_for_long() {
        let creating = pod(&container(&json!({"waiting": {"reason": "ContainerCreating"}})));
        assert_eq!(asked_at(10, std::slice::from_ref(&creating)), None);
        assert_eq!(asked_at(30, &[creating]).as_deref(), Some("p"));
        assert_eq!(asked_at(30, &[]).as_deref(), Some("j"));
        assert_eq!(asked_at(30, &[pod(&container(&json!({"running": {}})))]), None);
        assert_eq!(asked_at(30, &[pod(&json!({"phase": "Failed"}))]), None, "another pod comes after a while");
    }

    #[test]
    fn what_is_missing_is_named() {
        let absent = "MountVolume.SetUp failed for volume \"store\" : secret \"absent\" not found";
        let events = [
            event("FailedScheduling", "0/3 nodes are available", 9),
            event("FailedMount", absent, 1),
            event("FailedMount", "Unable to attach or mount volumes: timed out", 3),
        ];
        assert_eq!(why("pod x", &events, None).unwrap(), Trouble::new("FailedMount", format!("pod x: {absent}")));
        assert_eq!(why("pod x", &events[..1], None), None);
    }

    /// What a Job of four items, of which three may be there and one is done, is asked for a minute after it was made.
    fn asked_of_items(pods: &[Arc<Pod>], slots: u32) -> Option<Silent> {
        let mut job = serde_json::to_value(job()).unwrap();
        job["spec"] = json!({"completions": 4, "parallelism": 3, "template": {}});
        job["status"] = json!({"succeeded": 1});
        let job: Job = serde_json::from_value(job).unwrap();
        silent(&job, slots, pods, "2026-01-01T00:01:00Z".parse().unwrap())
    }

    fn running(created: &str) -> Arc<Pod> {
        let mut pod = (*pod(&container(&json!({"running": {}})))).clone();
        pod.metadata.creation_timestamp = Some(serde_json::from_value(json!(created)).unwrap());
        Arc::new(pod)
    }

    #[test]
    fn a_job_that_lacks_some_of_its_pods_for_long_is_asked_and_one_that_has_them_is_not() {
        let (first, second, third) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z", "2026-01-01T00:00:59Z");
        let two = [running(first), running(second)];
        let lacks = asked_of_items(&two, 3).unwrap();
        assert_eq!((lacks.uid.as_str(), lacks.since), ("j", Some(second.parse().unwrap())));
        assert_eq!(asked_of_items(&[running(first), running(third)], 3), None, "another may be on its way");
        assert_eq!(asked_of_items(&[running(first), running(first), running(second)], 3), None);
        let done = pod(&json!({"phase": "Succeeded"}));
        assert_eq!(asked_of_items(&[done, running(first), running(first), running(second)], 3), None);
        assert_eq!(asked_of_items(&two, 2), None, "the third would only wait");
        assert!(asked_of_items(&two[..1], 1).is_some(), "it has one slot for lack of pods");
    }

    #[test]
    fn what_refused_a_pod_before_another_was_made_is_over() {
        let events = [event("FailedCreate", "exceeded quota: pods", 5)];
        let told = |minute: u32| why("Job q", &events, Some(format!("2026-01-01T00:{minute:02}:00Z").parse().unwrap()));
        let refused = Trouble::new("FailedCreate", "Job q: exceeded quota: pods");
        assert_eq!((told(4), told(5), told(6)), (Some(refused.clone()), Some(refused), None));
    }
}
