//! A command in an image of the user's. Here it is one that has nothing but a program: the scorer's, called as anybody's.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::cluster::{Shared, tell};
use crate::inputs::sensors;
use crate::manifests;
use crate::whole::same_files;

const NAMESPACE: &str = "e2e-containers";
const SCHEDULE: &str = "own";
const RUN: &str = "own-by-hand";

/// Its predictions are those of the built-in scorer byte for byte, its words are in the logs, the record tells what it took.
pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let inputs = cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    let mut schedule = cluster.schedule(NAMESPACE, SCHEDULE, "0 0 1 1 *");
    schedule["spec"]["packing"] = json!({"sensorsPerPod": 4});
    let built_in = schedule.clone();
    let scorer = &mut schedule["spec"]["scorer"];
    scorer["image"] = json!(cluster.images.scorer);
    scorer["command"] = json!(["/scorer", "score", "--model", "{model}", "--input", "{input}", "--output", "{output}"]);
    scorer["args"] = json!(["--where", "Device={device},Tag={tag}"]);
    cluster.apply(&cluster.pool("3s")).await?;
    cluster.apply(&schedule).await?;
    cluster.apply(&manifests::run_now(NAMESPACE, RUN, SCHEDULE)).await?;
    let ended = cluster.complete(NAMESPACE, RUN, &sensors()).await?;
    same_files(&ended.predictions, &inputs.scorer_run(&built_in, ended.tick).await?)?;
    for outcome in &ended.record.outcomes {
        ensure!(outcome.exit_code == Some(0), "{outcome:?}");
        ensure!(outcome.cpu_seconds.is_some() && outcome.peak_memory_bytes.is_some(), "{outcome:?}");
    }
    let first = ended.record.outcomes.first().context("there is no outcome")?;
    tell(&format!("{RUN}: {} rows, {} anomalies of {}", first.scored, first.anomalies, first.sensor));
    ensure!(first.rows == first.scored && first.rows > 0, "{first:?}");
    for (path, log) in &ended.logs {
        let log = String::from_utf8_lossy(log);
        ensure!(log.contains("OUT") && log.contains("\"anomalies\":"), "{path}: {log}");
    }
    ensure!(ended.logs.len() == sensors().len(), "logs: {:?}", ended.logs.keys());
    Ok(())
}
