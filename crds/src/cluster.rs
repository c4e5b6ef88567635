//! ScoringCluster: a pool of nodes and its policy.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::Span;

use crate::cost::PoolCost;
use crate::{Budget, Condition, NodePool, Prewarm, Price};

/// A pool of nodes and its policy: who may use it, how far it grows, when its nodes go.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "batchscoring.dev",
    version = "v1alpha1",
    kind = "ScoringCluster",
    doc = "A pool of nodes and its policy: who may use it, how far it grows, when its nodes go.",
    status = "ScoringClusterStatus",
    shortname = "scl",
    category = "batchscoring",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a ScoringCluster is a DNS label of at most 63 characters: a-z, 0-9 and -, because it is a label and a taint of its nodes"),
    printcolumn(name = "MIN", type_ = "integer", json_path = ".spec.minNodes"),
    printcolumn(name = "MAX", type_ = "integer", json_path = ".spec.maxNodes"),
    printcolumn(name = "NODES", type_ = "integer", json_path = ".status.nodes.ready"),
    printcolumn(name = "DESIRED", type_ = "integer", json_path = ".status.nodes.desired"),
    printcolumn(name = "BUSY", type_ = "integer", json_path = ".status.nodes.busy"),
    printcolumn(name = "SLOTS", type_ = "integer", json_path = ".status.slots.given"),
    printcolumn(name = "WAITING", type_ = "integer", json_path = ".status.slots.waiting"),
    printcolumn(name = "READY", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "COST", type_ = "string", json_path = ".status.cost.cost", priority = 1),
    printcolumn(name = "REASON", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.minNodes <= self.maxNodes").message("minNodes must not be greater than maxNodes"),
    validation = Rule::new("!has(self.nodePool.external) || self.minNodes == 0").message("minNodes is for nodePool.aks: how many nodes of an external pool there are is their owner's to say; leave it out"),
    validation = Rule::new("self.nodePool == oldSelf.nodePool").message("nodePool is fixed once created, since the nodes of another pool would stay behind; delete this ScoringCluster and create another"),
    validation = Rule::new("!has(self.scaleDown) || !has(self.scaleDown.after) || !has(self.scaleDown.policy) || self.scaleDown.policy == 'After'").message("scaleDown.after is how long a node stays idle with policy After; leave it out, or set policy: After"),
    validation = Rule::new("!has(self.nodeCapacity) || self.nodeCapacity.all(r, isQuantity(self.nodeCapacity[r]) && !quantity(self.nodeCapacity[r]).isLessThan(quantity('0')))").message("nodeCapacity values are quantities such as 3800m or 12Gi, and not negative"),
    validation = Rule::new("!has(self.budget) || has(self.price)").message("budget needs price.nodeHour, which says what a node costs; for a budget in node-hours write price: {nodeHour: 1, currency: hours}")
)]
#[serde(rename_all = "camelCase")]
pub struct ScoringClusterSpec {
    /// The nodes. Fixed once created.
    pub node_pool: NodePool,
    /// Which namespaces' schedules may use the pool. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Nodes that are always there. Default 0. Not for an external pool.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub min_nodes: u32,
    /// The most nodes there may be. Of an external pool: how many nodes work may take; where nobody adds nodes, how many
    /// there are.
    #[schemars(range(max = 1000))]
    pub max_nodes: u32,
    /// What a node has for scorer pods, such as `{cpu: "3800m", memory: 12Gi}`. Absent: learned from the last node
    /// seen (allocatable minus DaemonSets); none seen yet: one node is started to learn it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 64}))]
    pub node_capacity: Option<BTreeMap<String, String>>,
    /// When an idle node goes. Not used for an external pool.
    #[serde(default)]
    pub scale_down: ScaleDown,
    /// How long before a tick its nodes are asked for: `Auto` (as long as 95 of a hundred nodes take to come, as
    /// measured), `Off` (when work waits), or a duration such as `5m`. Nodes of an external pool are held by placeholder
    /// pods, for which whoever scales the pool adds nodes. Default: `Auto` for an agent pool, `Off` for an external one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prewarm: Option<Prewarm>,
    /// What a node costs. Absent: node-seconds are told, and no money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What the nodes may cost. Absent: nobody is told, and nothing stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// True: no new slots are given and no nodes are added; running pods end.
    #[serde(default)]
    pub paused: bool,
}

impl ScoringClusterSpec {
    /// How long before a tick its nodes are asked for.
    #[must_use]
    pub fn prewarm(&self) -> Prewarm {
        let usual = if self.node_pool.aks().is_some() { Prewarm::Auto } else { Prewarm::Off };
        self.prewarm.unwrap_or(usual)
    }
}

/// When an idle node goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDown {
    /// `BreakEven`: at once, unless the next tick's work is closer than it takes to let the node go and get another; after
    /// a run that no tick foretold, once idle for that long. `After`: once idle for `after`. `Never`: idle nodes stay.
    /// Default: `After` where `after` is there, else `BreakEven`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ScaleDownPolicy>,
    /// How long a node stays idle before it goes, with `After`. Default `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
}

impl ScaleDown {
    /// When an idle node goes.
    #[must_use]
    pub fn policy(&self) -> ScaleDownPolicy {
        let usual = if self.after.is_some() { ScaleDownPolicy::After } else { ScaleDownPolicy::BreakEven };
        self.policy.unwrap_or(usual)
    }
}

