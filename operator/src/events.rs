//! Events for people who look at an object with `kubectl describe`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Told;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};

use crate::error::{is_code, words};

/// Who reports.
const CONTROLLER: &str = "batchscoring.dev/operator";

/// Publishes events. A lost event is no reason to fail a reconcile: it is logged, and life goes on.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
    recorder: Recorder,
}

impl Events {
    /// Events reported by this process.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter { controller: CONTROLLER.into(), instance: Some(instance.to_owned()) };
        Self { client: client.clone(), instance: instance.to_owned(), recorder: Recorder::new(client, reporter) }
    }

    /// Something went as it should.
    pub async fn normal(&self, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        self.publish(EventType::Normal, about, reason, action, note).await;
    }

    /// Something needs a look.
    pub async fn warning(&self, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        self.publish(EventType::Warning, about, reason, action, note).await;
    }

    /// Something of a namespaced object needs a look, and is told once only: `action`, of letters and digits, names it, and
    /// the event is named after that. A process that died may have told it and not written down that it did.
    pub async fn warning_once(&self, about: &ObjectReference, reason: &str, action: &str, note: &str, now: Timestamp) {
        let name = about.name.as_deref().unwrap_or_default();
        let event = Told {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{}", action.to_ascii_lowercase())),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some("Warning".to_owned()),
            reason: Some(reason.to_owned()),
            action: Some(action.to_owned()),
            note: Some(short(note)),
            regarding: Some(about.clone()),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Told::default()
        };
        let events: Api<Told> = Api::namespaced(self.client.clone(), about.namespace.as_deref().unwrap_or_default());
        match events.create(&PostParams::default(), &event).await {
            Err(error) if !is_code(&error, 409) => lost(about, reason, &error),
            _ => {}
        }
    }

    /// The recorder folds events that differ only in their note into one.
    pub(crate) async fn publish(
        &self,
        type_: EventType,
        about: &ObjectReference,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let (reason, action) = (reason.to_owned(), action.to_owned());
        let event = Event { type_, reason, action, note: Some(short(note)), secondary: None };
        if let Err(error) = self.recorder.publish(&event, about).await {
            lost(about, &event.reason, &error);
        }
    }
}

/// A note may have 1,024 bytes.
fn short(note: &str) -> String {
    note.chars().take(1000).collect()
}

fn lost(about: &ObjectReference, reason: &str, error: &kube::Error) {
    tracing::warn!(reason, "an event of {} was lost: {}", about.name.as_deref().unwrap_or("?"), words(error));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn two_processes_give_what_is_told_once_the_same_name() {
        let asked = Arc::<Mutex<Vec<Value>>>::default();
        let log = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let log = log.clone();
            async move {
                let body = request.into_body().collect_bytes().await.unwrap();
                log.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                let answer =
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "", "code": 409});
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, std::convert::Infallible>(Response::builder().status(409).body(body).unwrap())
            }
        });
        let client = Client::new(service, "plant");
        let about = ObjectReference {
            name: Some("hourly".into()),
            namespace: Some("plant".into()),
            ..ObjectReference::default()
        };
        let now = Timestamp::from_second(7_200).unwrap();
        for (instance, action) in [("one", "TooLate3600"), ("two", "TooLate3600"), ("two", "TooLate7200")] {
            Events::new(client.clone(), instance).warning_once(&about, "MissedTick", action, "no run", now).await;
        }
        let names: Vec<Value> = asked.lock().unwrap().iter().map(|event| event["metadata"]["name"].clone()).collect();
        assert_eq!(names, ["hourly.toolate3600", "hourly.toolate3600", "hourly.toolate7200"]);
    }
}
