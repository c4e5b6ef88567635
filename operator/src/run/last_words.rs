//! What Kubernetes tells of pods that could not say themselves how they ended: killed, evicted, lost, never started.

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Client;
use spec::request::{EndDetails, PodEnd, PodEnds};

use super::pods;
use super::warnings::{seen, warnings};

/// How many ends of a run are told in detail: the first tell what is wrong.
const MOST_ENDS: usize = 32;
/// How much all details of a run may take: its ends share a ConfigMap.
const MOST_BYTES: usize = 40 * 1024;
const MOST_EVENTS: usize = 5;
const EVENT_CHARS: usize = 200;
const MESSAGE_CHARS: usize = 400;
/// As much as the kubelet keeps of a container's output.
const OUTPUT_CHARS: usize = 2_048;
/// Pods whose events are asked for at once.
const AT_ONCE: usize = 4;
/// Reasons for which a container's message is the runtime's, and not what the container printed.
const NEVER_RAN: [&str; 3] = ["StartError", "ContainerCannotRun", "ContainerStatusUnknown"];

/// What the status of an ended pod tells that left no answer.
pub(super) fn details(pod: &Pod) -> EndDetails {
    let container = pods::terminated(pod);
    let never_ran = container.is_some_and(|c| NEVER_RAN.contains(&c.reason.as_deref().unwrap_or_default()));
    let of_container = container.and_then(|c| c.message.as_deref()).unwrap_or_default();
    let of_pod = pod.status.as_ref().and_then(|status| status.message.as_deref()).filter(|text| !text.is_empty());
    let message = of_pod.map(str::to_owned).or_else(|| pods::disrupted(pod)).or_else(|| {
        let waits = pods::trouble_of(pod).map(|why| format!("{}: {}", why.reason, why.message));
        if never_ran { Some(of_container.to_owned()) } else { waits }
    });
    EndDetails {
        message: first(message.unwrap_or_default().trim(), MESSAGE_CHARS),
        events: Vec::new(),
        output: if never_ran { String::new() } else { last(of_container.trim_end(), OUTPUT_CHARS) },
    }
}

/// Asks for the events of ended pods that did not end by themselves, as long as few are told of. `told` are those that
/// were asked for before.
pub(super) async fn ask(client: &Client, namespace: &str, told: &PodEnds, new: &mut [PodEnd]) {
    let room = MOST_ENDS.saturating_sub(told.ends.iter().filter(|end| is_silent(end)).count());
    let silent = new.iter_mut().filter(|end| is_silent(end)).take(room);
    futures::stream::iter(silent)
        .for_each_concurrent(AT_ONCE, |end| async move {
            let events = warnings(client, namespace, &end.pod, &end.uid).await;
            end.details.events = last_events(events);
        })
        .await;
}

/// Whether the pod was ended, or never ran, whatever its program would have said.
fn is_silent(end: &PodEnd) -> bool {
    // A shell's code for a program that a signal ended, and those of programs that cannot be run.
    end.exit_code.is_none_or(|code| code >= 126)
}

fn last_events(mut events: Vec<Event>) -> Vec<String> {
    events.sort_by_key(seen);
    let one = |event: &Event| {
        let (reason, message) = (event.reason.as_deref(), event.message.as_deref());
        first(&format!("{}: {}", reason.unwrap_or_default(), message.unwrap_or_default()), EVENT_CHARS)
    };
    events[events.len().saturating_sub(MOST_EVENTS)..].iter().map(one).collect()
}

/// Keeps the details of the first ends that have any, as far as they have room.
pub(super) fn bound(ends: &mut [PodEnd]) {
    let (mut told, mut bytes) = (0, 0);
    for end in ends.iter_mut().filter(|end| !end.details.is_empty()) {
        told += 1;
        bytes += serde_json::to_vec(&end.details).map_or(MOST_BYTES, |json| json.len());
        if told > MOST_ENDS || bytes > MOST_BYTES {
            end.details = EndDetails::default();
        }
    }
}

