//! The stage of the kills: the operator on this machine, with the proxy between it and everything that it changes.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tests::host_operator::{HostOperator, Running};
use tests::ledger::{Ledger, Server, Spring};
use tests::local;
use tests::proxy::Proxy;
use tests::tls::Identity;

use crate::cluster::{Cluster, RELEASE, SYSTEM, until, workspace};

/// The proxies, and how to start the operator behind them.
pub(crate) struct Stage {
    pub(crate) ledger: Ledger,
    pub(crate) operator: HostOperator,
    _kubernetes: Proxy,
    _agent_pools: Proxy,
}

impl Stage {
    /// Stops the replicas in the cluster, so that the one on this machine is the only operator.
    pub(crate) async fn set(cluster: &Cluster) -> Result<Self> {
        // Changes that are made for other pools are none of those that count.
        cluster.kubectl(&["delete", "scoringcluster", "--all", "--wait=true", "--timeout=60s"]).await?;
        let deployment = format!("deployment/{RELEASE}");
        cluster.kubectl(&["scale", &deployment, "-n", SYSTEM, "--replicas=0"]).await?;
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), SYSTEM);
        let replicas = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
        until("the operator's replicas to go", 90, async || {
            Ok(pods.list(&replicas).await?.items.is_empty().then_some(()))
        })
        .await?;
        let facts = &cluster.facts;
        let folder = workspace().join("target/e2e/kills");
        std::fs::create_dir_all(&folder)?;
        let ledger = Ledger::default();
        // As the operator's ServiceAccount, so that its own rights are all it has.
        let mut kubernetes = local::config(facts).await?;
        kubernetes.auth_info.impersonate = Some(format!("system:serviceaccount:{SYSTEM}:{RELEASE}"));
        let kubernetes = Proxy::plain(kubernetes, Server::Kubernetes, ledger.clone()).await?;
        let mut arm = kube::Config::new(facts.arm_endpoint.parse().context("the ARM endpoint")?);
        arm.root_cert_file = Some(facts.ca_bundle.clone());
        let identity = Identity::for_this_host()?;
        let agent_pools = Proxy::https(arm, Server::AgentPools, ledger.clone(), &identity).await?;
        let trusted = folder.join("ca.pem");
        let authorities = std::fs::read_to_string(&facts.ca_bundle)?;
        std::fs::write(&trusted, format!("{authorities}\n{}", identity.pem))?;
        let operator = HostOperator {
            kubeconfig: write_kubeconfig(&folder, &format!("http://{}", kubernetes.address))?,
            scorer_image: cluster.images.scorer.clone(),
            arm_endpoint: format!("https://{}", agent_pools.address),
            token_file: folder.join("token"),
            ca_bundle: trusted,
            ..HostOperator::of(facts, SYSTEM, "e2e-kills", cluster.binaries.operator()?.to_path_buf(), &folder)
        };
        Ok(Self { ledger, operator, _kubernetes: kubernetes, _agent_pools: agent_pools })
    }

    /// Starts the operator with a fresh federated token and an empty ledger. With `kill_after`, it is killed once that
    /// change has been answered.
    pub(crate) async fn start(&self, cluster: &Cluster, kill_after: Option<usize>) -> Result<Running> {
        self.operator.sign_in(&cluster.client, RELEASE).await?;
        let started: Arc<OnceLock<Running>> = Arc::default();
        let victim = Arc::clone(&started);
        let spring: Spring = Arc::new(move || {
            let victim = Arc::clone(&victim);
            Box::pin(async move {
                while victim.get().is_none() {
                    tokio::task::yield_now().await;
                }
                if let Some(victim) = victim.get() {
                    victim.kill().await;
                }
            })
        });
        self.ledger.start(kill_after.map(|k| (k, spring)));
        let running = self.operator.start()?;
        Ok(started.get_or_init(|| running).clone())
    }
}

fn write_kubeconfig(folder: &std::path::Path, server: &str) -> Result<PathBuf> {
    let path = folder.join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}
