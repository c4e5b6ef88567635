//! The local cluster of a suite: up, and down again whatever happens meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use local_aks::{Facts, Options, Progress};
use serde_json::{Value, json};

static COMING_UP: AtomicBool = AtomicBool::new(false);
/// A cluster is up that nothing answers for yet.
static HALF_MADE: AtomicBool = AtomicBool::new(false);

/// One line about what goes on in a suite.
pub fn tell(suite: &str, line: &str) {
    eprintln!("{suite}: {line}");
}

fn progress(suite: &'static str) -> Progress {
    Progress::new(move |line| tell(suite, line))
}

/// Brings a cluster up and makes of it what the tests need. What came up goes down again where that fails.
pub async fn up<C, F>(suite: &'static str, options: &Options, make: impl FnOnce(Facts) -> F) -> Result<C>
where
    F: Future<Output = Result<C>>,
{
    COMING_UP.store(true, Ordering::SeqCst);
    let facts = local_aks::up(options, &progress(suite)).await;
    COMING_UP.store(false, Ordering::SeqCst);
    let facts = facts.context("bring the cluster up")?;
    HALF_MADE.store(true, Ordering::SeqCst);
    match make(facts).await {
        Ok(cluster) => {
            HALF_MADE.store(false, Ordering::SeqCst);
            Ok(cluster)
        }
        Err(error) => Err(match down_half_made(suite).await {
            Ok(()) => error,
            Err(down) => anyhow::anyhow!("{error:#}; and it did not go down: {down:#}"),
        }),
    }
}

/// While this is so, [`up`] answers Ctrl-C itself.
pub(crate) fn is_coming_up() -> bool {
    COMING_UP.load(Ordering::SeqCst)
}

/// Takes down what came up before an error, a panic or a Ctrl-C kept it from becoming what the tests need.
pub async fn down_half_made(suite: &'static str) -> Result<()> {
    if HALF_MADE.swap(false, Ordering::SeqCst) {
        local_aks::down(&Options::default().root, &progress(suite)).await?;
    }
    Ok(())
}

/// Takes the cluster down.
pub async fn down(suite: &'static str) -> Result<()> {
    local_aks::down(&Options::default().root, &progress(suite)).await
}

/// The nodes of a ScoringCluster on it.
#[must_use]
pub fn node_pool(facts: &Facts) -> Value {
    json!({"aks": {
        "subscriptionId": facts.subscription_id,
        "resourceGroup": facts.resource_group,
        "clusterName": facts.cluster_name,
        "agentPool": facts.agent_pool,
    }})
}

/// How its administrator reaches it.
pub async fn config(facts: &Facts) -> Result<kube::Config> {
    let kubeconfig = Kubeconfig::read_from(&facts.kubeconfig).context("read the kubeconfig")?;
    Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}
