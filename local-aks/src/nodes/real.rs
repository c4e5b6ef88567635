//! Real nodes: one containerd and one kubelet each, in a view of the machine of their own.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use kube::Api;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::cgroups;
use crate::command::find;
use crate::machines::{Becomes, MachineSpec, Machines};
use crate::nodes::files::{self, BIN, NODE, Size};
use crate::pki::Authority;
use crate::processes::{self, Part};
use crate::root::{HOST, Root};

/// How long containerd may take to listen, and the Node to be Ready.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts and stops real nodes.
pub(crate) struct RealMachines {
    root: Root,
    client: kube::Client,
    size: Size,
    /// Nodes that are there, and the number that is each one's alone.
    nodes: Mutex<BTreeMap<String, Running>>,
}

/// A node's number and processes.
struct Running {
    number: u8,
    parts: Vec<Part>,
}

impl RealMachines {
    pub(crate) fn new(root: Root, client: kube::Client, size: Size) -> Self {
        Self { root, client, size, nodes: Mutex::new(BTreeMap::new()) }
    }

    /// Gives the node a number that no other has.
    async fn claim(&self, name: &str) -> anyhow::Result<u8> {
        let mut nodes = self.nodes.lock().await;
        if nodes.contains_key(name) {
            bail!("the machine {name} exists already");
        }
        let number = (1..=u8::MAX).find(|number| nodes.values().all(|node| node.number != *number));
        let number = number.context("no room for another real node: 255 is the most")?;
        nodes.insert(name.to_owned(), Running { number, parts: Vec::new() });
        Ok(number)
    }

    async fn run(&self, machine: &MachineSpec, number: u8) -> anyhow::Result<()> {
        let began = Timestamp::from_second(Timestamp::now().as_second())?;
        let authority = Authority::open(&self.root)?;
        files::write(&self.root, &authority, machine, number, self.size)?;
        cgroups::make(&machine.name)?;
        let mut containerd = self.start_containerd(&machine.name)?;
        let pid = containerd.pid().context("containerd has no process id")?;
        containerd.ready(LIMIT, || async move { files::containerd_listens(pid) }).await?;
        let mut kubelet = self.start_kubelet(machine, pid)?;
        let nodes = Api::<Node>::all(self.client.clone());
        // One that never becomes Ready is as far as it gets once it has registered.
        let is_up = |node: Node| machine.becomes == Becomes::NotReady || is_ready_since(&node, began);
        let is_up = || async { nodes.get_opt(&machine.name).await.is_ok_and(|node| node.is_some_and(is_up)) };
        kubelet.ready(LIMIT, is_up).await?;
        if let Some(running) = self.nodes.lock().await.get_mut(&machine.name) {
            running.parts = vec![kubelet, containerd];
        }
        Ok(())
    }

    fn start_containerd(&self, name: &str) -> anyhow::Result<Part> {
        let folder = self.root.node(name);
        let mut command = Command::new(find("unshare").context("`unshare` is missing: install util-linux")?);
        command.args(["--mount", "--propagation", "private", "sh"]).arg(folder.join("enter.sh"));
        command.arg(&folder).arg(self.root.bin()).stdin(Stdio::null());
        processes::start(&self.root, "containerd", Some(name), &mut command)
    }

    fn start_kubelet(&self, machine: &MachineSpec, containerd: u32) -> anyhow::Result<Part> {
        let mut command = Command::new(find("nsenter").context("`nsenter` is missing: install util-linux")?);
        command.args(["--target", &containerd.to_string(), "--mount", "--", &format!("{BIN}/kubelet")]);
        command.args([
            &format!("--config={NODE}/kubelet.json"),
            &format!("--kubeconfig={NODE}/kubeconfig"),
            &format!("--hostname-override={}", machine.name),
            &format!("--node-ip={HOST}"),
            &format!("--node-labels={}", files::labels(machine)),
        ]);
        processes::start(&self.root, "kubelet", Some(&machine.name), command.stdin(Stdio::null()))
    }

    /// Ends everything of a node. The order matters: kubelet would restart containers.
    async fn end(&self, name: &str) -> anyhow::Result<()> {
        let limit = Duration::from_secs(20);
        let of_part = |part: Option<&str>| {
            let found = processes::marked().into_iter();
            let of_node = found.filter(|process| process.node.as_deref() == Some(name));
            of_node.filter(|process| part.is_none_or(|part| process.part == part)).map(|process| process.pid).collect()
        };
        processes::kill_all(limit, || of_part(Some("kubelet"))).await?;
        processes::kill_all(limit, || [of_part(None), cgroups::processes(Some(name))].concat()).await?;
        // The kernel lets go of a dead process' group a moment later.
        retry(limit, || cgroups::remove(Some(name)).map(drop)).await?;
        let folder = self.root.node(name);
        retry(limit, || match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        })
        .await
        .with_context(|| format!("cannot remove {}", folder.display()))
    }
}

#[async_trait::async_trait]
impl Machines for RealMachines {
    async fn create(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        if machine.becomes == Becomes::Nothing {
            return Ok(());
        }
        let number = self.claim(&machine.name).await?;
        let started =
            self.run(machine, number).await.with_context(|| format!("cannot start the node {}", machine.name));
        if started.is_err() {
            // The first error tells more than one of the cleaning.
            if let Err(error) = self.delete(&machine.name).await {
                tracing::warn!(node = machine.name, "cannot clean up after a failed start: {error:#}");
            }
        }
        started
    }

    async fn stop(&self, name: &str) -> anyhow::Result<()> {
        self.end(name).await.with_context(|| format!("cannot stop the node {name}"))
    }

    async fn start(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        if machine.becomes == Becomes::Nothing {
            return Ok(());
        }
        let kept = self.nodes.lock().await.get(&machine.name).map(|node| node.number);
        let number = match kept {
            Some(number) => number,
            None => self.claim(&machine.name).await?,
        };
        self.run(machine, number).await.with_context(|| format!("cannot start the node {} again", machine.name))
    }

    async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.stop(name).await?;
        crate::nodes::delete_node(&self.client, name).await?;
        // Only now may another node have its number, and with it its addresses.
        self.nodes.lock().await.remove(name);
        Ok(())
    }
}

/// Tries again until it works, or the time is up.
pub(crate) async fn retry(limit: Duration, mut attempt: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    loop {
        match attempt() {
            Err(_) if started.elapsed() < limit => tokio::time::sleep(Duration::from_millis(20)).await,
            outcome => return outcome,
        }
    }
}

/// Whether a Node is Ready.
pub(crate) fn is_ready(node: &Node) -> bool {
    ready(node).is_some()
}

/// Whether a kubelet that began to run then has said that it is Ready. A Node that is there already may still say so of
/// an earlier one: that it is silent shows only after 40 s.
fn is_ready_since(node: &Node, began: Timestamp) -> bool {
    ready(node).and_then(|condition| condition.last_heartbeat_time.as_ref()).is_some_and(|told| told.0 >= began)
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_ready_only_once_its_new_kubelet_says_so() {
        let node = |status: &str| -> Node {
            let ready = json!({"type": "Ready", "status": status, "lastHeartbeatTime": "2026-01-01T00:01:00Z"});
            serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [ready]}})).unwrap()
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        assert!(is_ready_since(&node("True"), at("2026-01-01T00:01:00Z")));
        assert!(!is_ready_since(&node("True"), at("2026-01-01T00:01:01Z")), "that was the one before");
        assert!(!is_ready_since(&node("False"), at("2026-01-01T00:00:00Z")));
        assert!(is_ready(&node("True")) && !is_ready(&node("Unknown")));
    }
}
