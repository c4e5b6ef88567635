//! The one cluster of the tests: up, with the product installed as users install it. The tests of each lane have a pool of it.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, PostParams};
use local_aks::images::{self, Binaries, Images, Registry};
use local_aks::{Facts, Options};
use serde_json::{Value, json};
use tests::blobs::Blobs;
pub(crate) use tests::control_plane::workspace;
use tests::harness::{Cluster as _, speaker};
use tests::local;
use tests::snapshot::Snapshot;
pub(crate) use tests::wait::until;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::administrator::{Administrator, azure};
use crate::first_run::FirstRun;
use crate::inputs::Inputs;
use crate::kills::Measured;
use crate::manifests;
use crate::observe::Observer;

/// The suite's name.
const SUITE: &str = "e2e";
/// The operator's namespace.
pub(crate) const SYSTEM: &str = "batch-scoring";
/// The helm release, which names the operator's Deployment and ServiceAccount.
pub(crate) const RELEASE: &str = "batch-scoring";
/// The Secret with the store's account key in every namespace of schedules.
pub(crate) const SECRET: &str = "store";
/// How long a machine takes to come up. Azure's minutes would tell nothing more.
const PROVISIONING: Duration = Duration::from_secs(2);

/// The ScoringClusters of the lanes, and of all but the first the agent pools. Not `cpu`, as the examples call theirs: a
/// ScoringCluster keeps its pool.
const LANES: [&str; 2] = ["e2e", "beside"];

/// The cluster as the tests of a lane see it.
pub(crate) struct Cluster {
    site: Arc<Site>,
    /// The agent pool is the lane's.
    pub(crate) facts: Facts,
    /// The lane's.
    pub(crate) scoring_cluster: &'static str,
    /// Of the lane's pool.
    pub(crate) observer: Arc<Observer>,
}

impl Deref for Cluster {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

/// A cluster that is up.
pub(crate) struct Site {
    pub(crate) binaries: Binaries,
    pub(crate) images: Images,
    pub(crate) client: kube::Client,
    /// For what the agentPools API was asked.
    pub(crate) control: kube::Client,
    pub(crate) blobs: Blobs,
    inputs: OnceCell<Inputs>,
    scratch: PathBuf,
    pub(crate) before: Snapshot,
    pub(crate) root: PathBuf,
    pub(crate) first_run: OnceCell<FirstRun>,
    pub(crate) measured: OnceCell<Measured>,
    started: Instant,
    down: AtomicBool,
    lanes: OnceLock<Vec<Shared>>,
}

impl Cluster {
    async fn install(facts: Facts, binaries: Binaries, before: Snapshot, root: PathBuf) -> Result<Self> {
        let started = Instant::now();
        let scratch = workspace().join("target/e2e");
        std::fs::create_dir_all(&scratch)?;
        tell("push the images");
        let crane = facts.bin_dir.join("crane");
        let images =
            images::push(&binaries, &Registry { address: &facts.registry, insecure: true, crane: &crane }, &scratch)
                .await?;
        let client = kube::Client::try_from(local::config(&facts).await?).context("make a client")?;
        let control = azure(&facts, &facts.control_endpoint)?;
        let blobs = Blobs::new(&facts.store_url, &facts.store_account, &facts.store_key);
        let (inputs, first_run, measured) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let site = Arc::new(Site {
            binaries,
            images,
            client,
            control,
            blobs,
            inputs,
            scratch,
            before,
            root,
            first_run,
            measured,
            started,
            down: AtomicBool::new(false),
            lanes: OnceLock::new(),
        });
        let first = Self::of_lane(&site, facts, LANES[0]);
        first.helm_install().await?;
        let administrator = Administrator::open(&site.client, &first.facts).await?;
        let mut lanes = Vec::new();
        for name in &LANES[1..] {
            administrator.make(name).await?;
            let facts = Facts { agent_pool: (*name).to_owned(), ..first.facts.clone() };
            lanes.push(Arc::new(Self::of_lane(&site, facts, name)));
        }
        let _ = site.lanes.set(lanes);
        Ok(first)
    }

    fn of_lane(site: &Arc<Site>, facts: Facts, scoring_cluster: &'static str) -> Self {
        let observer = Arc::new(Observer::start(&site.client, &facts.agent_pool));
        Self { site: Arc::clone(site), facts, scoring_cluster, observer }
    }

