//! The nodes: real ones for pods that run, fake ones for scale.

pub(crate) mod files;
pub(crate) mod kwok;
pub(crate) mod real;

use anyhow::Context;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::DeleteParams;

use crate::machines::{MachineSpec, Machines};
use crate::options::NodeKind;

/// Deletes a Node, as AKS' cloud controller does for a machine that is gone.
pub(crate) async fn delete_node(client: &kube::Client, name: &str) -> anyhow::Result<()> {
    match Api::<Node>::all(client.clone()).delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot delete the Node {name}")),
        Ok(_) => Ok(()),
    }
}

/// Real machines for the system pool, and of the kind asked for in all others.
pub(crate) struct Fleet {
    pub(crate) kind: NodeKind,
    pub(crate) real: real::RealMachines,
    pub(crate) kwok: kwok::KwokMachines,
}

#[async_trait::async_trait]
impl Machines for Fleet {
    async fn create(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        if self.kind == NodeKind::Kwok && machine.pool != crate::daemon::SYSTEM_POOL {
            return self.kwok.create(machine).await;
        }
        self.real.create(machine).await
    }

    async fn stop(&self, name: &str) -> anyhow::Result<()> {
        // Whatever it is: no process has a fake node's name, and kwok has nothing of a real one's.
        self.real.stop(name).await?;
        self.kwok.stop(name).await
    }

    async fn start(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        if self.kind == NodeKind::Kwok && machine.pool != crate::daemon::SYSTEM_POOL {
            return self.kwok.start(machine).await;
        }
        self.real.start(machine).await
    }

    async fn delete(&self, name: &str) -> anyhow::Result<()> {
        // Whatever it is: of a fake node there is only the Node.
        self.real.delete(name).await
    }
}
