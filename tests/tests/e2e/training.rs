//! A schedule trains models and publishes them, and another scores with them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use store::versions::{VersionPaths, Versions};

use crate::cluster::Shared;
use crate::inputs::sensor;
use crate::manifests;

const NAMESPACE: &str = "e2e-training";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let sensors = [sensor(1, 1), sensor(1, 2), sensor(1, 3)];
    let of = |name| cluster.schedule(NAMESPACE, name, "0 0 1 1 *");
    let mut train = manifests::with_sensors(of("train"), &sensors);
    train["spec"]["task"] = "Train".into();
    train["spec"]["training"] = json!({"nu": 0.1, "holdOut": "25%"});
    train["spec"]["model"]["path"] = "models/e2e-trained/model_{device}_{tag}".into();
    train["spec"]["window"] = json!({"length": "1h"});
    train["spec"]["packing"] = json!({"sensorsPerPod": 3});
    cluster.apply(&train).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "first", "train")).await?;
    let run = cluster.ended(NAMESPACE, "first").await?;
    let conditions = run.status.iter().flat_map(|status| &status.conditions);
    let told: Vec<_> = conditions.filter(|is| is.type_ == "Complete").map(|is| is.message.as_str()).collect();
    ensure!(told == ["3 of 3 models trained, 3 promoted"], "{:?}", run.status);
    let record = cluster.record(NAMESPACE, "train", "first").await?;
    let published = cluster.blobs.below("models/e2e-trained").await?;
    let mut hashes = BTreeMap::new();
    for outcome in &record.outcomes {
        let trained = outcome.training.as_ref().with_context(|| format!("{outcome:?}"))?;
        ensure!(trained.promoted && trained.trial.evaluation.rows > 100, "{trained:?}");
        let path = format!("models/e2e-trained/model_1_{}", outcome.sensor.get("tag").unwrap_or_default());
        let paths = VersionPaths::of(&path);
        let model = published.get(&path).with_context(|| format!("no {path}"))?;
        ensure!(published.get(&paths.file(&trained.version)) == Some(model), "{path} is not its version");
        let index = published.get(&paths.index()).with_context(|| format!("no index of {path}"))?;
        let index: Versions = serde_json::from_slice(index)?;
        let run = index.promoted.and_then(|promoted| promoted.run);
        ensure!(run.as_deref() == Some("e2e-training/first"), "published by {run:?}");
        hashes.insert(outcome.sensor.clone(), outcome.model_hash.clone());
    }
    ensure!(cluster.blobs.below(&format!("predictions/{NAMESPACE}")).await?.is_empty(), "training left predictions");

    let mut score = of("score");
    score["spec"]["model"] = train["spec"]["model"].clone();
    score["spec"]["window"] = train["spec"]["window"].clone();
    cluster.apply(&score).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "scored", "score")).await?;
    cluster.ended(NAMESPACE, "scored").await?;
    // The sensors are those whose models were published, and no version is taken for one.
    let record = cluster.record(NAMESPACE, "score", "scored").await?;
    let with: BTreeMap<_, _> = record.outcomes.iter().map(|o| (o.sensor.clone(), o.model_hash.clone())).collect();
    ensure!(with == hashes && record.totals.succeeded == 3, "scored with {with:?} instead of {hashes:?}");
    for name in ["first", "scored"] {
        cluster.deletes(NAMESPACE, name).await?;
    }
    cluster.pool_is_empty().await
}