    /// The manifest of the lane's ScoringCluster, whose nodes go when they have been `idle` for so long.
    pub(crate) fn pool(&self, idle: &str) -> Value {
        manifests::cluster(&self.facts, self.scoring_cluster, idle)
    }

    /// The manifest of a ScoringSchedule on the lane's pool.
    pub(crate) fn schedule(&self, namespace: &str, name: &str, cron: &str) -> Value {
        manifests::schedule(&self.facts, namespace, name, self.scoring_cluster, cron)
    }

    /// Readings and models, made when a test first needs them.
    pub(crate) async fn inputs(&self) -> Result<&Inputs> {
        let make = || async {
            tell("make readings and train models");
            Inputs::make(self.binaries.scorer()?, &self.scratch.join("inputs"), &self.blobs).await
        };
        self.inputs.get_or_try_init(make).await
    }

    async fn helm_install(&self) -> Result<()> {
        tell("install the chart");
        let facts = &self.facts;
        let home = workspace().join("target/e2e/helm");
        let chart = workspace().join("charts/batch-scoring");
        let mut helm = Command::new(facts.bin_dir.join("helm"));
        helm.arg("--kubeconfig").arg(&facts.kubeconfig);
        // Helm writes into the home folder otherwise.
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            helm.env(variable, home.join(folder));
        }
        helm.env("KUBECACHEDIR", home.join("kube"));
        helm.args(["install", RELEASE]).arg(chart).args(["--namespace", SYSTEM, "--create-namespace"]);
        helm.args(["--wait", "--timeout", "3m"]);
        let settings = [
            ("images.operator", self.images.operator.as_str()),
            ("images.scorer", &self.images.scorer),
            ("azure.clientId", &facts.client_id),
            ("azure.tenantId", &facts.tenant_id),
            ("azure.armEndpoint", &facts.arm_endpoint),
            ("logLevel", "info\\,operator=debug"),
        ];
        for (name, value) in settings {
            helm.arg("--set-string").arg(format!("{name}={value}"));
        }
        helm.arg("--set-file").arg(format!("azure.trustedCABundle={}", facts.ca_bundle.display()));
        let result = output(helm, None).await;
        if result.is_err() {
            self.diagnose().await;
        }
        result.map(|_| ())
    }

    async fn summary(&self) {
        self.summary_of_lane().await;
        for lane in self.lanes.get().into_iter().flatten() {
            lane.summary_of_lane().await;
        }
    }

    async fn summary_of_lane(&self) {
        let seen = self.observer.seen();
        let runs: std::collections::BTreeSet<_> = seen.jobs.values().map(|job| (&job.namespace, &job.run)).collect();
        let of_role = |role: &str| seen.pods.values().filter(|pod| pod.role == role).count();
        tell(&format!(
            "pool {} was up for {} s: {} machines, at most {} at once; in all pools {} runs with {} Jobs; pods: {} plan, {} item, \
             {} archive",
            self.facts.agent_pool,
            self.started.elapsed().as_secs(),
            seen.nodes.len(),
            seen.peak,
            runs.len(),
            seen.jobs.len(),
            of_role("plan"),
            of_role("item"),
            of_role("archive"),
        ));
        match self.pool_changes(0).await {
            Ok(changes) => tell(&format!(
                "agentPools API: counts asked for {:?}; machines made: {}; deleted by name: {}",
                changes.counts,
                seen.nodes.iter().cloned().collect::<Vec<_>>().join(", "),
                changes.deleted.join(", ")
            )),
            Err(error) => tell(&format!("the agentPools API's log: {error:#}")),
        }
    }

