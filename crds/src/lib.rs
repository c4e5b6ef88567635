//! API types of the three custom resources, `batchscoring.dev/v1alpha1`. No logic but defaults and validation rules.
#![deny(missing_docs)]
// KubeSchema repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

pub mod cluster;
pub mod condition;
pub mod cost;
pub mod pool;
pub mod prewarm;
pub mod run;
pub mod schedule;
pub mod scorer;
mod terse;

pub use cluster::{ScoringCluster, ScoringClusterSpec, ScoringClusterStatus};
pub use condition::Condition;
pub use cost::{Budget, OnExceed, Price};
pub use pool::{AksPool, ExternalPool, NodePool};
pub use prewarm::Prewarm;
pub use run::{ScoringRun, ScoringRunSpec, ScoringRunStatus};
pub use schedule::{ScoringSchedule, ScoringScheduleSpec, ScoringScheduleStatus};
pub use scorer::Scorer;

/// The API group.
pub const GROUP: &str = "batchscoring.dev";

/// Labels, annotations and the taint that the product puts on objects.
pub mod names {
    /// Label of a run's children: the run's name.
    pub const RUN: &str = "batchscoring.dev/run";
    /// Label of a schedule's children: the schedule's name.
    pub const SCHEDULE: &str = "batchscoring.dev/schedule";
    /// Label of pods: `plan`, `item`, `archive` or `placeholder`.
    pub const ROLE: &str = "batchscoring.dev/role";
    /// Taint key of a pool's nodes, and label of its runs' children: the ScoringCluster's name.
    pub const POOL: &str = "batchscoring.dev/pool";
    /// Scheduling gate of an item's pod: it is taken away when the pod's run has a slot for it.
    pub const SLOT_GATE: &str = "batchscoring.dev/slot";
    /// Annotation of a run that was cancelled for the run of a later tick: that run's name.
    pub const REPLACED_BY: &str = "batchscoring.dev/replaced-by";
    /// The finalizer that holds a run until it is archived.
    pub const FINALIZER: &str = "batchscoring.dev/archive";
    /// The finalizer that holds a ScoringCluster while its pool has nodes.
    pub const NODES_FINALIZER: &str = "batchscoring.dev/nodes";
    /// AKS' label of a node: its agent pool.
    pub const AGENT_POOL: &str = "kubernetes.azure.com/agentpool";
    /// AKS' taint of a node of a spot pool.
    pub const SPOT: &str = "kubernetes.azure.com/scalesetpriority";
}
