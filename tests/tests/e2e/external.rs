//! Nodes that are somebody else's: three fixed ones, the chart's demo on them, and placeholders that give way.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{ScoringCluster, ScoringRun, names};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::administrator::Administrator;
use crate::cluster::{Cluster, RELEASE, SYSTEM, Shared, output, tell, until, workspace};
use crate::manifests;
use crate::pods::phase;
use crate::whole::has;

const NAMESPACE: &str = "e2e-external";
/// How the chart calls what it makes for the demo.
const DEMO: &str = "batch-scoring-demo";
const NODES: usize = 3;
const SENSORS: u32 = 6;
/// How long before the second tick nodes are held.
const LEAD: SignedDuration = SignedDuration::from_secs(45);
/// From the first tick to the second: the first run has ended long before nodes are held for the second.
const APART: SignedDuration = SignedDuration::from_mins(2);

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster
        .kubectl(&["delete", "scoringcluster", cluster.scoring_cluster, "--ignore-not-found", "--timeout=180s"])
        .await?;
    let administrator = Administrator::open(&cluster.client, &cluster.facts).await?;
    administrator.update(&json!({"count": NODES, "nodeTaints": []})).await?;
    until("three nodes", 60, async || Ok((cluster.pool_nodes().await? == NODES).then_some(()))).await?;
    let since = cluster.pool_changes(0).await?.last;
    cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;

    let folder = tempfile::tempdir().context("make a folder that all nodes share")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    let first = manifests::next_minute(Timestamp::now() + Duration::from_secs(20));
    let second = first + APART;
    let objects = demo(&cluster, &folder.path().display().to_string(), &twice(first, second)).await?;
    cluster.apply(&objects).await?;

    ended(&cluster, first).await?;
    let scored = predictions(folder.path())?;
    ensure!(scored == SENSORS as usize, "{scored} files of predictions");
    until("the ScoringCluster to be held by nobody", 20, async || {
        Ok(scoring_cluster(&cluster).await?.metadata.finalizers.is_none_or(|held| held.is_empty()).then_some(()))
    })
    .await?;

    let held = until("placeholders on all nodes", 200, async || {
        let held = placeholders(&cluster).await?;
        let on: BTreeSet<&str> = held.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref()).collect();
        Ok((on.len() == NODES).then_some(held))
    })
    .await?;
    let early = second.duration_since(Timestamp::now());
    ensure!(early.is_positive(), "the nodes were held {} s after the tick", -early.as_secs());
    tell(&format!("{} placeholders hold {NODES} nodes {} s before the tick", held.len(), early.as_secs()));
    displaced(&cluster, &held).await?;

    ended(&cluster, second).await?;
    until("the placeholders to be gone", 20, async || Ok(placeholders(&cluster).await?.is_empty().then_some(())))
        .await?;
    let changes = cluster.pool_changes(since).await?;
    ensure!(changes.counts.is_empty() && changes.deleted.is_empty(), "the pool was changed: {changes:?}");

    deleted_in_mid_run(&cluster, &objects).await?;
    cluster.delete_namespace(NAMESPACE).await?;
    administrator.update(&json!({"count": 0})).await?;
    cluster.pool_is_empty().await
}

