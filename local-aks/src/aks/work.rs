//! What an operation asks of the machines and nodes, and what became of it.

use std::collections::BTreeMap;

use super::MachineSpec;
use super::error::Failure;
use super::properties::{Properties, Taint};

/// What is to be done with machines and nodes now that its time has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) operation: String,
    pub(super) delete: Vec<String>,
    /// Stopped, and kept.
    pub(super) deallocate: Vec<String>,
    /// Deallocated ones that are needed again.
    pub(super) start: Vec<MachineSpec>,
    pub(super) create: Vec<MachineSpec>,
    pub(super) restyle: Option<Restyle>,
}

impl Work {
    /// Both in one.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.delete.extend(other.delete);
        self.deallocate.extend(other.deallocate);
        self.start.extend(other.start);
        self.create.extend(other.create);
        self.restyle = self.restyle.or(other.restyle);
        self
    }
}

/// A change of labels and taints on nodes that exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Restyle {
    pub(super) nodes: Vec<String>,
    pub(super) remove_taints: Vec<Taint>,
    pub(super) add_taints: Vec<Taint>,
    pub(super) remove_labels: Vec<String>,
    pub(super) add_labels: BTreeMap<String, String>,
}

/// What became of a [`Work`].
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) created: Vec<String>,
    pub(super) started: Vec<String>,
    pub(super) deallocated: Vec<String>,
    pub(super) deleted: Vec<String>,
    pub(super) error: Option<Failure>,
}

impl Restyle {
    /// None where nothing about the nodes changes.
    pub(super) fn between(pool: &str, old: &Properties, new: &Properties, nodes: Vec<String>) -> Option<Self> {
        let taints = |properties: &Properties| -> Vec<Taint> {
            properties.node_taints().iter().filter_map(|text| Taint::parse(text)).collect()
        };
        let (old_taints, new_taints) = (taints(old), taints(new));
        let (old_labels, new_labels) = (old.node_labels(pool), new.node_labels(pool));
        if nodes.is_empty() || (old_taints == new_taints && old_labels == new_labels) {
            return None;
        }
        Some(Self {
            nodes,
            remove_taints: old_taints.iter().filter(|taint| !new_taints.contains(taint)).cloned().collect(),
            add_taints: new_taints.into_iter().filter(|taint| !old_taints.contains(taint)).collect(),
            remove_labels: old_labels.keys().filter(|key| !new_labels.contains_key(*key)).cloned().collect(),
            add_labels: new_labels.into_iter().filter(|(key, value)| old_labels.get(key) != Some(value)).collect(),
        })
    }
}
