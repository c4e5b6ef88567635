//! A cluster for tests of what the operator writes: the real API server with our custom resources, and nothing that runs
//! pods, so that runs begin and go on until the test ends them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use local_aks::{Facts, Options};
use serde_json::json;

use crate::local;

/// The namespace of the schedules.
pub const NAMESPACE: &str = "plant";
/// The ScoringCluster of the schedules.
pub const POOL: &str = "cpu";

/// A control plane that is up.
pub struct ControlPlane {
    pub facts: Facts,
    pub client: Client,
    suite: &'static str,
}

impl ControlPlane {
    /// Brings it up, with the chart's custom resource definitions, a namespace and a ScoringCluster.
    pub async fn up(suite: &'static str) -> Result<Self> {
        local::up(suite, &Options::default(), |facts| Self::prepare(facts, suite)).await
    }

    async fn prepare(facts: Facts, suite: &'static str) -> Result<Self> {
        let client = Client::try_from(local::config(&facts).await?).context("make a client")?;
        no_pod_starts(&client).await.context("cordon the nodes")?;
        definitions(&client).await.context("install the custom resource definitions")?;
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.context("make the namespace")?;
        let pool = serde_json::from_value(pool(&facts))?;
        let pools: Api<crds::ScoringCluster> = Api::all(client.clone());
        pools.create(&PostParams::default(), &pool).await.context("make the ScoringCluster")?;
        Ok(Self { facts, client, suite })
    }

    /// Takes it down.
    pub async fn down(&self) -> Result<()> {
        local::down(self.suite).await
    }
}

fn pool(facts: &Facts) -> serde_json::Value {
    json!({
        "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": {"name": POOL},
        "spec": {"maxNodes": 3, "nodePool": local::node_pool(facts)},
    })
}

async fn no_pod_starts(client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for node in nodes.list(&ListParams::default()).await? {
        nodes.cordon(&node.name_any()).await?;
    }
    Ok(())
}

/// Installs the chart's custom resource definitions.
pub async fn definitions(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for entry in std::fs::read_dir(workspace().join("charts/batch-scoring/crds"))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let definition: CustomResourceDefinition =
            serde_saphyr::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        let name = definition.name_any();
        definitions.patch(&name, &PatchParams::apply("tests"), &Patch::Apply(&definition)).await?;
        await_condition(definitions.clone(), &name, conditions::is_crd_established()).await?;
    }
    Ok(())
}

/// The workspace's folder.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
