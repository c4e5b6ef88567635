//! Blob Storage that refuses is told by the run within a minute, and credentials are in nothing that a run leaves.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use local_aks::azurite::sas_token;
use serde_json::{Value, json};

use crate::cluster::{Cluster, SYSTEM, Shared, until};
use crate::gluster::refused_in;
use crate::inputs::sensor;
use crate::manifests;
use crate::whole::has;

const NAMESPACE: &str = "e2e-refused";
/// Base64, of no account.
const WRONG_KEY: &str = "bm90IHRoZSBrZXkgb2YgYW55IGFjY291bnQsIGJ1dCBvZiB0aGUgcmlnaHQgc2hhcGU=";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let expired = sas_token(Timestamp::now() - SignedDuration::from_hours(1))?;
    let valid = sas_token(Timestamp::now() + SignedDuration::from_hours(2))?;
    let url = &cluster.facts.store_url;
    begin(&cluster, NAMESPACE, "signed", url, &[("sasToken", &valid)]).await?;
    for (name, url, key, value, reason, told) in [
        ("wrong-key", url.clone(), "accountKey", WRONG_KEY, "AccessDenied", "put the new one into the Secret"),
        ("expired", url.clone(), "sasToken", expired.as_str(), "AccessDenied", "expired"),
        (
            "absent",
            format!("{url}/absent"),
            "accountKey",
            cluster.facts.store_key.as_str(),
            "ContainerNotFound",
            "create it",
        ),
    ] {
        begin(&cluster, NAMESPACE, name, &url, &[(key, value)]).await?;
        refused(&cluster, NAMESPACE, name, reason, [told, &url]).await?;
    }
    let run = cluster.ended(NAMESPACE, "signed").await?;
    ensure!(has(&run, "Complete", "True"), "a SAS token does not do: {:?}", run.status);
    let signatures = [&expired, &valid].map(|token| token.rsplit_once("sig=").map(|(_, sig)| sig.to_owned()));
    let mut secrets: Vec<String> = signatures.into_iter().flatten().collect();
    // Not written as in a URL, too.
    secrets.extend(secrets.clone().iter().map(|sig| sig.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")));
    secrets.extend([WRONG_KEY.to_owned(), cluster.facts.store_key.clone()]);
    ensure!(secrets.len() == 6, "a token has no signature");
    let mut files = BTreeMap::new();
    for container in ["runs", "logs", "predictions"] {
        let found = cluster.blobs.below(&format!("{container}/{NAMESPACE}")).await?;
        ensure!(!found.is_empty(), "there is nothing below {container}/{NAMESPACE}");
        files.extend(found);
    }
    nothing_holds(&cluster, NAMESPACE, files, &secrets).await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.pool_is_empty().await
}

/// Makes a schedule of a store, and runs it; gives the schedule.
pub(crate) async fn begin(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    url: &str,
    secret: &[(&str, &str)],
) -> Result<Value> {
    let data: BTreeMap<_, _> = secret.iter().copied().collect();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name},
        "stringData": data});
    // Created, since `apply` would keep a copy in an annotation.
    cluster.kubectl_with(&["create", "-f", "-"], &secret).await?;
    let schedule = cluster.schedule(namespace, name, "0 0 1 1 *");
    let mut schedule: Value = manifests::with_sensors(schedule, &[sensor(1, 1), sensor(1, 2)]);
    schedule["spec"]["store"] = json!({"url": url, "secretRef": {"name": name}});
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(namespace, name, name)).await?;
    Ok(schedule)
}

/// Waits until a run tells within a minute that its store refuses, with these words, and fails for it.
pub(crate) async fn refused(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    reason: &str,
    told: [&str; 2],
) -> Result<()> {
    let message = refused_in(cluster, (namespace, name), reason, Instant::now()).await?;
    ensure!(told.iter().all(|told| message.contains(told)), "{message}");
    let runs = cluster.runs(namespace);
    until("the run to fail", 60, async || Ok(has(&runs.get(name).await?, "Failed", "True").then_some(()))).await
}

/// Looks through all that runs leave: objects, events, what pods and the operator say, and the store.
pub(crate) async fn nothing_holds(
    cluster: &Cluster,
    namespace: &str,
    files: BTreeMap<String, Vec<u8>>,
    secrets: &[String],
) -> Result<()> {
    let kinds = "scoringclusters,scoringschedules,scoringruns,jobs,pods,configmaps,events,events.events.k8s.io";
    let mut all = vec![("objects".to_owned(), cluster.kubectl(&["get", kinds, "-A", "-o", "yaml"]).await?)];
    for namespace in [namespace, SYSTEM] {
        let pods = cluster.kubectl(&["get", "pods", "-n", namespace, "-o", "name"]).await?;
        for pod in pods.lines() {
            let said = cluster.kubectl(&["logs", "-n", namespace, pod, "--all-containers"]).await;
            all.push((format!("what {pod} said"), said.unwrap_or_default()));
        }
    }
    all.extend(files.into_iter().map(|(path, bytes)| (path, String::from_utf8_lossy(&bytes).into_owned())));
    for (name, text) in &all {
        let found = secrets.iter().find(|secret| text.contains(secret.as_str()));
        ensure!(found.is_none(), "{name} holds a credential");
    }
    all.iter().find(|(_, text)| text.contains("AccessDenied")).map(drop).context("nothing tells of a refusal")
}
