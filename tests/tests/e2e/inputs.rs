//! Readings and models, made by the product itself, once in a folder and once in the store: the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use spec::SensorKeys;
use tests::blobs::{Blobs, files_below};
use tokio::process::Command;

use crate::cluster::output;
use crate::whole::without_hidden;

/// Devices and tags per device.
const DEVICES: u32 = 4;
const TAGS: u32 = 3;

/// A folder laid out as the store is: `models/model_1_1`, `data/sensor_data.csv`, …
pub(crate) struct Inputs {
    pub(crate) folder: PathBuf,
    scorer: PathBuf,
}

/// Every sensor, in order.
pub(crate) fn sensors() -> Vec<SensorKeys> {
    let tags = |device: u32| (1..=TAGS).map(move |tag| sensor(device, tag));
    (1..=DEVICES).flat_map(tags).collect()
}

/// One.
pub(crate) fn sensor(device: u32, tag: u32) -> SensorKeys {
    [("device", device.to_string()), ("tag", tag.to_string())].into_iter().collect()
}

impl Inputs {
    /// Makes them.
    pub(crate) async fn make(scorer: &Path, folder: &Path, blobs: &Blobs) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        let url = format!("file://{}", folder.display());
        // The windows of the ticks to come lie well inside.
        let start = (Timestamp::now() - SignedDuration::from_mins(90)).round(jiff::Unit::Minute)?.to_string();
        let mut simulate = Command::new(scorer);
        simulate.args(["simulate", "--store", &url, "--start", &start, "--length", "3h", "--seed", "7"]);
        simulate.args(["--devices", &DEVICES.to_string(), "--tags", &TAGS.to_string()]);
        output(simulate, None).await.context("make readings")?;
        let mut train = Command::new(scorer);
        train.args(["train", "--store", &url, "--data", "data/sensor_data.csv"]);
        train.args(["--models", "models/model_{device}_{tag}"]);
        output(train, None).await.context("train models")?;
        // For the sensors that are to fail: one model is garbage, one is not there.
        let corrupt = folder.join("models/defects");
        std::fs::create_dir_all(&corrupt)?;
        for tag in 1..=2 {
            std::fs::copy(folder.join(format!("models/model_1_{tag}")), corrupt.join(format!("model_1_{tag}")))?;
        }
        std::fs::write(corrupt.join("model_1_3"), b"\x80\x04this was a model once")?;
        for (path, bytes) in files_below(folder)? {
            blobs.put(&path, bytes).await?;
        }
        Ok(Self { folder: folder.to_path_buf(), scorer: scorer.to_path_buf() })
    }

    /// A whole run of a schedule in a process of this machine, over a copy of the inputs. Gives the predictions by
    /// their paths in the store.
    pub(crate) async fn scorer_run(&self, schedule: &Value, at: Timestamp) -> Result<BTreeMap<String, Vec<u8>>> {
        let work = tempfile::tempdir()?;
        for (path, bytes) in files_below(&self.folder)? {
            let file = work.path().join(path);
            std::fs::create_dir_all(file.parent().context("a file has a folder")?)?;
            std::fs::write(file, bytes)?;
        }
        let manifest = work.path().join("schedule.yaml");
        // JSON is YAML.
        std::fs::write(&manifest, schedule.to_string())?;
        let mut run = Command::new(&self.scorer);
        run.arg("run").arg("-f").arg(&manifest).args(["--at", &at.to_string()]);
        run.arg("--store").arg(format!("file://{}", work.path().display()));
        output(run, None).await.context("scorer run")?;
        let predictions = without_hidden(files_below(&work.path().join("predictions"))?);
        ensure!(!predictions.is_empty(), "scorer run wrote no predictions");
        Ok(predictions.into_iter().map(|(path, bytes)| (format!("predictions/{path}"), bytes)).collect())
    }
}
