//! What a pod tells: whether it ended and how, what it answered, and what it waits for.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodCondition};
use serde::de::DeserializeOwned;
use spec::report::ItemReport;
use spec::request::{EndDetails, PodEnd};

use super::last_words;
use crate::context::{name_of, uid_of};
use crate::gate::is_held;

/// The annotation, and label, in which Kubernetes puts an item's index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Reasons of a container that waits which tell nothing.
const UNTOLD: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// Why something does not go on, for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }
}

/// The state of the pod's container; of the one that it waits for, as long as that is not done.
fn state(pod: &Pod) -> Option<&ContainerState> {
    let status = pod.status.as_ref()?;
    let is_done = |state: &&ContainerState| state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0);
    let mut before = status.init_container_statuses.iter().flatten().filter_map(|status| status.state.as_ref());
    let waited_for = before.find(|state| !is_done(state));
    waited_for.or_else(|| status.container_statuses.as_ref()?.first()?.state.as_ref())
}

/// How the pod's container ended.
pub(super) fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    state(pod)?.terminated.as_ref()
}

/// Since when the pod's container runs.
pub(super) fn runs_since(pod: &Pod) -> Option<Timestamp> {
    state(pod)?.running.as_ref()?.started_at.as_ref().map(|time| time.0)
}

/// Whether nothing of the pod runs any more. One that is being deleted ends with its container, not with its phase.
pub(super) fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    matches!(phase, "Succeeded" | "Failed") || (pod.metadata.deletion_timestamp.is_some() && terminated(pod).is_some())
}

/// What the pod answered in its termination message, if that is an answer of this kind.
pub(super) fn answer<T: DeserializeOwned>(pod: &Pod) -> Option<T> {
    serde_json::from_str(terminated(pod)?.message.as_deref()?.trim()).ok()
}

fn index(pod: &Pod) -> u32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(INDEX)).and_then(|index| index.parse().ok()).unwrap_or(0)
}

/// The condition that tells that something takes the pod away by no fault of its own, if anything does.
fn disruption(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == "DisruptionTarget" && c.status == "True")
}

/// What takes the pod away by no fault of its own, in Kubernetes' words.
pub(super) fn disrupted(pod: &Pod) -> Option<String> {
    let why = disruption(pod)?;
    Some(format!("{}: {}", why.reason.as_deref().unwrap_or_default(), why.message.as_deref().unwrap_or_default()))
}

/// Kubernetes' word for how the pod ended.
fn end_reason(pod: &Pod) -> String {
    let of_pod = pod.status.as_ref().and_then(|s| s.reason.clone()).filter(|reason| !reason.is_empty());
    let of_container = terminated(pod).and_then(|t| t.reason.clone());
    of_pod.or_else(|| disruption(pod).map(|c| c.type_.clone())).or(of_container).unwrap_or_else(|| "Unknown".to_owned())
}

/// How an item's pod ended.
pub(super) fn end(pod: &Pod) -> PodEnd {
    let terminated = terminated(pod);
    let time = |at: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| at.map(|time| time.0);
    let report: Option<ItemReport> = answer(pod);
    let details = if report.is_none() { last_words::details(pod) } else { EndDetails::default() };
    let report = report.unwrap_or_default();
    let container = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
    PodEnd {
        pod: name_of(pod).to_owned(),
        uid: uid_of(pod).to_owned(),
        index: index(pod),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        started: time(terminated.and_then(|t| t.started_at.as_ref())),
        ended: time(terminated.and_then(|t| t.finished_at.as_ref())),
        exit_code: terminated.map(|t| t.exit_code),
        reason: end_reason(pod),
        image: container.map(|container| container.image_id.clone()).unwrap_or_default(),
        succeeded: report.succeeded,
        failed: report.failed,
        failures: report.failures,
        details,
    }
}

/// The end of a pod that was last seen alive and then was gone, with its node or by force.
pub(super) fn vanished(pod: &Pod, now: Timestamp) -> PodEnd {
    let started = runs_since(pod);
    let ended = started.map(|_| crate::conditions::whole_seconds(now));
    let reason = disruption(pod).map_or("Vanished", |c| &c.type_).to_owned();
    PodEnd { started, ended, exit_code: None, reason, ..end(pod) }
}

