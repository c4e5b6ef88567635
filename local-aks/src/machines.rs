//! The machines behind the agent pools: what the agentPools API asks for and the node side provides.

use std::collections::BTreeMap;

/// One machine that a pool wants.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MachineSpec {
    /// Name of the machine and of its Node, as AKS names them: `aks-<pool>-<8 digits>-vmss<6 base36>`.
    pub name: String,
    /// The agent pool that it belongs to.
    pub pool: String,
    /// Every label that the Node gets at registration.
    pub labels: BTreeMap<String, String>,
    /// Taints at registration, as AKS writes them: `key=value:Effect`.
    pub taints: Vec<String>,
    /// Azure's name of the size, e.g. `Standard_D2s_v5`; shown as the Node's instance type.
    pub vm_size: String,
    /// What comes of its Node.
    #[serde(default)]
    pub becomes: Becomes,
}

/// What comes of a machine's Node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Becomes {
    /// It registers and is Ready, as it should.
    #[default]
    Ready,
    /// It registers and stays NotReady.
    NotReady,
    /// It never registers.
    Nothing,
}

/// Makes, stops, starts and deletes machines. Calls for different machines may run side by side.
#[async_trait::async_trait]
pub trait Machines: Send + Sync {
    /// Starts a machine. Returns when its Node is what it [becomes](MachineSpec::becomes); after an error nothing of it
    /// is left.
    async fn create(&self, machine: &MachineSpec) -> anyhow::Result<()>;

    /// Stops a machine at once, as an evicted virtual machine stops, and leaves its Node: nobody has told Kubernetes.
    async fn stop(&self, name: &str) -> anyhow::Result<()>;

    /// Starts a machine that was stopped: the same Node is what it [becomes](MachineSpec::becomes) again. One whose Node
    /// somebody deleted registers anew.
    async fn start(&self, machine: &MachineSpec) -> anyhow::Result<()>;

    /// Stops a machine at once, as a deleted virtual machine stops: pods are killed, not drained. Then deletes its
    /// Node, as AKS' cloud controller does. A machine that does not exist is deleted already.
    async fn delete(&self, name: &str) -> anyhow::Result<()>;
}
