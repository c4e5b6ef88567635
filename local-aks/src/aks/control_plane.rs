//! What the stand-in for AKS asks of the cluster's API server.

mod eviction;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::{Node, ServiceAccount, Taint as NodeTaint};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use super::machine::Addresses;
use super::properties::Taint;
use super::work::Restyle;

/// The part of the cluster that AKS itself looks after or asks.
#[async_trait]
pub(super) trait ControlPlane: Send + Sync {
    /// Applies changed labels and taints to nodes that exist.
    async fn restyle(&self, change: &Restyle) -> anyhow::Result<()>;
    /// Tells a node when its machine will be taken, as a scheduled event does; may cordon and drain it too.
    async fn warn(&self, node: &str, not_before: Timestamp, drain: bool) -> anyhow::Result<()>;
    /// Waits until Kubernetes has seen that a node's machine is dead: the node is not Ready, or gone.
    async fn lost(&self, node: &str) -> anyhow::Result<()>;
    /// The addresses of a pool's nodes.
    async fn addresses(&self, pool: &str) -> anyhow::Result<Addresses>;
    /// Whose token this is; None where the API server does not vouch for it and the audience.
    async fn subject(&self, token: &str, audience: &str) -> anyhow::Result<Option<String>>;
    /// A ServiceAccount's annotations; None where there is no such ServiceAccount.
    async fn annotations(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> anyhow::Result<Option<BTreeMap<String, String>>>;
}

/// A real API server.
#[derive(Clone)]
pub(super) struct KubeControlPlane(Client);

impl KubeControlPlane {
    pub(super) async fn connect(kubeconfig: &Path) -> anyhow::Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("read the kubeconfig {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .with_context(|| format!("use the kubeconfig {}", kubeconfig.display()))?;
        Ok(Self(Client::try_from(config).context("make a client of the API server")?))
    }

    pub(super) fn client(&self) -> Client {
        self.0.clone()
    }

    async fn restyle_node(&self, name: &str, change: &Restyle) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(self.0.clone());
        // The kubelet writes to the same object; read and patch again on a conflict.
        for _ in 0..5 {
            let Some(node) = nodes.get_opt(name).await.with_context(|| format!("read node {name}"))? else {
                return Ok(());
            };
            let taints = retainted(node.spec.and_then(|spec| spec.taints).unwrap_or_default(), change);
            let removed = change.remove_labels.iter().map(|key| (key.clone(), json!(null)));
            let added = change.add_labels.iter().map(|(key, value)| (key.clone(), json!(value)));
            let labels: serde_json::Map<_, _> = removed.chain(added).collect();
            let patch = json!({
                "metadata": {"resourceVersion": node.metadata.resource_version, "labels": labels},
                "spec": {"taints": taints},
            });
            match nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error).with_context(|| format!("change labels and taints of node {name}")),
            }
        }
        anyhow::bail!("node {name} changed each time its labels and taints were to be changed")
    }
}

/// A node's taints after a change of its pool's; taints from elsewhere, such as not-ready, stay.
fn retainted(mut taints: Vec<NodeTaint>, change: &Restyle) -> Vec<NodeTaint> {
    let is = |taint: &NodeTaint, other: &Taint| taint.key == other.key && taint.effect == other.effect;
    taints.retain(|taint| !change.remove_taints.iter().chain(&change.add_taints).any(|other| is(taint, other)));
    taints.extend(change.add_taints.iter().map(|taint| NodeTaint {
        key: taint.key.clone(),
        value: taint.value.clone(),
        effect: taint.effect.clone(),
        time_added: None,
    }));
    taints
}

#[async_trait]
impl ControlPlane for KubeControlPlane {
    async fn restyle(&self, change: &Restyle) -> anyhow::Result<()> {
        for node in &change.nodes {
            self.restyle_node(node, change).await?;
        }
        Ok(())
    }

    async fn warn(&self, node: &str, not_before: Timestamp, drain: bool) -> anyhow::Result<()> {
        eviction::warn(&self.0, node, not_before).await?;
        if !drain {
            return Ok(());
        }
        self.restyle(&eviction::drained(node)).await?;
        eviction::drain(&self.0, node).await
    }

    async fn lost(&self, node: &str) -> anyhow::Result<()> {
        eviction::lost(&self.0, node).await
    }

    async fn addresses(&self, pool: &str) -> anyhow::Result<Addresses> {
        let nodes: Api<Node> = Api::all(self.0.clone());
        let list =
            nodes.list(&ListParams::default().labels(&format!("agentpool={pool}"))).await.context("list nodes")?;
        let mut found = Addresses::new();
        for node in list {
            let Some(name) = node.metadata.name else { continue };
            let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
            found.insert(
                name,
                addresses.into_iter().filter(|one| one.type_ == "InternalIP").map(|one| one.address).collect(),
            );
        }
        Ok(found)
    }

    async fn subject(&self, token: &str, audience: &str) -> anyhow::Result<Option<String>> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token.to_owned()), audiences: Some(vec![audience.to_owned()]) },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.0.clone());
        let status = reviews
            .create(&PostParams::default(), &review)
            .await
            .context("review the token")?
            .status
            .unwrap_or_default();
        let meant_for_us = status.audiences.unwrap_or_default().iter().any(|one| one == audience);
        let genuine = status.authenticated == Some(true) && meant_for_us;
        Ok(status.user.and_then(|user| user.username).filter(|_| genuine))
    }

    async fn annotations(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> anyhow::Result<Option<BTreeMap<String, String>>> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.0.clone(), namespace);
        let found = accounts
            .get_opt(service_account)
            .await
            .with_context(|| format!("read ServiceAccount {namespace}/{service_account}"))?;
        Ok(found.map(|account| account.metadata.annotations.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str) -> NodeTaint {
        NodeTaint { key: key.into(), value: Some(value.into()), effect: "NoSchedule".into(), time_added: None }
    }

    #[test]
    fn a_pools_taints_replace_its_old_ones_and_leave_the_nodes_own() {
        let change = Restyle {
            nodes: vec!["n".into()],
            remove_taints: vec![Taint::parse("old=1:NoSchedule").unwrap()],
            add_taints: vec![Taint::parse("new=2:NoSchedule").unwrap()],
            remove_labels: Vec::new(),
            add_labels: BTreeMap::new(),
        };
        let before = vec![taint("old", "1"), taint("node.kubernetes.io/not-ready", "")];
        assert_eq!(retainted(before, &change), [taint("node.kubernetes.io/not-ready", ""), taint("new", "2")]);
    }
}