/// A run that has slots ends with those though its ScoringCluster is deleted, and one that has none says why.
async fn deleted_in_mid_run(cluster: &Cluster, objects: &Value) -> Result<()> {
    let (last, vain) = ("last", "in-vain");
    cluster.apply(&manifests::run_now(NAMESPACE, last, DEMO)).await?;
    let runs = cluster.runs(NAMESPACE);
    let slots = |run: &ScoringRun| run.status.as_ref().and_then(|status| status.slots).unwrap_or_default();
    until("slots", 60, async || Ok((slots(&runs.get(last).await?) > 0).then_some(()))).await?;
    cluster.kubectl(&["delete", "scoringcluster", DEMO, "--timeout=90s"]).await?;
    let run = cluster.ended_within(NAMESPACE, last, 60).await?;
    ensure!(has(&run, "Complete", "True"), "not Complete: {:?}", run.status);

    cluster.apply(objects).await?;
    cluster.kubectl(&["patch", "scoringcluster", DEMO, "--type=merge", "-p", r#"{"spec":{"paused":true}}"#]).await?;
    cluster.apply(&manifests::run_now(NAMESPACE, vain, DEMO)).await?;
    let tells = async |reason: &str| {
        until(&format!("the run to wait for {reason}"), 60, async || {
            let conditions = runs.get(vain).await?.status.map(|status| status.conditions).unwrap_or_default();
            Ok(conditions.iter().any(|it| it.type_ == "Admitted" && it.reason == reason).then_some(()))
        })
        .await
    };
    tells("ClusterPaused").await?;
    cluster.kubectl(&["delete", "scoringcluster", DEMO, "--timeout=20s"]).await?;
    tells("ClusterNotFound").await
}

/// A cron expression that is due twice.
fn twice(first: Timestamp, second: Timestamp) -> String {
    let part = |format: &str| {
        let of = |at: Timestamp| at.to_zoned(TimeZone::UTC).strftime(format).to_string();
        format!("{},{}", of(first), of(second))
    };
    format!("{} {} {} {} *", part("%-M"), part("%-H"), part("%-d"), part("%-m"))
}

/// What the chart makes of its demo's values, on the fixed nodes, with a folder of this machine for a volume.
async fn demo(cluster: &Cluster, folder: &str, cron: &str) -> Result<Value> {
    let chart = workspace().join("charts/batch-scoring");
    let mut helm = Command::new(cluster.facts.bin_dir.join("helm"));
    helm.args(["template", RELEASE]).arg(&chart).args(["--namespace", NAMESPACE, "--show-only", "templates/demo.yaml"]);
    helm.arg("--values").arg(chart.join("values-demo.yaml"));
    let values = json!({
        "images": {"operator": cluster.images.operator, "scorer": cluster.images.scorer},
        "demo": {
            "nodeSelector": {names::AGENT_POOL: cluster.facts.agent_pool},
            "maxNodes": NODES, "prewarm": format!("{}s", LEAD.as_secs()), "schedule": cron,
            "devices": 2, "tags": 3,
            "resources": manifests::whole_node(),
            "volume": {"hostPath": {"path": folder}},
        },
    });
    helm.args(["--values", "-"]);
    let text = output(helm, Some(values.to_string())).await?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).context("what helm wrote")?;
    let objects: Vec<Value> = objects.into_iter().filter(|object| !object.is_null()).collect();
    ensure!(objects.len() == 3, "{} objects: {text}", objects.len());
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": objects}))
}

/// Waits for the end of a tick's run.
async fn ended(cluster: &Cluster, tick: Timestamp) -> Result<()> {
    let name = format!("{DEMO}-{}", tick.as_second() / 60);
    let runs = cluster.runs(NAMESPACE);
    until(&format!("the run of {tick}"), 150, async || Ok(runs.get_opt(&name).await?.map(|_| ()))).await?;
    let run = cluster.ended_within(NAMESPACE, &name, 120).await?;
    ensure!(has(&run, "Complete", "True"), "not Complete: {:?}", run.status);
    let sensors = run.status.and_then(|status| status.sensors).context("no sensors are counted")?;
    ensure!((sensors.total, sensors.succeeded) == (SENSORS, SENSORS), "{sensors:?}");
    Ok(())
}

/// How many files of predictions there are.
fn predictions(folder: &std::path::Path) -> Result<usize> {
    let mut folders = vec![folder.join("predictions")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "csv") {
                files += 1;
            }
        }
    }
    Ok(files)
}

async fn scoring_cluster(cluster: &Cluster) -> Result<ScoringCluster> {
    Ok(Api::<ScoringCluster>::all(cluster.client.clone()).get(DEMO).await?)
}

/// The placeholders of the demo's cluster that are there to stay.
async fn placeholders(cluster: &Cluster) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), SYSTEM);
    let of_demo = ListParams::default().labels(&format!("{}={DEMO},{}=placeholder", names::POOL, names::ROLE));
    let all = pods.list(&of_demo).await?.items;
    Ok(all.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// A pod of somebody else takes the place of a placeholder, and another waits in its stead.
async fn displaced(cluster: &Cluster, held: &[Pod]) -> Result<()> {
    let stranger = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": NAMESPACE, "name": "stranger"},
        "spec": {
            "nodeSelector": {names::AGENT_POOL: cluster.facts.agent_pool},
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "stranger", "image": cluster.images.scorer, "args": ["hold"],
                "resources": manifests::whole_node()}],
        },
    });
    cluster.apply(&stranger).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    until("a pod of somebody else to run in the place of a placeholder", 20, async || {
        Ok((phase(&pods.get("stranger").await?) == "Running").then_some(()))
    })
    .await?;
    let uids = |pods: &[Pod]| -> BTreeSet<String> { pods.iter().filter_map(|pod| pod.metadata.uid.clone()).collect() };
    let before = uids(held);
    until("another placeholder in the stead of the displaced one", 20, async || {
        let now = uids(&placeholders(cluster).await?);
        Ok((now.len() == NODES && now.difference(&before).count() == 1).then_some(()))
    })
    .await?;
    cluster.kubectl(&["delete", "pod", "stranger", "-n", NAMESPACE, "--wait=true", "--timeout=20s"]).await.map(|_| ())
}