/// Whether the pod is on a node and its container is not started yet, for a reason that its status does not tell.
pub(super) fn is_creating(pod: &Pod) -> bool {
    let on_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let reason = match state(pod) {
        None => Some(""),
        Some(state) => state.waiting.as_ref().map(|waiting| waiting.reason.as_deref().unwrap_or_default()),
    };
    on_node && reason.is_some_and(|reason| UNTOLD.contains(&reason))
}

/// What a pod that has not started waits for, when that is worth telling: its image, or a node.
pub(super) fn trouble(pod: &Pod) -> Option<Trouble> {
    if ended(pod) { None } else { trouble_of(pod) }
}

/// The same of a pod that may have ended, or gone, in the meantime.
pub(super) fn trouble_of(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    if let Some(waiting) = state(pod).and_then(|state| state.waiting.as_ref()) {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        if !UNTOLD.contains(&reason) {
            let message = waiting.message.as_deref().unwrap_or_default();
            return Some(Trouble::new(reason, format!("pod {}: {message}", name_of(pod))));
        }
    }
    let scheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    // It waits for a slot, as it should.
    if is_held(pod) {
        return None;
    }
    let message = scheduled.message.as_deref().unwrap_or_default();
    Some(Trouble::new(
        scheduled.reason.as_deref().unwrap_or("Unschedulable"),
        format!("pod {}: {message}", name_of(pod)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "run-0-x", "uid": "u", "annotations": {INDEX: "3"}},
            "spec": {"containers": [], "nodeName": "node"}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn an_end_tells_what_the_pod_answered() {
        let report = r#"{"index":3,"succeeded":2,"failed":1,"retry":0}"#;
        let end = end(&pod(
            &json!({"phase": "Succeeded", "containerStatuses": [{"name": "scorer", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:05Z", "message": report}}}]}),
        ));
        assert_eq!((end.index, end.succeeded, end.failed, end.exit_code), (3, 2, 1, Some(0)));
        assert_eq!((end.reason.as_str(), end.node.as_str()), ("Completed", "node"));
    }

    #[test]
    fn an_evicted_or_disrupted_pod_says_so() {
        let evicted = pod(&json!({"phase": "Failed", "reason": "Evicted"}));
        assert!(ended(&evicted));
        assert_eq!(end(&evicted).reason, "Evicted");
        let drained = pod(&json!({"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True"}]}));
        assert_eq!(end(&drained).reason, "DisruptionTarget");
    }

    #[test]
    fn a_pod_that_is_gone_says_so_unless_it_was_seen_to_be_disrupted() {
        let running = pod(&json!({"phase": "Running"}));
        assert_eq!(vanished(&running, Timestamp::UNIX_EPOCH).reason, "Vanished");
        let given_up = json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True"}]});
        assert_eq!(vanished(&pod(&given_up), Timestamp::UNIX_EPOCH).reason, "DisruptionTarget");
    }

    #[test]
    fn a_container_that_has_not_started_waits_for_the_one_before_it() {
        let status = |name: &str, state: serde_json::Value| {
            json!([{"name": name, "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": state}])
        };
        let waits = status("scorer", json!({"waiting": {"reason": "PodInitializing"}}));
        let of = |phase: &str, before: serde_json::Value| {
            pod(
                &json!({"phase": phase, "initContainerStatuses": status("install", before), "containerStatuses": waits}),
            )
        };
        let pulling = of("Pending", json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}));
        assert_eq!(trouble(&pulling).unwrap(), Trouble::new("ErrImagePull", "pod run-0-x: no such image"));
        let failed = of("Failed", json!({"terminated": {"exitCode": 75, "reason": "Error"}}));
        assert_eq!((end(&failed).exit_code, end(&failed).reason.as_str()), (Some(75), "Error"));
        let done = of("Pending", json!({"terminated": {"exitCode": 0, "reason": "Completed"}}));
        assert_eq!((trouble(&done), end(&done).exit_code), (None, None));
    }

    #[test]
    fn what_a_pod_waits_for_is_told() {
        let pulling =
            pod(&json!({"phase": "Pending", "containerStatuses": [{"name": "scorer", "image": "", "imageID": "",
            "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}));
        assert_eq!(trouble(&pulling).unwrap(), Trouble::new("ImagePullBackOff", "pod run-0-x: no such image"));
        let waiting = pod(&json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]}));
        assert_eq!(trouble(&waiting).unwrap().reason, "Unschedulable");
        assert_eq!(trouble(&pod(&json!({"phase": "Running"}))), None);
    }
}
