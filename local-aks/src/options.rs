//! What the local cluster is to be like, and where it keeps what it makes.

use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// How long a new machine takes before it starts, as a virtual machine would.
    pub provisioning: Duration,
    /// What machines of user pools are.
    pub nodes: NodeKind,
    /// Allocatable CPUs of a node. A machine with fewer CPUs gives all it has.
    pub node_cpus: u32,
    /// Allocatable memory of a node, in MiB.
    pub node_memory_mib: u64,
    /// kwok only: how long a pod takes to complete.
    pub kwok_pod_duration: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root: default_root(),
            provisioning: Duration::from_secs(20),
            nodes: NodeKind::Real,
            node_cpus: 2,
            node_memory_mib: 2048,
            kwok_pod_duration: Duration::from_secs(5),
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
