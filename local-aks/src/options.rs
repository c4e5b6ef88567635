//! What the local cluster is to be like, and where it keeps what it makes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aks::faults::FaultOrder;
use crate::aks::{Delay, Rate};

/// What the machines of user pools are. The system node is always real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// containerd and kubelet each: pods really run.
    #[default]
    Real,
    /// Node objects that kwok plays: pods start and complete without running, by the thousand.
    Kwok,
}

/// How to bring the local cluster up.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Everything is kept below this folder: tools, state, logs.
    pub root: PathBuf,
    /// How long a new machine takes before it starts, as a virtual machine would; drawn for each.
    pub provisioning: Delay,
    /// Seeds what is random: how long machines take, which go, and their names.
    pub seed: u64,
    /// Whether the user pool is one of spot machines.
    pub spot: bool,
    /// The bucket of each pool's PUTs.
    pub put_bucket: Rate,
    /// The bucket of all other requests to the agentPools API.
    pub request_bucket: Rate,
    /// What goes wrong from the start.
    pub faults: FaultOrder,
    /// What machines of user pools are.
    pub nodes: NodeKind,
    /// Allocatable CPUs of a node. A machine with fewer CPUs gives all it has.
    pub node_cpus: u32,
    /// Allocatable memory of a node, in MiB.
    pub node_memory_mib: u64,
    /// kwok only: how long a pod of a Job takes to complete; drawn for each. Not log-normal, which kwok cannot draw.
    pub kwok_pod_duration: Delay,
}

impl Default for Options {
    fn default() -> Self {
        let aks = crate::aks::Settings::default();
        Self {
            root: default_root(),
            provisioning: aks.provisioning,
            seed: 0,
            spot: false,
            put_bucket: aks.put_bucket,
            request_bucket: aks.request_bucket,
            faults: FaultOrder::default(),
            nodes: NodeKind::Real,
            node_cpus: 2,
            node_memory_mib: 2048,
            kwok_pod_duration: Duration::from_secs(5).into(),
        }
    }
}

/// `local-aks/` in cargo's target folder; `LOCAL_AKS_ROOT` overrides it.
#[must_use]
pub fn default_root() -> PathBuf {
    if let Some(root) = std::env::var_os("LOCAL_AKS_ROOT") {
        return PathBuf::from(root);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join("target"),
        PathBuf::from,
    );
    target.join("local-aks")
}
