//! Readings and models: made by the scorer, the very program that the pods run.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use local_aks::Facts;

use crate::tool::Tool;

pub(crate) const DEVICES: u32 = 4;
pub(crate) const TAGS: u32 = 6;
pub(crate) const SENSORS: u32 = DEVICES * TAGS;
const LENGTH: SignedDuration = SignedDuration::from_hours(2);
const SEED: &str = "1";
/// Another stretch in the life of the same sensors, in which more goes wrong.
const LIVE_SEED: &str = "2";
const LIVE_ANOMALIES: &str = "0.02";

/// The scorer as a program of this machine, with the store's key in a folder, as pods have it.
pub(crate) struct Workload<'a> {
    scorer: Tool,
    store_url: &'a str,
    secret: String,
}

impl<'a> Workload<'a> {
    pub(crate) fn new(facts: &'a Facts, scorer: &Path, folder: &Path) -> anyhow::Result<Self> {
        let secret = folder.join("store-secret");
        let written =
            std::fs::create_dir_all(&secret).and_then(|()| std::fs::write(secret.join("accountKey"), &facts.store_key));
        written.with_context(|| format!("writing the store's key to {}", secret.display()))?;
        let secret = secret.display().to_string();
        Ok(Self { scorer: Tool::at(facts, scorer), store_url: &facts.store_url, secret })
    }

    /// Writes two hours of readings that end now, and their labels, to the store.
    pub(crate) async fn simulate(&self, now: Timestamp) -> anyhow::Result<()> {
        let second = Timestamp::from_second(now.as_second()).context("the clock")?;
        let start = second.checked_sub(LENGTH).context("the clock")?.to_string();
        let (devices, tags) = (DEVICES.to_string(), TAGS.to_string());
        let what = ["--devices", &devices, "--tags", &tags, "--start", &start, "--length", "2h", "--seed", SEED];
        self.run("simulate", &what).await.context("making the readings")
    }

    /// Writes what the same sensors are to send live, and their labels, to a folder: the average of each 5 seconds from a
    /// multiple of 5 seconds on, for an hour.
    pub(crate) async fn foretell(&self, start: Timestamp, folder: &Path) -> anyhow::Result<()> {
        let (devices, tags, start) = (DEVICES.to_string(), TAGS.to_string(), start.to_string());
        let what = ["--devices", &devices, "--tags", &tags, "--start", &start, "--length", "1h", "--seed", LIVE_SEED];
        let mut args: Vec<&OsStr> = ["simulate", "--anomalies", LIVE_ANOMALIES].map(OsStr::new).into();
        args.extend(what.map(OsStr::new));
        args.extend([OsStr::new("--output"), folder.as_os_str()]);
        self.scorer.run(args).await.context("making what sensors are to send").map(drop)
    }

    /// Trains one model for each sensor of the readings and writes them to the store.
    pub(crate) async fn train(&self) -> anyhow::Result<()> {
        let what = ["--data", "data/sensor_data.csv", "--models", "models/model_{device}_{tag}"];
        self.run("train", &what).await.context("training the models")
    }

    async fn run(&self, command: &str, args: &[&str]) -> anyhow::Result<()> {
        let store = [command, "--store", self.store_url, "--secret-dir", &self.secret];
        self.scorer.run(store.iter().chain(args)).await.map(drop)
    }
}
