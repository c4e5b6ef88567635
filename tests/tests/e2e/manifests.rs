//! The manifests that the tests apply.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use local_aks::Facts;
use serde_json::{Value, json};
use spec::SensorKeys;

use crate::cluster::SECRET;

/// A ScoringCluster over the pool that starts empty. A namespace selector of `None` lets all namespaces use it.
pub(crate) fn cluster(facts: &Facts, name: &str, idle: &str) -> Value {
    json!({
        "apiVersion": "batchscoring.dev/v1alpha1",
        "kind": "ScoringCluster",
        "metadata": {"name": name},
        "spec": {
            "nodePool": tests::local::node_pool(facts),
            "minNodes": 0,
            "maxNodes": 3,
            "scaleDown": {"policy": "After", "after": idle},
        },
    })
}

/// A ScoringSchedule over the inputs in the store.
pub(crate) fn schedule(facts: &Facts, namespace: &str, name: &str, cluster: &str, cron: &str) -> Value {
    json!({
        "apiVersion": "batchscoring.dev/v1alpha1",
        "kind": "ScoringSchedule",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "clusterRef": {"name": cluster},
            "schedule": cron,
            "store": {"url": facts.store_url, "secretRef": {"name": SECRET}},
            "model": {"path": "models/model_{device}_{tag}"},
            "data": {"path": "data/sensor_data.csv"},
            "scorer": {"resources": {"requests": {"cpu": "500m", "memory": "64Mi"}}},
        },
    })
}

/// Resources with which an item takes its time.
pub(crate) fn slow() -> Value {
    json!({"requests": {"cpu": "20m"}, "limits": {"cpu": "20m"}})
}

/// Resources of which a node has room for one pod: of twelve items, at most three are at work at once.
pub(crate) fn whole_node() -> Value {
    json!({"requests": {"cpu": "1500m"}})
}

/// A ScoringRun made by hand.
pub(crate) fn run_now(namespace: &str, name: &str, schedule: &str) -> Value {
    json!({
        "apiVersion": "batchscoring.dev/v1alpha1",
        "kind": "ScoringRun",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"scheduleName": schedule},
    })
}

/// Scores these sensors only.
pub(crate) fn with_sensors(mut schedule: Value, sensors: &[SensorKeys]) -> Value {
    schedule["spec"]["sensors"] = json!({"list": sensors});
    schedule
}

/// A cron expression that is due once, at a minute.
pub(crate) fn once_at(minute: Timestamp) -> String {
    minute.to_zoned(TimeZone::UTC).strftime("%-M %-H %-d %-m *").to_string()
}

/// The next full minute that leaves time to apply a manifest.
pub(crate) fn next_minute(now: Timestamp) -> Timestamp {
    let soon = now.as_second() + 5;
    Timestamp::from_second((soon / 60 + 1) * 60).unwrap_or(now)
}