    /// Runs kubectl as the administrator; gives its stdout.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        output(self.kubectl_command(arguments), None).await
    }

    /// The same, with a manifest on stdin.
    pub(crate) async fn kubectl_with(&self, arguments: &[&str], manifest: &Value) -> Result<String> {
        output(self.kubectl_command(arguments), Some(manifest.to_string())).await
    }

    fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut kubectl = Command::new(self.facts.bin_dir.join("kubectl"));
        kubectl.arg("--kubeconfig").arg(&self.facts.kubeconfig).arg("--cache-dir");
        kubectl.arg(workspace().join("target/e2e/kubectl")).args(arguments);
        kubectl
    }

    /// `kubectl apply`, as a user does it.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<()> {
        self.kubectl_with(&["apply", "-f", "-"], manifest).await.map(|_| ())
    }

    /// A namespace in which schedules can run: with the Secret of the store, under the restricted pod security level.
    pub(crate) async fn namespace(&self, name: &str) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if namespaces.get_opt(name).await?.is_some() {
            return Ok(());
        }
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("make namespace {name}"))?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), name);
        let secret = json!({"metadata": {"name": SECRET}, "stringData": {"accountKey": self.facts.store_key}});
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), name);
        until("the namespace's default ServiceAccount", 20, async || Ok(accounts.get_opt("default").await?)).await?;
        Ok(())
    }

    /// Deletes a namespace and waits until it is gone.
    pub(crate) async fn delete_namespace(&self, name: &str) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(name, &DeleteParams::default()).await.with_context(|| format!("delete namespace {name}"))?;
        until(&format!("the end of namespace {name}"), 180, async || {
            Ok(namespaces.get_opt(name).await?.is_none().then_some(()))
        })
        .await
    }
}

impl tests::harness::Cluster for Cluster {
    const SUITE: &'static str = SUITE;

    fn lane(self: Arc<Self>, lane: usize) -> Arc<Self> {
        let others = lane.checked_sub(1);
        let other = others.and_then(|lane| self.lanes.get()?.get(lane).cloned());
        other.unwrap_or(self)
    }

    /// Builds the images, brings the cluster up, installs the chart.
    async fn up() -> Result<Self> {
        let options = Options { provisioning: PROVISIONING.into(), ..Options::default() };
        let root = options.root.clone();
        tell("build the images' programs");
        let binaries = images::build(&workspace(), tell).await?;
        let before = Snapshot::take(&root);
        local::up(SUITE, &options, |facts| Self::install(facts, binaries, before, root)).await
    }

    /// Says what was done on it, too.
    async fn down(&self) -> Result<()> {
        if self.down.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.summary().await;
        local::down(SUITE).await
    }

    /// Into a file.
    async fn diagnose(&self) {
        let file = workspace().join("target/e2e/diagnosis.txt");
        let mut text = String::new();
        let resources = "scoringclusters,scoringschedules,scoringruns,jobs,pods,configmaps";
        let operator = format!("deployment/{RELEASE}");
        for arguments in [
            vec!["get", "nodes", "-o", "wide"],
            vec!["get", "pods", "-A", "-o", "wide"],
            vec!["get", "scoringclusters,scoringschedules,scoringruns", "-A", "-o", "yaml"],
            vec!["describe", resources, "-n", "e2e"],
            vec!["get", "events", "-A", "--sort-by=.metadata.creationTimestamp"],
            vec!["logs", "-n", SYSTEM, &operator, "--all-pods", "--tail=400", "--prefix"],
        ] {
            let said = self.kubectl(&arguments).await.unwrap_or_else(|error| format!("{error:#}"));
            text.push_str(&format!("$ kubectl {}\n{said}\n", arguments.join(" ")));
        }
        if std::fs::write(&file, text).is_ok() {
            tell(&format!("what the cluster looked like is in {}", file.display()));
        }
    }
}

/// One line about what goes on.
pub(crate) fn tell(line: &str) {
    local::tell(&speaker(SUITE), line);
}

/// The seed that a variable gives, or one of the time.
pub(crate) fn seed(variable: &str) -> Result<u64> {
    match std::env::var(variable) {
        Ok(seed) => seed.parse().with_context(|| format!("{variable} is a number")),
        Err(_) => Ok(u64::try_from(Timestamp::now().as_second()).unwrap_or_default()),
    }
}

/// Runs a program to its end; gives its stdout, or an error with all that it said.
pub(crate) async fn output(mut command: Command, input: Option<String>) -> Result<String> {
    let name = format!("{:?}", command.as_std());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("start {name}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).await.with_context(|| format!("write to {name}"))?;
    }
    let output = child.wait_with_output().await?;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{name} ended with {}: {} {}", output.status, complained.trim(), said.trim());
    }
    Ok(said.into_owned())
}

/// The cluster, shared by tests.
pub(crate) type Shared = Arc<Cluster>;
