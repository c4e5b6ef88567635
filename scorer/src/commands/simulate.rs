//! `scorer simulate`: readings to play with.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use spec::Span;
use spec::report::exit;
use store::StoreError;

use super::output::write_whole;
use super::stored::{StoreArgs, runtime};
use crate::context::StepError;
use crate::simulate::{Plant, write};

const READINGS: &str = "data/sensor_data.csv";
const LABELS: &str = "data/labels.csv";

/// Simulate a plant: 5-second averages of many sensors, with labelled anomalies
///
/// Writes data/sensor_data.csv (TS,Device,Tag,Value) and data/labels.csv (the same rows and Anomaly, 0 or 1). What a
/// sensor is like follows from its device and tag, noise and anomalies from the seed: another seed is another stretch in
/// the life of the same plant. The same arguments give the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer simulate --output plant --devices 4 --tags 6 --start 2026-01-01T00:00:00Z --length 2h --seed 1
  scorer simulate --store file:///data/plant --start 2026-01-01T00:00:00Z --length 1d --seed 2 --anomalies 0")]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// A folder to write to, in place of --store
    #[arg(long, value_name = "DIR", conflicts_with = "url", required_unless_present = "url")]
    output: Option<PathBuf>,
    /// How many devices
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    devices: u32,
    /// How many sensors each device has
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    tags: u32,
    /// The time of the first row (RFC 3339)
    #[arg(long)]
    start: Timestamp,
    /// How long: 2h, 1d, …
    #[arg(long, default_value = "2h")]
    length: Span,
    /// Decides noise and anomalies
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The share of rows that are anomalies, from 0 to 0.5
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    anomalies: f64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("write a number from 0 to 0.5".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Summary {
    sensors: u64,
    rows: u64,
    anomalies: u64,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] StepError),
    #[error("cannot write {path}: {source}")]
    Output { path: String, source: std::io::Error },
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        match self.simulate() {
            Ok(summary) => super::print_json(&summary),
            Err(error) => {
                tracing::error!("{error}");
                match error {
                    Error::Store(e) if e.is_retryable() => exit::RETRY,
                    Error::Open(e) => e.exit_code(),
                    _ => exit::INVALID,
                }
            }
        }
    }

    fn simulate(&self) -> Result<Summary, Error> {
        let Self { devices, tags, start, length, seed, anomalies, .. } = *self;
        let failed = |path: &str| {
            let path = path.to_owned();
            move |source| Error::Output { path, source }
        };
        let store = self.store.open()?;
        let plant = Plant { devices, tags, start, length, seed, anomalies };
        let (mut readings, mut labels) = (Vec::new(), Vec::new());
        let simulated = write(&plant, &mut readings, &mut labels).map_err(failed(READINGS))?;
        if let Some(store) = store {
            runtime().map_err(failed(READINGS))?.block_on(async {
                store.put(LABELS, labels).await?;
                store.put(READINGS, readings).await
            })?;
        } else {
            let folder = self.output.clone().unwrap_or_default();
            for (name, bytes) in [(LABELS, labels), (READINGS, readings)] {
                let path = folder.join(name);
                let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                made.and_then(|()| write_whole(&path, &bytes)).map_err(failed(&path.display().to_string()))?;
            }
        }
        let sensors = u64::from(devices) * u64::from(tags);
        Ok(Summary { sensors, rows: simulated.rows, anomalies: simulated.anomalies })
    }
}
