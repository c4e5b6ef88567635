//! Everything that goes into the cluster: the chart as it is, a Secret, one ScoringCluster and one ScoringSchedule.

use std::path::Path;

use anyhow::Context;
use local_aks::Facts;
use local_aks::images::{self, Binaries, Images, Registry};
use serde_json::{Value, json};

use crate::tool::Tool;
use crate::ui::Ui;

/// The operator's namespace.
pub(crate) const OPERATOR: &str = "batch-scoring";
/// The schedule's.
pub(crate) const NAMESPACE: &str = "demo";
pub(crate) const SCHEDULE: &str = "sensors";

const NAMESPACES: &str = include_str!("../manifests/namespaces.yaml");
const CLUSTER_MANIFEST: &str = include_str!("../manifests/cluster.yaml");
pub(crate) const SCHEDULE_MANIFEST: &str = include_str!("../manifests/schedule.yaml");

/// Makes images of the programs, and pushes them to the cluster's registry.
pub(crate) async fn images(facts: &Facts, binaries: &Binaries, folder: &Path, ui: &Ui) -> anyhow::Result<Images> {
    let stage = ui.stage("Images");
    let crane = facts.bin_dir.join("crane");
    let registry = Registry { address: &facts.registry, insecure: true, crane: &crane };
    let pushed = images::push(binaries, &registry, folder).await?;
    stage.done(&format!("pushed to the registry at {}", facts.registry));
    Ok(pushed)
}

/// Makes the namespaces.
pub(crate) async fn namespaces(facts: &Facts) -> anyhow::Result<()> {
    let apply = Tool::of(facts, "kubectl");
    apply.run_with(["apply", "-f", "-"], NAMESPACES).await.context("making the namespaces").map(drop)
}

/// Makes a Secret.
pub(crate) async fn secret(facts: &Facts, namespace: &str, name: &str, data: &Value) -> anyhow::Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data,
    });
    let made = Tool::of(facts, "kubectl").run_with(["apply", "-f", "-"], &secret.to_string()).await;
    made.with_context(|| format!("making the Secret {namespace}/{name}")).map(drop)
}

/// Installs the chart with helm, with a file of values if there is one, and waits until all of it is ready.
pub(crate) async fn chart(
    facts: &Facts,
    images: &Images,
    workspace: &Path,
    values: Option<&Path>,
) -> anyhow::Result<()> {
    namespaces(facts).await?;
    let set = [
        ("images.operator", images.operator.as_str()),
        ("images.scorer", &images.scorer),
        ("azure.clientId", &facts.client_id),
        ("azure.tenantId", &facts.tenant_id),
        ("azure.armEndpoint", &facts.arm_endpoint),
    ];
    let mut args: Vec<String> = ["install", "batch-scoring"].map(String::from).into();
    args.push(workspace.join("charts/batch-scoring").display().to_string());
    args.extend(["--namespace", OPERATOR, "--wait", "--timeout", "2m"].map(String::from));
    args.extend(values.into_iter().flat_map(|file| ["--values".to_owned(), file.display().to_string()]));
    for (name, value) in set {
        args.extend(["--set-string".to_owned(), format!("{name}={value}")]);
    }
    args.extend(["--set-file".to_owned(), format!("azure.trustedCABundle={}", facts.ca_bundle.display())]);
    Tool::of(facts, "helm").run(&args).await.context("installing the chart").map(drop)
}

/// The store's key, as the Secret `store` of a namespace.
pub(crate) async fn store_secret(facts: &Facts, namespace: &str) -> anyhow::Result<()> {
    secret(facts, namespace, "store", &json!({"accountKey": facts.store_key})).await
}

/// Applies the Secret, the pool and a schedule; the manifests stay in `folder` for whoever wants to read them.
pub(crate) async fn manifests(facts: &Facts, folder: &Path, schedule: &str) -> anyhow::Result<()> {
    let kubectl = Tool::of(facts, "kubectl");
    store_secret(facts, NAMESPACE).await?;
    for (name, manifest) in [("cluster.yaml", CLUSTER_MANIFEST), ("schedule.yaml", schedule)] {
        let path = folder.join(name);
        std::fs::write(&path, filled(manifest, facts)).with_context(|| format!("writing {}", path.display()))?;
        kubectl.run([Path::new("apply"), Path::new("-f"), &path]).await.with_context(|| format!("applying {name}"))?;
    }
    Ok(())
}

pub(crate) fn filled(manifest: &str, facts: &Facts) -> String {
    manifest
        .replace("${SUBSCRIPTION}", &facts.subscription_id)
        .replace("${RESOURCE_GROUP}", &facts.resource_group)
        .replace("${CLUSTER}", &facts.cluster_name)
        .replace("${AGENT_POOL}", &facts.agent_pool)
        .replace("${STORE}", &facts.store_url)
}

/// No further ticks: the runs that go on end as they are.
pub(crate) async fn suspend(facts: &Facts) -> anyhow::Result<()> {
    let patch = r#"{"spec":{"suspend":true}}"#;
    let args = ["-n", NAMESPACE, "patch", "scoringschedule", SCHEDULE, "--type=merge", "-p", patch];
    Tool::of(facts, "kubectl").run(args).await.context("suspending the schedule").map(drop)
}

/// What helps to see why something did not come about.
pub(crate) async fn diagnosis(facts: &Facts) -> String {
    let looks: [&[&str]; 7] = [
        &["get", "nodes,scoringclusters,scoringschedules,scoringruns,jobs,pods", "-A", "-o", "wide"],
        &["describe", "scoringclusters,scoringschedules,scoringruns", "-A"],
        &["get", "events", "-A", "--sort-by=.lastTimestamp"],
        &["-n", OPERATOR, "describe", "pods"],
        &["-n", OPERATOR, "logs", "-l", "app.kubernetes.io/component=operator", "--tail=300", "--prefix"],
        &["-n", OPERATOR, "logs", "-l", "app.kubernetes.io/component=ingest", "--tail=300", "--prefix"],
        &["-n", NAMESPACE, "logs", "-l", "batchscoring.dev/schedule", "--tail=50", "--prefix"],
    ];
    let kubectl = Tool::of(facts, "kubectl");
    let mut text = String::new();
    for look in looks {
        let said = kubectl.run(look).await.unwrap_or_else(|error| format!("{error:#}"));
        text.push_str(&format!("$ kubectl {}\n{said}\n", look.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_are_what_the_custom_resources_take() {
        let _: crds::ScoringCluster = serde_saphyr::from_str(CLUSTER_MANIFEST).unwrap();
        let schedule: crds::ScoringSchedule = serde_saphyr::from_str(SCHEDULE_MANIFEST).unwrap();
        assert_eq!(schedule.metadata.name.as_deref(), Some(SCHEDULE));
        assert_eq!(schedule.metadata.namespace.as_deref(), Some(NAMESPACE));
    }
}
