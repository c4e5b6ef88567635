//! Karpenter with its provider of kwok nodes, as a process of this machine, and the Jobs that it makes nodes for.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, ResourceExt};
use local_aks::{Options, Progress};
use serde_json::{Value, json};
use tests::fleet::{Fleet, NAMESPACE};
use tests::local::tell;
use tokio::process::{Child, Command};

use crate::NAME;
use crate::seen::{SIDE, Side, TICK};
use crate::workload::Workload;

/// The program's name among the tools, and the module that it is built from, which has its custom resource definitions.
const TOOL: &str = "karpenter";
const MODULE: &str = "sigs.k8s.io/karpenter";
/// The one size of node: room for one pod of ours.
const SIZE: &str = "one";

pub(crate) struct Karpenter(Child);

impl Karpenter {
    /// Starts it with a NodePool for each of its sides.
    pub(crate) async fn start(fleet: &Fleet, workload: &Workload) -> Result<Self> {
        let progress = Progress::new(|line| tell(NAME, line));
        let root = Options::default().root;
        let program = local_aks::tool(&root, TOOL, &progress).await?;
        let source = local_aks::tool_source(&root, TOOL, MODULE, &progress).await?;
        for folder in ["pkg/apis/crds", "kwok/apis/crds"] {
            definitions(fleet, &source.join(folder)).await?;
        }
        let sizes = fleet.folder.join("sizes.json");
        std::fs::write(&sizes, size().to_string()).context("write the sizes of nodes")?;
        let log =
            OpenOptions::new().create(true).write(true).truncate(true).open(fleet.folder.join("karpenter.log"))?;
        let child = Command::new(program)
            .env_clear()
            .env("KUBECONFIG", &fleet.facts.kubeconfig)
            .env("SYSTEM_NAMESPACE", "kube-system")
            .env("DISABLE_LEADER_ELECTION", "true")
            .env("METRICS_PORT", "18081")
            .env("HEALTH_PROBE_PORT", "18082")
            .env("INSTANCE_TYPES_FILE_PATH", &sizes)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("start the program")?;
        let delay = format!("{}s", workload.scaled(workload.provisioning).as_secs());
        apply(
            fleet,
            "karpenter.kwok.sh",
            "v1alpha1",
            "KWOKNodeClass",
            "default",
            json!({"nodeRegistrationDelay": delay}),
        )
        .await?;
        for (side, after) in [(Side::Quick, 30), (Side::Slow, 600)] {
            let after = workload.scaled(Duration::from_secs(after)).as_secs();
            apply(fleet, MODULE_GROUP, "v1", "NodePool", side.name(), pool(side, after)).await?;
        }
        Ok(Self(child))
    }

    /// A Job of as many pods as a run of ours has items, of the same shape.
    pub(crate) async fn job(&self, fleet: &Fleet, side: Side, tick: Timestamp, pods: u32) -> Result<()> {
        let second = tick.as_second();
        let labels = json!({SIDE: side.name(), TICK: second.to_string()});
        let job = json!({
            "metadata": {"name": format!("{}-{}", side.name(), second / 60)},
            "spec": {
                "completionMode": "Indexed", "completions": pods, "parallelism": pods, "backoffLimitPerIndex": 2,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "restartPolicy": "Never", "automountServiceAccountToken": false, "nodeSelector": {SIDE: side.name()},
                        "tolerations": [{"key": SIDE, "operator": "Equal", "value": side.name(), "effect": "NoSchedule"}],
                        "containers": [{
                            "name": "scorer", "image": "scorer",
                            "resources": {"requests": {"cpu": "1", "memory": "64Mi"}},
                        }],
                    },
                },
            },
        });
        let jobs: Api<Job> = Api::namespaced(fleet.client.clone(), NAMESPACE);
        jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await.context("make a Job")?;
        Ok(())
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        // An error says that it has ended already; then the wait returns at once.
        let _ = self.0.start_kill();
        let _ = self.0.wait().await;
    }
}

const MODULE_GROUP: &str = "karpenter.sh";

/// A NodePool whose nodes go once they have been empty for so many seconds.
fn pool(side: Side, after: u64) -> Value {
    json!({
        "template": {
            // The label by which kwok knows its nodes.
            "metadata": {"labels": {SIDE: side.name(), "type": "kwok"}},
            "spec": {
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                "requirements": [
                    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [SIZE]},
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                ],
                "taints": [{"key": SIDE, "value": side.name(), "effect": "NoSchedule"}],
                "expireAfter": "Never",
            },
        },
        // By default no more than a tenth of the nodes goes at a time.
        "disruption": {
            "consolidationPolicy": "WhenEmpty", "consolidateAfter": format!("{after}s"), "budgets": [{"nodes": "100%"}],
        },
    })
}

fn size() -> Value {
    let offering = json!({
        "Price": 1.0, "Available": true,
        "Requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone"]},
        ],
    });
    json!([{
        "name": SIZE, "offerings": [offering], "architecture": "amd64", "operatingSystems": ["linux"],
        // Karpenter keeps some of it for the node itself.
        "resources": {"cpu": "1500m", "memory": "4Gi", "pods": "110", "ephemeral-storage": "100Gi"},
    }])
}

async fn definitions(fleet: &Fleet, folder: &Path) -> Result<()> {
    let all: Api<CustomResourceDefinition> = Api::all(fleet.client.clone());
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let one: CustomResourceDefinition = serde_saphyr::from_str(&std::fs::read_to_string(&path)?)
            .with_context(|| format!("read {}", path.display()))?;
        let name = one.name_any();
        all.patch(&name, &PatchParams::apply(NAME), &Patch::Apply(&one)).await?;
        await_condition(all.clone(), &name, conditions::is_crd_established()).await?;
    }
    Ok(())
}

async fn apply(fleet: &Fleet, group: &str, version: &str, kind: &str, name: &str, spec: Value) -> Result<()> {
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(group, version, kind),
        match kind {
            "NodePool" => "nodepools",
            _ => "kwoknodeclasses",
        },
    );
    let all: Api<DynamicObject> = Api::all_with(fleet.client.clone(), &resource);
    let object = json!({
        "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    all.patch(name, &PatchParams::apply(NAME), &Patch::Apply(&object))
        .await
        .with_context(|| format!("make the {kind}"))?;
    Ok(())
}
