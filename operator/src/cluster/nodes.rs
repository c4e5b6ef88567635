//! Which nodes are a pool's.

use std::collections::BTreeMap;
use std::fmt;

use crds::{NodePool, ScoringCluster, names};
use k8s_openapi::api::core::v1::{Node, Toleration};

use crate::context::name_of;

/// Taints that Kubernetes puts on nodes for their condition, and takes away again.
const CONDITIONS: &str = "node.kubernetes.io/";

/// Which nodes are a pool's: those with all of these labels, none where no label is named. Of nodes that are somebody else's,
/// those do not count whose taints keep scorer pods away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolNodes {
    labels: BTreeMap<String, String>,
    /// The ScoringCluster whose taint its pods tolerate, where taints are looked at.
    tolerate: Option<String>,
    /// The taints of an agent pool, as AKS last told: it is the scorer pods' own, whatever else is kept off it.
    taints: Vec<String>,
}

impl PoolNodes {
    /// Those of a cluster.
    #[must_use]
    pub(crate) fn of(cluster: &ScoringCluster) -> Self {
        match &cluster.spec.node_pool {
            NodePool::Aks(aks) => {
                let told = cluster.status.as_ref().and_then(|status| status.agent_pool.as_ref());
                let taints = told.map(|pool| pool.node_taints.clone()).unwrap_or_default();
                let labels = [(names::AGENT_POOL.to_owned(), aks.agent_pool.clone())].into();
                Self { labels, tolerate: None, taints }
            }
            NodePool::External(pool) => {
                let tolerate = Some(name_of(cluster).to_owned());
                Self { labels: pool.node_selector.clone(), tolerate, taints: Vec::new() }
            }
        }
    }

    /// Whether this node has the labels.
    #[must_use]
    pub(crate) fn select(&self, node: &Node) -> bool {
        let labels = node.metadata.labels.as_ref();
        let has = |(name, value): (&String, &String)| labels.and_then(|all| all.get(name)) == Some(value);
        !self.labels.is_empty() && self.labels.iter().all(has)
    }

    /// Whether this node is one of them.
    #[must_use]
    pub(crate) fn have(&self, node: &Node) -> bool {
        self.select(node) && self.tolerate.as_deref().is_none_or(|name| !keeps_away(node, name))
    }

    /// Those with these labels.
    #[cfg(test)]
    pub(crate) fn labelled(labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { labels, tolerate: None, taints: Vec::new() }
    }

    /// What scorer pods tolerate besides the pool's own taint and that of spot machines.
    #[must_use]
    pub(crate) fn tolerations(&self) -> Vec<Toleration> {
        let known = |key: &str| [names::POOL, names::SPOT].contains(&key);
        self.taints
            .iter()
            .filter_map(|taint| toleration(taint))
            .filter(|t| !known(t.key.as_deref().unwrap_or("")))
            .collect()
    }

    /// As a pod's `nodeSelector`.
    #[must_use]
    pub(crate) fn selector(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// Whether the nodes of one are nodes of the other too, whatever nodes there are.
    #[must_use]
    pub(super) fn include(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| a.labels.iter().all(|(name, value)| b.labels.get(name) == Some(value));
        within(self, other) || within(other, self)
    }
}

impl fmt::Display for PoolNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{name}={value}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// What tolerates a taint as AKS writes it: `key=value:Effect` or `key:Effect`.
fn toleration(taint: &str) -> Option<Toleration> {
    let (of, effect) = taint.rsplit_once(':')?;
    let (key, value) = of.split_once('=').unwrap_or((of, ""));
    let text = |text: &str| Some(text.to_owned());
    let operator = text("Equal");
    Some(Toleration { key: text(key), operator, value: text(value), effect: text(effect), toleration_seconds: None })
}

/// Whether the node has a taint, but for those of its condition, that keeps away the scorer pods of this ScoringCluster.
fn keeps_away(node: &Node, name: &str) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let harmless = |key: &str, value: Option<&str>, effect: &str| {
        effect == "PreferNoSchedule"
            || key.starts_with(CONDITIONS)
            || key == names::POOL && effect == "NoSchedule" && value == Some(name)
    };
    taints.iter().any(|taint| !harmless(&taint.key, taint.value.as_deref(), &taint.effect))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(labels: &[(&str, &str)]) -> Node {
        let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
        serde_json::from_value(json!({ "metadata": { "name": "n", "labels": labels } })).unwrap()
    }

    #[test]
    fn a_node_is_the_pools_that_has_all_of_its_labels() {
        let of_two = PoolNodes::labelled(&[("disk", "ssd"), ("team", "plant")]);
        assert!(of_two.have(&node(&[("team", "plant"), ("disk", "ssd"), ("zone", "1")])));
        assert!(
            !of_two.have(&node(&[("team", "plant")])) && !of_two.have(&node(&[("disk", "ssd"), ("team", "sales")]))
        );
        assert!(!of_two.have(&Node::default()));
    }

    #[test]
    fn a_node_of_somebody_else_is_of_no_use_whose_taint_keeps_scorer_pods_away() {
        let external: ScoringCluster = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": { "name": "cpu" },
            "spec": { "maxNodes": 3, "nodePool": { "external": { "nodeSelector": { "disk": "ssd" } } } },
        }))
        .unwrap();
        let pool = PoolNodes::of(&external);
        let with = |key: &str, value: &str, effect: &str| {
            let mut node = node(&[("disk", "ssd")]);
            let taint = json!([{ "key": key, "value": value, "effect": effect }]);
            node.spec = Some(serde_json::from_value(json!({ "taints": taint })).unwrap());
            (pool.select(&node), pool.have(&node))
        };
        assert_eq!(with(names::POOL, "cpu", "NoSchedule"), (true, true));
        assert_eq!(with("node.kubernetes.io/unreachable", "", "NoExecute"), (true, true));
        assert_eq!(with("soft", "", "PreferNoSchedule"), (true, true));
        for (key, value) in [(names::POOL, "gpu"), ("node-role.kubernetes.io/control-plane", ""), ("a/b", "")] {
            assert_eq!(with(key, value, "NoSchedule"), (true, false), "{key}");
        }
        assert_eq!(pool.to_string(), "disk=ssd");
    }

    #[test]
    fn pods_tolerate_the_further_taints_of_their_agent_pool() {
        let aks = json!({ "subscriptionId": "s", "resourceGroup": "r", "clusterName": "c", "agentPool": "gpu" });
        let taints = ["batchscoring.dev/pool=cpu:NoSchedule", "sku=gpu:NoSchedule", "dedicated:NoExecute", "odd"];
        let of: ScoringCluster = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": { "name": "cpu" },
            "spec": { "maxNodes": 3, "nodePool": { "aks": aks } },
            "status": { "agentPool": { "count": 0, "provisioningState": "Succeeded", "nodeTaints": taints } },
        }))
        .unwrap();
        let expected = json!([
            { "key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule" },
            { "key": "dedicated", "operator": "Equal", "value": "", "effect": "NoExecute" },
        ]);
        assert_eq!(json!(PoolNodes::of(&of).tolerations()), expected);
    }

    #[test]
    fn no_node_is_of_a_pool_that_names_no_label() {
        assert!(!PoolNodes::default().have(&node(&[("disk", "ssd")])) && !PoolNodes::default().have(&Node::default()));
    }
}
