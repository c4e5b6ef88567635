//! The nodes of a ScoringCluster.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The nodes of a ScoringCluster: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum NodePool {
    /// An AKS agent pool, whose node count the operator owns.
    Aks(AksPool),
    /// Nodes that somebody else adds and removes, or that are always there.
    External(ExternalPool),
}

impl NodePool {
    /// The agent pool, if it is one.
    #[must_use]
    pub fn aks(&self) -> Option<&AksPool> {
        match self {
            Self::Aks(pool) => Some(pool),
            Self::External(_) => None,
        }
    }
}

/// Which nodes there are: `aks`, an agent pool whose node count the operator owns, or `external`, nodes that somebody else
/// adds and removes, or that are always there.
#[derive(Clone, Debug, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.aks) != has(self.external)").message("nodePool is either aks or external: name one of them")
)]
#[serde(rename_all = "camelCase")]
struct Fields {
    /// An AKS agent pool. The operator owns its node count; AKS autoscaling must be off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aks: Option<AksPool>,
    /// Nodes that are somebody else's: fixed ones, or those of cluster-autoscaler, Karpenter or node auto-provisioning. The
    /// operator never adds, cordons, taints or deletes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<ExternalPool>,
}

/// It is not said which nodes, or in two ways.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is either aks or external; write one of them")]
pub struct NotOne;

impl TryFrom<Fields> for NodePool {
    type Error = NotOne;

    fn try_from(fields: Fields) -> Result<Self, NotOne> {
        match (fields.aks, fields.external) {
            (Some(pool), None) => Ok(Self::Aks(pool)),
            (None, Some(pool)) => Ok(Self::External(pool)),
            _ => Err(NotOne),
        }
    }
}

impl From<NodePool> for Fields {
    fn from(pool: NodePool) -> Self {
        match pool {
            NodePool::Aks(pool) => Self { aks: Some(pool), external: None },
            NodePool::External(pool) => Self { aks: None, external: Some(pool) },
        }
    }
}

/// An agent pool of an AKS cluster, of mode User.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AksPool {
    /// The subscription's id.
    #[schemars(length(min = 36, max = 36), regex(pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub subscription_id: String,
    /// The resource group of the managed cluster.
    #[schemars(length(min = 1, max = 90))]
    pub resource_group: String,
    /// The managed cluster's name.
    #[schemars(length(min = 1, max = 63))]
    pub cluster_name: String,
    /// The agent pool's name.
    #[schemars(length(min = 1, max = 12), regex(pattern = "^[a-z][a-z0-9]{0,11}$"))]
    pub agent_pool: String,
}

/// Nodes that somebody else adds and removes, or that are always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPool {
    /// The labels of its nodes, all of them, such as `{karpenter.sh/nodepool: scoring}`: one at least. Scorer pods get it
    /// as their nodeSelector.
    #[schemars(extend(
        "minProperties" = 1, "maxProperties" = 16,
        "additionalProperties" = {
            "type": "string", "maxLength": 63, "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
        }
    ))]
    pub node_selector: BTreeMap<String, String>,
}
