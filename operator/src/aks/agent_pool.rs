//! An agent pool as AKS tells it: the whole object is kept, so that a PUT changes only what it means to change.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error_body::ErrorBody;

/// States in which no operation is under way.
const AT_REST: [&str; 3] = ["Succeeded", "Failed", "Canceled"];

/// An agent pool: the object of the API, unknown fields included, and its ETag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentPool {
    object: Map<String, Value>,
    /// The ETag of the answer that this came with.
    #[serde(skip)]
    etag: Option<String>,
}

impl AgentPool {
    /// An object of the API.
    #[must_use]
    pub fn new(object: Map<String, Value>, etag: Option<String>) -> Self {
        Self { object, etag }
    }

    /// The whole object.
    #[must_use]
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// The ETag under which it was read: the property, or else the header, of which the API's documentation says nothing.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.text("eTag").or(self.etag.as_deref())
    }

    /// How many nodes the pool should have.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.get("count").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
    }

    /// `Succeeded`, `Scaling`, `Failed`, …
    #[must_use]
    pub fn provisioning_state(&self) -> &str {
        self.text("provisioningState").unwrap_or_default()
    }

    /// Whether an operation is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.text("provisioningState").is_some_and(|state| !AT_REST.contains(&state))
    }

    /// Whether the last operation failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.provisioning_state() == "Failed"
    }

    /// Whether the last operation gave way to another one.
    #[must_use]
    pub fn was_canceled(&self) -> bool {
        self.provisioning_state() == "Canceled"
    }

    /// Why the last operation failed, where AKS keeps it.
    #[must_use]
    pub fn failure(&self) -> Option<ErrorBody> {
        Some(ErrorBody::read(self.get("status")?.get("provisioningError")?))
    }

    /// The same pool while an operation is under way that was just accepted; its ETag is not known.
    #[must_use]
    pub fn under_way(mut self) -> Self {
        self.etag = None;
        self.object.remove("eTag");
        if let Some(properties) = self.object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.remove("eTag");
            properties.insert("provisioningState".into(), json!("Updating"));
        }
        self
    }

    /// The size of its machines.
    #[must_use]
    pub fn vm_size(&self) -> Option<&str> {
        self.text("vmSize")
    }

    /// Whether it runs the cluster's own pods.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.text("mode") == Some("System")
    }

    /// Whether AKS scales it.
    #[must_use]
    pub fn is_autoscaled(&self) -> bool {
        self.get("enableAutoScaling").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether it is made of single virtual machines of several sizes, which have no common count.
    #[must_use]
    pub fn is_of_virtual_machines(&self) -> bool {
        self.text("type") == Some("VirtualMachines")
    }

    /// Whether it is stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.get("powerState").and_then(|state| state.get("code")).and_then(Value::as_str) == Some("Stopped")
    }

    /// Whether nodes that go are kept, deallocated: they stay registered and are not Ready.
    #[must_use]
    pub fn deallocates(&self) -> bool {
        self.text("scaleDownMode") == Some("Deallocate")
    }

    /// Whether its nodes get this taint (`key=value:Effect`).
    #[must_use]
    pub fn has_taint(&self, taint: &str) -> bool {
        self.taints().any(|its| its == taint)
    }

    /// The taints that its nodes get (`key=value:Effect`).
    pub fn taints(&self) -> impl Iterator<Item = &str> {
        self.get("nodeTaints").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The same pool with another count, and with the taint instead of any other of its key: what a PUT writes.
    #[must_use]
    pub fn with(&self, count: u32, taint: &str) -> Self {
        let mut next = self.clone();
        let has_taint = self.has_taint(taint);
        let properties = next.object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("count".into(), json!(count));
            if !has_taint {
                let taints = properties.entry("nodeTaints").or_insert_with(|| json!([]));
                let key = taint.split('=').next().unwrap_or(taint);
                let same_key = |other: &Value| other.as_str().is_some_and(|other| other.split('=').next() == Some(key));
                match taints.as_array_mut() {
                    Some(taints) => {
                        // A pool that belonged to another ScoringCluster before still carries that one's.
                        taints.retain(|other| !same_key(other));
                        taints.push(json!(taint));
                    }
                    None => *taints = json!([taint]),
                }
            }
        }
        next
    }

    fn get(&self, property: &str) -> Option<&Value> {
        self.object.get("properties")?.get(property)
    }

    fn text(&self, property: &str) -> Option<&str> {
        self.get(property)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(properties: &Value) -> AgentPool {
        serde_json::from_value(json!({ "name": "scoring", "properties": properties })).unwrap()
    }

    #[test]
    fn a_change_touches_nothing_but_count_and_taint() {
        let before = pool(&json!({ "count": 1, "madeUpLater": { "a": [1] }, "nodeTaints": ["x=y:NoSchedule"] }));
        let after = before.with(3, "p=q:NoSchedule");
        let expected =
            json!({ "count": 3, "madeUpLater": { "a": [1] }, "nodeTaints": ["x=y:NoSchedule", "p=q:NoSchedule"] });
        assert_eq!(after, pool(&expected));
        assert_eq!(after.with(3, "p=q:NoSchedule"), after);
        assert_eq!(
            pool(&json!({ "nodeTaints": null })).with(1, "p=q:NoSchedule"),
            pool(&json!({ "count": 1, "nodeTaints": ["p=q:NoSchedule"] }))
        );
    }

    #[test]
    fn a_pool_of_a_former_owner_gets_the_new_ones_taint_instead() {
        let before = pool(&json!({ "count": 0, "nodeTaints": ["p=old:NoSchedule", "pq=r:NoSchedule"] }));
        let after = pool(&json!({ "count": 0, "nodeTaints": ["pq=r:NoSchedule", "p=new:NoSchedule"] }));
        assert_eq!(before.with(0, "p=new:NoSchedule"), after);
    }

    #[test]
    fn a_state_that_we_do_not_know_counts_as_an_operation() {
        for (state, running) in
            [("Succeeded", false), ("Failed", false), ("Canceled", false), ("Scaling", true), ("New", true)]
        {
            assert_eq!(pool(&json!({ "provisioningState": state })).is_running(), running, "{state}");
        }
        assert!(!pool(&json!({})).is_running(), "none is none");
    }
}
