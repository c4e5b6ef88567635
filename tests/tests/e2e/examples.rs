//! What the documentation shows works: every example is accepted by the API server, and the scorer's YAML reader sees
//! in it what kubectl sees.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::blobs::files_below;

use crate::cluster::{Shared, tell, workspace};

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let all = files_below(&workspace().join("examples"))?.into_keys();
    let manifests = all.filter(|path| path.ends_with(".yaml"));
    let files: Vec<PathBuf> = manifests.map(|path| workspace().join("examples").join(path)).collect();
    ensure!(!files.is_empty(), "examples/ has no manifests");
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file)?;
        let ours: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| format!("read {name}"))?;
        let ours: Vec<Value> = ours.into_iter().filter(|document| !document.is_null()).collect();
        // This cluster has no KEDA; ingest/tests/chart.rs reads what is for it.
        let is_known = |document: &Value| !document["apiVersion"].as_str().unwrap_or_default().starts_with("keda.sh/");
        if !ours.iter().all(is_known) {
            tell(&format!("{name}: of KEDA, which is not here"));
            continue;
        }
        // The examples name namespaces that an administrator makes first.
        for document in &ours {
            if let Some(namespace) = document["metadata"]["namespace"].as_str() {
                cluster.namespace(namespace).await?;
            }
        }
        // A generated name is only for `create`.
        let generated = ours.iter().any(|document| document["metadata"]["generateName"].is_string());
        let verb = if generated { "create" } else { "apply" };
        cluster.kubectl(&[verb, "--dry-run=server", "-f", &name]).await?;
        let said =
            cluster.kubectl(&["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", &name]).await?;
        let stream = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
        let said = stream.collect::<Result<Vec<_>, _>>().with_context(|| format!("kubectl's JSON of {name}"))?;
        let theirs: Vec<Value> = said.into_iter().flat_map(documents).map(without_defaults).collect();
        let ours: Vec<Value> = ours.into_iter().map(without_defaults).collect();
        ensure!(ours == theirs, "{name} reads\n{ours:#?}\nhere, and in kubectl\n{theirs:#?}");
        tell(&format!("{name}: {} documents", ours.len()));
    }
    Ok(())
}

/// kubectl prints several documents as a List.
fn documents(value: Value) -> Vec<Value> {
    match value {
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
            list.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default()
        }
        one => vec![one],
    }
}

/// kubectl fills in the namespace.
fn without_defaults(mut document: Value) -> Value {
    if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("namespace");
        metadata.remove("creationTimestamp");
    }
    document
}
