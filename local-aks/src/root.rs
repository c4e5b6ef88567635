//! Where things are: the names and addresses of a local cluster, and the folders it keeps.

use std::path::{Path, PathBuf};

/// The host's address on the bridge: pods, nodes and this machine reach everything there.
pub(crate) const HOST: &str = "10.244.0.1";
/// Addresses of pods; node N gives out `10.244.N.0/24` of it.
pub(crate) const POD_NETWORK: &str = "10.244.0.0/16";
/// The bridge that every pod of every node hangs on.
pub(crate) const BRIDGE: &str = "local-aks0";
/// Addresses of services, and the API server's own among them.
pub(crate) const SERVICE_NETWORK: &str = "10.96.0.0/16";
/// `kubernetes.default.svc`.
pub(crate) const API_SERVICE: &str = "10.96.0.1";
/// Parent of every node's control groups.
pub(crate) const CGROUP: &str = "local-aks";

pub(crate) const API_PORT: u16 = 6443;
/// Of the Resource Manager.
pub(crate) const AKS_PORT: u16 = 8443;
/// Of the token endpoint.
pub(crate) const AUTHORITY_PORT: u16 = 8444;
/// Of the control endpoints and the webhook, which are there whatever is down.
pub(crate) const CONTROL_PORT: u16 = 8445;
pub(crate) const REGISTRY_PORT: u16 = 5000;
/// That of a registry which a test may start.
pub(crate) const OTHER_REGISTRY_PORT: u16 = 5001;
pub(crate) const AZURITE_PORT: u16 = 10000;
pub(crate) const ETCD_PORT: u16 = 23790;
pub(crate) const ETCD_PEER_PORT: u16 = 23800;
/// Node N's kubelet listens on this plus N.
pub(crate) const KUBELET_PORTS: u16 = 20000;

/// The folder of a local cluster.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(path: &Path) -> anyhow::Result<Self> {
        // Absolute, since processes with other working folders get to see it.
        Ok(Self(std::path::absolute(path)?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Built tools; kept by `down`.
    pub(crate) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// A built tool.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// What the tools are built from.
    pub(crate) fn build(&self) -> PathBuf {
        self.0.join("build")
    }

    /// Azurite's code; kept by `down`.
    pub(crate) fn azurite(&self) -> PathBuf {
        self.0.join("azurite")
    }

    /// Kafka's code; kept by `down`.
    pub(crate) fn kafka(&self) -> PathBuf {
        self.0.join("kafka")
    }

    /// Logs of the last cluster; kept by `down`, so that one can see what went wrong.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Everything else that a cluster writes; `down` removes it.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.run().join("pki")
    }

    pub(crate) fn node(&self, name: &str) -> PathBuf {
        self.run().join("nodes").join(name)
    }

    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.run().join(format!("{user}.kubeconfig"))
    }

    /// The facts of a cluster that is up.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }
}
