//! Events for people who look at an object with `kubectl describe`.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Publishes events. A lost event is no reason to fail a reconcile: it is logged, and life goes on.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events reported by this process.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter { controller: "batchscoring.dev/operator".into(), instance: Some(instance.to_owned()) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Something went as it should.
    pub async fn normal(&self, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        self.publish(EventType::Normal, about, reason, action, note).await;
    }

    /// Something needs a look.
    pub async fn warning(&self, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        self.publish(EventType::Warning, about, reason, action, note).await;
    }

    /// The recorder folds events that differ only in their note into one; `action` must therefore tell apart what
    /// should be two events, such as the misses of two ticks.
    async fn publish(&self, type_: EventType, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        let note = note.chars().take(1000).collect::<String>();
        let event =
            Event { type_, reason: reason.to_owned(), action: action.to_owned(), note: Some(note), secondary: None };
        if let Err(error) = self.recorder.publish(&event, about).await {
            tracing::warn!(reason, "an event of {} was lost: {error}", about.name.as_deref().unwrap_or("?"));
        }
    }
}
