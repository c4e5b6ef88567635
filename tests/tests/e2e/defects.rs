//! What is wrong with one sensor stays with that sensor.

use anyhow::{Context, Result, ensure};
use spec::SensorKeys;
use store::Status;

use crate::cluster::Shared;
use crate::inputs::sensor;
use crate::manifests;

const NAMESPACE: &str = "e2e-defects";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let (good, other, corrupt, missing) = (sensor(1, 1), sensor(1, 2), sensor(1, 3), sensor(9, 9));
    let all = [good, other, corrupt.clone(), missing.clone()];
    let schedule = cluster.schedule(NAMESPACE, "defects", "0 0 1 1 *");
    let mut schedule = manifests::with_sensors(schedule, &all);
    schedule["spec"]["model"]["path"] = "models/defects/model_{device}_{tag}".into();
    cluster.apply(&schedule).await?;
    // As a person does it.
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "by-hand", "defects")).await?;
    let ended = cluster.complete(NAMESPACE, "by-hand", &all).await?;
    let status = ended.run.status.clone().context("the run has no status")?;
    for (bad, words) in [(&corrupt, ["model_1_3"]), (&missing, ["model_9_9"])] {
        let outcome = ended.record.outcomes.iter().find(|outcome| outcome.sensor == *bad);
        let outcome = outcome.with_context(|| format!("no outcome for {bad}"))?;
        let message = outcome.message.clone().unwrap_or_default();
        ensure!(outcome.status == Status::Failed, "{bad}: {outcome:?}");
        ensure!(outcome.reason.as_deref().is_some_and(|reason| reason.starts_with("Model")), "{bad}: {outcome:?}");
        ensure!(words.iter().all(|word| message.contains(word)), "{bad}: {message:?} names no {words:?}");
        let told = status.failed_sensors.iter().find(|failure| failure.sensor == *bad);
        let told =
            told.with_context(|| format!("the run's status does not name {bad}: {:?}", status.failed_sensors))?;
        ensure!(words.iter().all(|word| told.message.contains(word)), "{bad}: {told:?}");
    }
    ensure!(ended.record.totals.succeeded == 2 && ended.record.totals.failed == 2, "{:?}", ended.record.totals);
    ensure!(status.failed_sensors.len() == 2, "{:?}", status.failed_sensors);
    ensure!(ended.predictions.len() == 2, "predictions: {:?}", ended.predictions.keys());
    // A failed sensor is no reason to try its item again.
    cluster.happened_once(NAMESPACE, &ended).await?;
    schedule["spec"]["model"]["path"] = "models/model_{device}_{tag}".into();
    cluster.apply(&schedule).await?;
    rerun(&cluster, &corrupt, &missing).await?;
    cluster.deletes(NAMESPACE, "by-hand").await?;
    cluster.pool_is_empty().await
}

/// Once its model is mended, a sensor that failed is scored again, and so is nothing else but what failed, too.
async fn rerun(cluster: &Shared, mended: &SensorKeys, missing: &SensorKeys) -> Result<()> {
    let mut rerun = manifests::run_now(NAMESPACE, "again", "defects");
    rerun["spec"]["rerunFailedOf"] = "by-hand".into();
    cluster.kubectl_with(&["create", "-f", "-"], &rerun).await?;
    cluster.ended(NAMESPACE, "again").await?;
    let record = cluster.record(NAMESPACE, "defects", "again").await?;
    let outcomes: Vec<_> = record.outcomes.iter().map(|outcome| (&outcome.sensor, outcome.status)).collect();
    ensure!(outcomes == [(mended, Status::Succeeded), (missing, Status::Failed)], "{outcomes:?}");
    Ok(())
}
