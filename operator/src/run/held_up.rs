//! What a Job waits for that only events tell: an absent Secret or ServiceAccount.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams};

use super::pods::{self, Trouble};
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::error::words;

/// How long a Job may take to get a pod, and that to start, before events are asked for.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// The events that tell why a pod is not made, or made and not started.
const REASONS: [&str; 4] = ["FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"];
/// How many events are read of one object.
const MOST: u32 = 50;

/// Asks why a Job has no pod that starts, when that takes long. That nothing can be learned is no failure of the run.
pub(super) async fn held_up(ctx: &Ctx, job: &Job, job_pods: &[Arc<Pod>], now: Timestamp) -> Option<Trouble> {
    let (what, uid) = waits(job, job_pods, now)?;
    let api: Api<Event> = Api::namespaced(ctx.client.clone(), namespace_of(job));
    let of_it = ListParams::default().fields(&format!("involvedObject.uid={uid},type=Warning")).limit(MOST);
    match api.list(&of_it).await {
        Ok(events) => why(&what, &events.items),
        Err(error) => {
            tracing::debug!(job = name_of(job), "cannot list events of {what}: {}", words(&error));
            None
        }
    }
}

/// The object whose events to read, and its UID: of a Job without pods itself, or a pod that is on a node and not started.
fn waits(job: &Job, job_pods: &[Arc<Pod>], now: Timestamp) -> Option<(String, String)> {
    let old = |at: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        at.is_some_and(|at| now.duration_since(at.0) >= PATIENCE)
    };
    if !old(job.metadata.creation_timestamp.as_ref()) {
        return None;
    }
    let Some(pod) = job_pods.iter().rev().find(|pod| !pods::ended(pod)) else {
        return job_pods.is_empty().then(|| (format!("Job {}", name_of(job)), uid_of(job).to_owned()));
    };
    let starts = pods::is_creating(pod) && old(pod.metadata.creation_timestamp.as_ref());
    starts.then(|| (format!("pod {}", name_of(&**pod)), uid_of(&**pod).to_owned()))
}

/// What the events tell: the one that names what is missing, and of several the last.
fn why(what: &str, events: &[Event]) -> Option<Trouble> {
    let telling = events.iter().filter(|event| REASONS.contains(&event.reason.as_deref().unwrap_or_default()));
    let message = |event: &Event| event.message.clone().unwrap_or_default();
    let event = telling.max_by_key(|event| {
        let at = event.last_timestamp.as_ref().or(event.metadata.creation_timestamp.as_ref());
        (message(event).contains("not found"), at.map(|at| at.0))
    })?;
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
        waits(&job(), pods, start + SignedDuration::from_secs(second)).map(|(_, uid)| uid)
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
        assert_eq!(why("pod x", &events).unwrap(), Trouble::new("FailedMount", format!("pod x: {absent}")));
        assert_eq!(why("pod x", &events[..1]), None);
    }
}
