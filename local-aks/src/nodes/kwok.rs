//! Fake nodes, by the thousand: kwok plays what kubelets would.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::process::Command;

use crate::aks::Delay;
use crate::machines::{Becomes, MachineSpec, Machines};
use crate::nodes::files::Size;
use crate::nodes::real::is_ready;
use crate::pki::Authority;
use crate::processes::{Part, start_detached};
use crate::root::Root;

/// The label by which kwok knows its nodes, and its values: played by kwok, or left alone.
const KIND: &str = "type";
const PLAYED: &str = "kwok";
const LEFT_ALONE: &str = "kwok-stopped";

/// What kwok does with nodes and pods, and when.
const STAGES: &str = include_str!("kwok.yaml");

/// Makes and deletes Nodes that kwok plays.
pub(crate) struct KwokMachines {
    client: kube::Client,
    size: Size,
}

impl KwokMachines {
    pub(crate) fn new(client: kube::Client, size: Size) -> Self {
        Self { client, size }
    }

    fn node(&self, machine: &MachineSpec) -> anyhow::Result<Node> {
        let mut labels = machine.labels.clone();
        let played = machine.becomes == Becomes::Ready;
        let own = [
            (KIND, if played { PLAYED } else { LEFT_ALONE }),
            ("kubernetes.io/hostname", &machine.name),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("node.kubernetes.io/instance-type", &machine.vm_size),
        ];
        for (name, value) in own {
            labels.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        let taints =
            machine.taints.iter().map(|taint| super::files::parse_taint(taint)).collect::<anyhow::Result<Vec<_>>>()?;
        let resources = json!({
            "cpu": self.size.cpus.to_string(), "memory": format!("{}Mi", self.size.memory_mib),
            "pods": "110", "ephemeral-storage": "100Gi",
        });
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": machine.name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "spec": {"taints": taints},
            "status": {"allocatable": resources, "capacity": resources, "conditions": conditions(played)},
        });
        Ok(serde_json::from_value(node)?)
    }

    /// Waits until kwok has made the node Ready.
    async fn until_ready(&self, name: &str) -> anyhow::Result<()> {
        let nodes = Api::<Node>::all(self.client.clone());
        let ready = kube::runtime::wait::await_condition(nodes, name, |node: Option<&Node>| node.is_some_and(is_ready));
        tokio::time::timeout(Duration::from_secs(30), ready)
            .await
            .with_context(|| format!("kwok did not make the Node {name} Ready in 30 s: see kwok.log"))??;
        Ok(())
    }
}

/// kwok sets those of the nodes that it plays. The others' say what a kubelet does whose network never comes up.
fn conditions(played: bool) -> serde_json::Value {
    if played {
        return json!([]);
    }
    let now = jiff::Timestamp::now().to_string();
    json!([{
        "type": "Ready", "status": "False", "reason": "KubeletNotReady",
        "message": "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                    message:Network plugin returns error: cni plugin not initialized",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    }])
}

#[async_trait::async_trait]
impl Machines for KwokMachines {
    async fn create(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        if machine.becomes == Becomes::Nothing {
            return Ok(());
        }
        let nodes = Api::<Node>::all(self.client.clone());
        nodes
            .create(&PostParams::default(), &self.node(machine)?)
            .await
            .with_context(|| format!("cannot make the Node {}", machine.name))?;
        if machine.becomes == Becomes::NotReady {
            return Ok(());
        }
        self.until_ready(&machine.name).await
    }

    /// kwok no longer plays the node: its lease runs out, and Kubernetes finds it silent after 40 s, as a real one.
    async fn stop(&self, name: &str) -> anyhow::Result<()> {
        let nodes = Api::<Node>::all(self.client.clone());
        let node = nodes.get_opt(name).await.with_context(|| format!("cannot read the Node {name}"))?;
        let is_played = |labels: &BTreeMap<_, _>| labels.get(KIND).is_some_and(|kind: &String| kind == PLAYED);
        if !node.and_then(|node| node.metadata.labels).is_some_and(|labels| is_played(&labels)) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({"metadata": {"labels": {KIND: LEFT_ALONE}}}));
        match nodes.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            done => done.map(drop).with_context(|| format!("cannot take the Node {name} from kwok")),
        }
    }

    async fn start(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        let nodes = Api::<Node>::all(self.client.clone());
        if machine.becomes != Becomes::Ready {
            // Nobody plays it, and it stays as silent as it is.
            return Ok(());
        }
        let patch = Patch::Merge(json!({"metadata": {"labels": {KIND: PLAYED}}}));
        match nodes.patch(&machine.name, &PatchParams::default(), &patch).await {
            Ok(_) => self.until_ready(&machine.name).await,
            Err(kube::Error::Api(status)) if status.code == 404 => self.create(machine).await,
            Err(error) => Err(error).with_context(|| format!("cannot give the Node {} to kwok", machine.name)),
        }
    }

    async fn delete(&self, name: &str) -> anyhow::Result<()> {
        super::delete_node(&self.client, name).await
    }
}

/// Starts kwok.
pub(crate) fn start(root: &Root, authority: &Authority, pods_take: Delay) -> anyhow::Result<Part> {
    let (least, most) = match pods_take {
        Delay::Fixed(span) => (span, span),
        Delay::Uniform { low, high } => (low, high),
        Delay::LogNormal { .. } => bail!("kwok draws no log-normal times for pods: give one time, or two bounds"),
    };
    let pair = authority.client("kwok", "kwok", Some("system:masters"))?;
    authority.kubeconfig(&root.kubeconfig("kwok"), &pair)?;
    let stages = root.run().join("kwok.yaml");
    let text = STAGES.replace("POD_MILLISECONDS", &least.0.as_millis().to_string());
    std::fs::write(&stages, text.replace("POD_MOST_MILLISECONDS", &most.0.as_millis().to_string()))?;
    let mut command = Command::new(root.tool("kwok"));
    command.arg("--kubeconfig").arg(root.kubeconfig("kwok")).arg("--config").arg(stages);
    command.args([&format!("--manage-nodes-with-label-selector={KIND}={PLAYED}"), "--node-lease-duration-seconds=40"]);
    // Its server is for the logs of pods that have none.
    command.args(["--server-address=", "--node-port=0"]);
    start_detached(root, "kwok", &mut command)
}
