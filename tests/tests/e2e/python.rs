//! The Python image of the examples on real kubelets: built without Docker, started once for each sensor, its predictions
//! next to those of the built-in scorer for the same models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail, ensure};
use serde_json::{Value, json};
use spec::SensorKeys;
use store::{Outcome, Status};
use tests::blobs::files_below;
use tokio::process::Command;

use crate::cluster::{Cluster, Shared, output, tell, workspace};
use crate::environment::environment;
use crate::inputs::sensor;
use crate::manifests;
use crate::whole::Ended;

const NAMESPACE: &str = "e2e-python";
/// Sensors with a model.
const DEVICES: u32 = 6;
const TAGS: u32 = 4;
/// The model, which is none, of one more.
const BROKEN: &str = "model_7_1";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let folder = workspace().join("target/e2e/python");
    let image = image(&cluster).await?;
    inputs(&cluster, &folder.join("inputs")).await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;

    let mut built_in = cluster.schedule(NAMESPACE, "built-in", "0 0 1 1 *");
    let spec = &mut built_in["spec"];
    spec["model"]["path"] = json!("models/python/model_{device}_{tag}");
    spec["data"]["path"] = json!("data/python/sensor_data.csv");
    spec["packing"] = json!({"sensorsPerPod": 7});
    let mut ours = built_in.clone();
    ours["metadata"]["name"] = json!("python");
    let example: Value = serde_saphyr::from_str(&std::fs::read_to_string(example().join("schedule.yaml"))?)?;
    ours["spec"]["scorer"] = example["spec"]["scorer"].clone();
    ours["spec"]["scorer"]["image"] = json!(image);

    let expected = scored(&cluster, &built_in, "built-in").await?;
    let ended = scored(&cluster, &ours, "python").await?;
    let mut anomalies = 0;
    for device in 1..=DEVICES {
        for tag in 1..=TAGS {
            let sensor = sensor(device, tag);
            let (ours, theirs) = (labels(&ended, &sensor)?, labels(&expected, &sensor)?);
            ensure!(ours.len() > 100, "{sensor}: {} predictions", ours.len());
            ensure!(ours == theirs, "{sensor}: Python's labels are not those of the built-in scorer");
            anomalies += ours.values().filter(|label| *label == "1").count();
            let outcome = outcome(&ended, &sensor)?;
            ensure!(outcome.status == Status::Succeeded && outcome.exit_code == Some(0), "{outcome:?}");
            ensure!(outcome.cpu_seconds.is_some_and(|seconds| seconds > 0.1), "{outcome:?}");
            ensure!(outcome.peak_memory_bytes.is_some_and(|bytes| bytes > 32 << 20), "{outcome:?}");
            let log = log(&ended, outcome)?;
            ensure!(log.contains(&format!("{{'device': '{device}', 'tag': '{tag}'}}: ")), "{sensor}: {log}");
        }
    }
    let broken = outcome(&ended, &sensor(DEVICES + 1, 1))?;
    ensure!(broken.status == Status::Failed && broken.reason.as_deref() == Some("CommandFailed"), "{broken:?}");
    let log = log(&ended, broken)?;
    ensure!(log.contains("Traceback (most recent call last)") && log.contains("UnpicklingError"), "{log}");
    tell(&format!("python: {} sensors, {anomalies} anomalies, as the built-in scorer", DEVICES * TAGS));
    Ok(())
}

fn example() -> PathBuf {
    workspace().join("examples/sklearn-python")
}

/// Builds the example's image and pushes it to the cluster's registry, as its README says.
pub(crate) async fn image(cluster: &Cluster) -> Result<String> {
    let scratch = workspace().join("target/e2e/python/image");
    let image = format!("{}/examples/sklearn-python:1", cluster.facts.registry);
    let mut build = Command::new(example().join("build.sh"));
    build.arg(&image).arg(&scratch).env("CRANE", cluster.facts.bin_dir.join("crane")).env("CRANE_FLAGS", "--insecure");
    output(build, None).await.context("build the Python image")?;
    Ok(image)
}

/// Readings, and a model of the example's own training for each sensor.
async fn inputs(cluster: &Cluster, folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let url = format!("file://{}", folder.display());
    let mut simulate = Command::new(cluster.binaries.scorer()?);
    simulate.args(["simulate", "--store", &url, "--start", "2026-01-01T00:00:00Z", "--length", "2h", "--seed", "7"]);
    simulate.args(["--devices", &(DEVICES + 1).to_string(), "--tags", &TAGS.to_string()]);
    output(simulate, None).await.context("make readings")?;
    let requirements = workspace().join("examples/notebook/requirements.txt");
    let python = tokio::task::spawn_blocking(move || environment("notebook", &requirements)).await?;
    let data = folder.join("data/sensor_data.csv");
    let mut train = Command::new(python.map_err(Error::msg)?);
    train.arg(example().join("train.py")).arg(&data).arg(folder.join("models"));
    output(train, None).await.context("train models")?;
    for (path, bytes) in files_below(&folder.join("models"))? {
        let is_of_last = path.starts_with(&format!("model_{}_", DEVICES + 1));
        match (is_of_last, path.as_str()) {
            (false, _) => cluster.blobs.put(&format!("models/python/{path}"), bytes).await?,
            (true, BROKEN) => cluster.blobs.put(&format!("models/python/{path}"), "no pickle").await?,
            (true, _) => {}
        }
    }
    cluster.blobs.put("data/python/sensor_data.csv", std::fs::read(&data)?).await
}

/// A run of a schedule, which ends Complete although one sensor fails.
async fn scored(cluster: &Cluster, schedule: &Value, name: &str) -> Result<Ended> {
    cluster.apply(schedule).await?;
    let run = format!("{name}-now");
    cluster.apply(&manifests::run_now(NAMESPACE, &run, name)).await?;
    let models = (1..=DEVICES).flat_map(|device| (1..=TAGS).map(move |tag| sensor(device, tag)));
    let sensors: Vec<_> = models.chain([sensor(DEVICES + 1, 1)]).collect();
    cluster.complete(NAMESPACE, &run, &sensors).await
}

/// Label by time.
fn labels(ended: &Ended, sensor: &SensorKeys) -> Result<BTreeMap<String, String>> {
    let folder = format!("/{}/", sensor.slug());
    let file = ended.predictions.iter().find(|(path, _)| path.contains(&folder));
    let (path, csv) = file.with_context(|| format!("{sensor} has no predictions: {:?}", ended.predictions.keys()))?;
    let text = std::str::from_utf8(csv).with_context(|| path.clone())?;
    let header = text.lines().next().unwrap_or_default();
    let Some(at) = header.split(',').position(|name| name == "prediction") else { bail!("{path}: {header}") };
    let row = |line: &str| Some((line.split(',').next()?.to_owned(), line.split(',').nth(at)?.to_owned()));
    text.lines().skip(1).map(|line| row(line).with_context(|| format!("{path}: {line}"))).collect()
}

fn outcome<'a>(ended: &'a Ended, sensor: &SensorKeys) -> Result<&'a Outcome> {
    let found = ended.record.outcomes.iter().find(|outcome| outcome.sensor == *sensor);
    found.with_context(|| format!("{sensor} has no outcome"))
}

fn log(ended: &Ended, outcome: &Outcome) -> Result<String> {
    let uri = outcome.log.as_deref().with_context(|| format!("{} has no log", outcome.sensor))?;
    let found = ended.logs.iter().find(|(path, _)| uri.ends_with(path.as_str()));
    let (_, text) = found.with_context(|| format!("{uri} is not there: {:?}", ended.logs.keys()))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}
