//! `scorer train`: a model from a file of readings, or one for each sensor of a file in a store.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use spec::report::exit;
use spec::template::TemplateError;
use spec::{SensorKeys, Template};
use store::{Store, StoreError};

use super::output::write_whole;
use super::select::{Select, SelectError};
use super::stored::{StoreArgs, runtime};
use crate::context::StepError;
use crate::engine::{Layout, Readings, ReadingsError, SensorReadings, read_csv};
use crate::model::Trained;
use crate::train::{Gamma, TrainError, TrainOptions, train};

/// Train one-class models on past readings
///
/// Labels are not needed: a few anomalies among the readings do no harm. Prints one JSON line: models, failed, rows
/// (that models were fitted to) and seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer train --input data/sensor_data.csv --where Device=1,Tag=5 --output models/model_1_5
  scorer train --store file:///data/plant --data data/sensor_data.csv --models 'models/model_{device}_{tag}'")]
pub struct Args {
    /// The readings of one model: CSV with a header
    #[arg(long, requires = "output", conflicts_with = "url", required_unless_present = "url")]
    input: Option<PathBuf>,
    /// The model
    #[arg(long, requires = "input")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// The readings in the store, sensors interleaved
    #[arg(long, requires = "url", default_value = "data/sensor_data.csv")]
    data: String,
    /// The models in the store, one for each sensor found
    #[arg(long, requires = "url", default_value = "models/model_{device}_{tag}")]
    models: Template,
    #[command(flatten)]
    select: Select,
    /// The share of readings that the fit may leave outside: well above the share of anomalies among them
    #[arg(long, default_value_t = TrainOptions::default().nu)]
    nu: f64,
    /// The kernel's width: scale, or a number
    #[arg(long, default_value = "scale", value_parser = gamma)]
    gamma: Gamma,
    /// How far the boundary is then moved out, from 0 (scikit-learn's boundary) to below 1
    #[arg(long, default_value_t = TrainOptions::default().margin)]
    margin: f64,
}

fn gamma(text: &str) -> Result<Gamma, String> {
    match text {
        "scale" => Ok(Gamma::Scale),
        _ => text.parse().map(Gamma::Value).map_err(|_| "write scale or a number".to_owned()),
    }
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    models: u64,
    failed: u64,
    rows: u64,
    seconds: f64,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error(transparent)]
    Readings(#[from] ReadingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] StepError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("sensor {sensor}: {source}")]
    Train { sensor: SensorKeys, source: TrainError },
    #[error("cannot write {path}: {source}")]
    Output { path: String, source: std::io::Error },
    #[error("the model does not serialise: {0}")]
    Serialise(#[from] serde_json::Error),
    #[error("{0}: no sensor has a row")]
    NoSensors(String),
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let started = Instant::now();
        let done = match (&self.input, &self.output) {
            (Some(input), Some(output)) => self.train_file(input, output),
            _ => self.train_store(),
        };
        match done {
            Ok(mut summary) => {
                summary.seconds = started.elapsed().as_secs_f64();
                let failed = summary.failed > 0;
                let printed = super::print_json(&summary);
                if failed { exit::INVALID } else { printed }
            }
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

    fn train_file(&self, input: &Path, output: &Path) -> Result<Summary, Error> {
        let readings = self.select.read(input)?;
        let data = input.display().to_string();
        let (sensor, rows) = readings.sensors.iter().next().ok_or_else(|| Error::NoSensors(data.clone()))?;
        let (model, rows) = self.train_sensor(&data, &readings.layout, sensor, rows)?;
        write_whole(output, &model).map_err(|source| Error::Output { path: output.display().to_string(), source })?;
        Ok(Summary { models: 1, rows, ..Summary::default() })
    }

    /// One sensor that cannot be trained does not keep the others from it.
    fn train_store(&self) -> Result<Summary, Error> {
        let runtime = runtime().map_err(Error::Start)?;
        let Some(store) = self.store.open()? else { return Err(Error::NoSensors(self.data.clone())) };
        let readings = self.read_store(&runtime, &store)?;
        if readings.sensors.is_empty() {
            return Err(Error::NoSensors(store.uri(&self.data)));
        }
        let mut summary = Summary::default();
        for (sensor, rows) in &readings.sensors {
            match self.train_sensor(&self.data, &readings.layout, sensor, rows) {
                Ok((model, rows)) => {
                    runtime.block_on(store.put(&self.models.render(sensor)?, model))?;
                    summary.models += 1;
                    summary.rows += rows;
                }
                Err(error) => {
                    tracing::error!("{error}");
                    summary.failed += 1;
                }
            }
        }
        Ok(summary)
    }

    fn read_store(&self, runtime: &tokio::runtime::Runtime, store: &Store) -> Result<Readings, Error> {
        let keys: Vec<String> = self.models.keys().into_iter().map(str::to_owned).collect();
        let (reader, fetch) = runtime.block_on(store.read(&self.data))?;
        // This thread is none of the runtime's, so it may block on the reader.
        let fixed = SensorKeys::default();
        let file = store.uri(&self.data);
        let read = read_csv(&file, reader, &self.select.columns(), &keys, &fixed, None, None);
        runtime.block_on(fetch.end())?;
        let mut readings = read?;
        let wanted = self.select.sensor();
        readings.sensors.retain(|sensor, _| wanted.0.iter().all(|(key, value)| sensor.get(key) == Some(value)));
        Ok(readings)
    }

    /// The model's file, and how many readings it was fitted to.
    fn train_sensor(
        &self,
        data: &str,
        layout: &Layout,
        sensor: &SensorKeys,
        readings: &SensorReadings,
    ) -> Result<(Vec<u8>, u64), Error> {
        let options = TrainOptions { nu: self.nu, gamma: self.gamma, margin: self.margin };
        let (model, rows) = train(readings.values(), layout.values.len(), &options)
            .map_err(|source| Error::Train { sensor: sensor.clone(), source })?;
        for warning in model.warnings() {
            tracing::warn!("sensor {sensor}: {warning}");
        }
        let rows = rows as u64;
        let bytes = model.to_bytes(&Trained { data: data.to_owned(), rows, nu: self.nu, margin: self.margin })?;
        Ok((bytes, rows))
    }
}
