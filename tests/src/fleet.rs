//! The product over a pool of fake nodes, for scale: the operator is a process of this machine, plan and archive pods run on
//! the real system node, and kwok plays the pool's nodes and ends the pods on them. Nothing is scored.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use local_aks::images::{self, Binaries, Registry};
use local_aks::{Facts, Options};
use serde_json::{Value, json};

use crate::blobs::Blobs;
use crate::control_plane::{definitions, workspace};
use crate::host_operator::HostOperator;
use crate::local;
use crate::wait::until;

/// The operator's namespace and ServiceAccount, whose tokens the stand-in of Entra ID takes.
const SYSTEM: &str = "batch-scoring";
/// The Secret with the store's account key.
const SECRET: &str = "store";
/// Where the operator tells its metrics: a port that no part of the local cluster has.
const METRICS: &str = "127.0.0.1:18080";
/// The namespace of the schedules.
pub const NAMESPACE: &str = "plant";
/// The ScoringCluster of the schedules.
pub const POOL: &str = "cpu";

/// A cluster that is up, with an operator that is yet to be started.
pub struct Fleet {
    pub facts: Facts,
    pub client: Client,
    pub operator: HostOperator,
    /// Where logs and tables go: `target/<suite>`.
    pub folder: PathBuf,
    suite: &'static str,
}

impl Fleet {
    /// Builds the images and brings the cluster up, with the chart's custom resource definitions and a namespace for
    /// schedules.
    pub async fn up(suite: &'static str, options: &Options) -> Result<Self> {
        let mut binaries = images::build(&workspace(), |line| local::tell(suite, line)).await?;
        local::up(suite, options, async |facts| Self::prepare(facts, &mut binaries, suite).await).await
    }

    async fn prepare(facts: Facts, binaries: &mut Binaries, suite: &'static str) -> Result<Self> {
        let folder = workspace().join("target").join(suite);
        std::fs::create_dir_all(&folder).context("make the folder of the logs")?;
        local::tell(suite, "push the images");
        let crane = facts.bin_dir.join("crane");
        let registry = Registry { address: &facts.registry, insecure: true, crane: &crane };
        let images = images::push(binaries, &registry, &folder).await?;
        let client = Client::try_from(local::config(&facts).await?).context("make a client")?;
        definitions(&client).await.context("install the custom resource definitions")?;
        namespace(&client, SYSTEM).await?;
        namespace(&client, NAMESPACE).await?;
        let account = json!({"metadata": {"name": SYSTEM}});
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
        accounts.create(&PostParams::default(), &serde_json::from_value(account)?).await?;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
        let secret = json!({"metadata": {"name": SECRET}, "stringData": {"accountKey": facts.store_key}});
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let program = match std::env::var_os("OPERATOR") {
            Some(path) => PathBuf::from(path),
            None => binaries.operator()?.to_path_buf(),
        };
        let operator = HostOperator {
            scorer_image: images.scorer,
            token_file: folder.join("token"),
            listen: METRICS.to_owned(),
            ..HostOperator::of(&facts, SYSTEM, suite, program, &folder)
        };
        let _ = std::fs::remove_file(&operator.log);
        operator.sign_in(&client, SYSTEM).await?;
        Ok(Self { facts, client, operator, folder, suite })
    }

    /// Puts as many models into the store as there are to be sensors, and readings whose head can be read. Nobody looks into
    /// the models.
    pub async fn fill_store(&self, sensors: u32) -> Result<()> {
        let blobs = Blobs::new(&self.facts.store_url, &self.facts.store_account, &self.facts.store_key);
        for sensor in 0..sensors {
            blobs.put(&format!("models/model_{sensor:04}"), "a model that nobody loads").await?;
        }
        let readings = (0..sensors).map(|sensor| format!("{sensor:04},2026-01-01T00:00:00Z,1.0\n"));
        blobs.put("data/readings.csv", format!("sensor,time,value\n{}", readings.collect::<String>())).await
    }

    /// A ScoringCluster over the agent pool, with these fields besides.
    pub async fn pool(&self, fields: Value) -> Result<()> {
        let mut pool = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": {"name": POOL}, "spec": fields,
        });
        pool["spec"]["nodePool"] = local::node_pool(&self.facts);
        let pools: Api<crds::ScoringCluster> = Api::all(self.client.clone());
        pools
            .create(&PostParams::default(), &serde_json::from_value(pool)?)
            .await
            .context("make the ScoringCluster")?;
        Ok(())
    }

    /// A ScoringSchedule over what [`fill_store`](Self::fill_store) has put there, one sensor per item, each of which asks
    /// for so many CPUs.
    pub async fn schedule(&self, name: &str, cron: &str, cpus: u32) -> Result<()> {
        let schedule = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule", "metadata": {"name": name},
            "spec": {
                "clusterRef": {"name": POOL}, "schedule": cron,
                "store": {"url": self.facts.store_url, "secretRef": {"name": SECRET}},
                "model": {"path": "models/model_{sensor}"}, "data": {"path": "data/readings.csv"},
                "scorer": {"resources": {"requests": {"cpu": cpus.to_string(), "memory": "64Mi"}}},
            },
        });
        let schedules: Api<crds::ScoringSchedule> = Api::namespaced(self.client.clone(), NAMESPACE);
        schedules
            .create(&PostParams::default(), &serde_json::from_value(schedule)?)
            .await
            .context("make a schedule")?;
        Ok(())
    }

    /// The operator's metrics as it tells them.
    pub async fn metrics(&self) -> Result<String> {
        let config = kube::Config::new(format!("http://{METRICS}").parse().context("the address of the metrics")?);
        let client = Client::try_from(config)?;
        Ok(client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?)
    }

    /// Takes it down.
    pub async fn down(&self) -> Result<()> {
        local::down(self.suite).await
    }
}

async fn namespace(client: &Client, name: &str) -> Result<()> {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.with_context(|| format!("make namespace {name}"))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    until("the namespace's default ServiceAccount", 20, async || Ok(accounts.get_opt("default").await?)).await?;
    Ok(())
}
