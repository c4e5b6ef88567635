//! The warning events of an object, the only place where Kubernetes tells some things.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Client;
use kube::api::{Api, ListParams};

use crate::error::words;

/// How many events are read of one object.
const MOST: u32 = 50;

/// Reads the warning events of an object; none where they cannot be read, since nothing depends on them.
pub(super) async fn warnings(client: &Client, namespace: &str, what: &str, uid: &str) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let of_it = ListParams::default().fields(&format!("involvedObject.uid={uid},type=Warning")).limit(MOST);
    match api.list(&of_it).await {
        Ok(events) => events.items,
        Err(error) => {
            tracing::debug!(namespace, "cannot list events of {what}: {}", words(&error));
            Vec::new()
        }
    }
}

/// When an event was last seen.
pub(super) fn seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|at| at.0);
    let once = event.event_time.as_ref().map(|at| at.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|at| at.0);
    event.last_timestamp.as_ref().map(|at| at.0).or(series).or(once).or(created)
}