/// When an idle node goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScaleDownPolicy {
    /// When keeping it would cost more than letting it go and getting another.
    BreakEven,
    /// Once it has been idle for `after`.
    After,
    /// Never.
    Never,
}

/// What is known of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoringClusterStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Nodes by state.
    #[serde(default)]
    pub nodes: NodeCounts,
    /// Room for scorer pods.
    #[serde(default)]
    pub slots: SlotCounts,
    /// The first runs with items that wait for a slot, by priority, then by age. Between runs of one priority, the one with the
    /// smallest part of the pool gets the next slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub queue: Vec<QueuedRun>,
    /// What a node has for scorer pods, as learned from the last node seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_capacity: Option<BTreeMap<String, String>>,
    /// The VM size of which that was learned. Where the agent pool's is another, it is learned anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_vm_size: Option<String>,
    /// How long nodes take to come and to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<ProvisioningStatus>,
    /// The next work that a tick is going to bring, where `prewarm` or `BreakEven` look ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_demand: Option<NextDemand>,
    /// What the nodes cost, this month so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<PoolCost>,
    /// Since when each idle node has been idle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub idle_since: BTreeMap<String, Timestamp>,
    /// The agent pool as AKS last told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_pool: Option<AgentPoolStatus>,
    /// What is left of the request bucket for PUTs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_bucket: Option<BucketStatus>,
    /// `Ready`, `Scaling`, `Degraded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Nodes by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// Nodes that the operator wants.
    pub desired: u32,
    /// Nodes asked for and not yet Ready.
    pub provisioning: u32,
    /// Ready nodes.
    pub ready: u32,
    /// Nodes with scorer pods.
    pub busy: u32,
    /// Ready nodes without scorer pods.
    pub idle: u32,
    /// Cordoned nodes that are about to go.
    pub draining: u32,
    /// Nodes that have not been Ready for so long that their pods are replaced on others.
    #[serde(default)]
    pub lost: u32,
}

/// Room for scorer pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotCounts {
    /// Slots given to runs.
    pub given: u32,
    /// Items that wait for a slot.
    pub waiting: u32,
    /// Slots of `maxNodes` nodes (less those that take no pods while some are on them), were all pods like those of the first
    /// run by priority and age. Absent while no run has items, and until it is known what a node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
}

/// A run with items that wait for a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueuedRun {
    /// The run: `namespace/name`.
    pub run: String,
    /// Its schedule's priority.
    pub priority: i32,
    /// Slots that it has.
    pub slots: u32,
    /// Items that wait for one.
    pub waiting: u32,
}

/// Of how many runs `status.queue` tells.
pub const QUEUE: usize = 10;

/// How long nodes take to come and to go. Below 20 samples, a guess counts for those that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningStatus {
    /// Half of all nodes are Ready so many seconds after they were asked for.
    pub p50_seconds: u32,
    /// 95 of a hundred are.
    pub p95_seconds: u32,
    /// Half of all nodes are gone so many seconds after it was decided to let them go.
    pub drain_seconds: u32,
    /// The latest measured times to come, in seconds, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub come: Vec<u32>,
    /// The latest measured times to go, in seconds, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub go: Vec<u32>,
}

/// Work that a tick is going to bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextDemand {
    /// The schedule: `namespace/name`.
    pub schedule: String,
    /// When its run starts.
    pub at: Timestamp,
    /// How many pods it had at a time when it ran last.
    pub pods: u32,
}

/// The agent pool as AKS last told it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentPoolStatus {
    /// The pool's count.
    pub count: u32,
    /// `Succeeded`, `Updating`, `Scaling`, `Failed`, …
    pub provisioning_state: String,
    /// The taints of its nodes (`key=value:Effect`), all of which scorer pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub node_taints: Vec<String>,
}

/// A token bucket as it stood at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketStatus {
    /// Requests left.
    pub left: u32,
    /// When that was so.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(pool: &Value, more: &Value) -> ScoringClusterSpec {
        let mut spec = json!({"nodePool": pool, "maxNodes": 3});
        more.as_object().unwrap().iter().for_each(|(name, value)| spec[name] = value.clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn an_agent_pool_has_warm_nodes_unless_told_otherwise_and_somebody_elses_nodes_only_when_told() {
        let aks = json!({"aks": {"subscriptionId": "", "resourceGroup": "", "clusterName": "", "agentPool": "p"}});
        let external = json!({"external": {"nodeSelector": {"disk": "ssd"}}});
        let of = |pool: &Value, more: &Value| spec(pool, more).prewarm();
        assert_eq!((of(&aks, &json!({})), of(&external, &json!({}))), (Prewarm::Auto, Prewarm::Off));
        assert_eq!(of(&aks, &json!({"prewarm": "Off"})), Prewarm::Off);
        assert_eq!(of(&external, &json!({"prewarm": "Auto"})), Prewarm::Auto);
    }

    #[test]
    fn who_says_how_long_a_node_stays_idle_means_it() {
        let of = |scale_down: Value| serde_json::from_value::<ScaleDown>(scale_down).unwrap().policy();
        assert_eq!(of(json!({})), ScaleDownPolicy::BreakEven);
        assert_eq!(of(json!({"after": "5m"})), ScaleDownPolicy::After);
        assert_eq!(of(json!({"policy": "After"})), ScaleDownPolicy::After);
        assert_eq!(of(json!({"policy": "Never"})), ScaleDownPolicy::Never);
    }
}
