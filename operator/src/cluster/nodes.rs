//! Which nodes are a pool's.

use std::collections::BTreeMap;

use crds::{ScoringCluster, names};
use k8s_openapi::api::core::v1::Node;

/// Which nodes are a pool's: those with all of these labels. None are, where no label is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolNodes(BTreeMap<String, String>);

impl PoolNodes {
    /// Those of a cluster.
    #[must_use]
    pub(crate) fn of(cluster: &ScoringCluster) -> Self {
        let agent_pool = cluster.spec.node_pool.aks.agent_pool.clone();
        Self([(names::AGENT_POOL.to_owned(), agent_pool)].into())
    }

    /// Whether this node is one of them.
    #[must_use]
    pub(crate) fn have(&self, node: &Node) -> bool {
        let labels = node.metadata.labels.as_ref();
        !self.0.is_empty() && self.0.iter().all(|(name, value)| labels.and_then(|all| all.get(name)) == Some(value))
    }

    /// Those with these labels.
    #[cfg(test)]
    pub(crate) fn labelled(labels: &[(&str, &str)]) -> Self {
        Self(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// As a pod's `nodeSelector`.
    #[must_use]
    pub(crate) fn selector(&self) -> &BTreeMap<String, String> {
        &self.0
    }
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
    fn no_node_is_of_a_pool_that_names_no_label() {
        assert!(!PoolNodes::default().have(&node(&[("disk", "ssd")])) && !PoolNodes::default().have(&Node::default()));
    }
}