fn first(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

fn last(text: &str, chars: usize) -> String {
    let count = text.chars().count();
    text.chars().skip(count.saturating_sub(chars)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::server;
    use serde_json::{Value, json};

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "run-0-x", "uid": "u"}, "spec": {"containers": []},
            "status": status}))
        .unwrap()
    }

    fn container(state: &Value) -> Value {
        json!([{"name": "scorer", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
    }

    fn end(uid: &str, exit_code: Option<i32>) -> PodEnd {
        PodEnd { uid: uid.into(), exit_code, ..pods::end(&pod(&json!({"phase": "Failed"}))) }
    }

    #[test]
    fn of_a_killed_container_the_last_that_it_printed_is_kept() {
        let printed = format!("{}\nlast line\n", "é".repeat(5_000));
        let killed = json!({"phase": "Failed", "containerStatuses":
            container(&json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": printed}}))});
        let details = details(&pod(&killed));
        assert!(details.output.ends_with("é\nlast line") && details.output.chars().count() == OUTPUT_CHARS);
        assert_eq!((details.message.as_str(), details.events.len()), ("", 0));
    }

    #[test]
    fn why_a_container_did_not_run_is_a_message_and_no_output() {
        let refused = json!({"phase": "Failed", "containerStatuses": container(&json!({"terminated":
            {"exitCode": 128, "reason": "StartError", "message": "exec: \"predict\": not found"}}))});
        let details_of = details(&pod(&refused));
        assert_eq!((details_of.message.as_str(), details_of.output.as_str()), ("exec: \"predict\": not found", ""));
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."});
        assert_eq!(details(&pod(&evicted)).message, "The node was low on memory.");
        let waits = json!({"phase": "Pending", "containerStatuses":
            container(&json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}))});
        assert_eq!(details(&pod(&waits)).message, "ImagePullBackOff: pod run-0-x: no such image");
        let drained = json!({"phase": "Failed", "conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}]});
        assert_eq!(details(&pod(&drained)).message, "EvictionByEvictionAPI: drained");
    }

    #[tokio::test]
    async fn events_are_asked_for_of_the_first_pods_that_did_not_end_by_themselves_and_the_last_of_them_kept() {
        let event = |minute: u32| {
            json!({"metadata": {}, "involvedObject": {}, "reason": "Unhealthy", "message": format!("{minute}{}", "x".repeat(900)),
                "lastTimestamp": format!("2026-01-01T00:{minute:02}:00Z")})
        };
        let list = json!({"kind": "EventList", "apiVersion": "v1", "metadata": {},
            "items": [event(9), event(3), event(1), event(5), event(7), event(4)]});
        let (client, asked) = server(vec![(200, list)]);
        let mut new = [end("done", Some(0)), end("retry", Some(75)), end("killed", Some(137)), end("lost", None)];
        let told = PodEnds { ends: vec![end("before", None); MOST_ENDS - 1], ..PodEnds::default() };
        ask(&client, "plant", &told, &mut new).await;
        assert_eq!(*asked.lock().unwrap(), ["GET /api/v1/namespaces/plant/events"]);
        let events = &new[2].details.events;
        let minutes: Vec<&str> = events.iter().map(|event| &event[..12]).collect();
        assert_eq!(minutes, ["Unhealthy: 3", "Unhealthy: 4", "Unhealthy: 5", "Unhealthy: 7", "Unhealthy: 9"]);
        assert!(events.iter().all(|event| event.len() == EVENT_CHARS));
    }

    #[tokio::test]
    async fn an_api_server_that_refuses_to_list_events_changes_nothing() {
        let (client, _) = server(vec![(403, json!({"kind": "Status", "apiVersion": "v1", "code": 403}))]);
        let mut new = [end("killed", Some(137))];
        ask(&client, "plant", &PodEnds::default(), &mut new).await;
        assert_eq!(new[0], end("killed", Some(137)));
    }

    #[test]
    fn only_the_first_ends_are_told_in_detail() {
        let long = |n: usize| {
            let details = EndDetails { output: "\n".repeat(n), ..EndDetails::default() };
            PodEnd { details, ..end("killed", Some(137)) }
        };
        let mut many = vec![long(10); 100];
        bound(&mut many);
        assert_eq!(many.iter().filter(|end| !end.details.is_empty()).count(), MOST_ENDS);
        let mut large = vec![long(OUTPUT_CHARS); 100];
        bound(&mut large);
        assert!(serde_json::to_string(&large).unwrap().len() < MOST_BYTES + 100 * 200);
    }
}
