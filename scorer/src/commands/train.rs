//! `scorer train`: a model from a file of readings, or one for each sensor of a file in a store.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use spec::report::exit;
use spec::template::TemplateError;
use spec::{SensorKeys, Template};
use store::{Store, StoreError};

use super::output::{apart, write_whole};
use super::progress;
use super::select::{Select, SelectError, open};
use super::stored::{StoreArgs, runtime};
use crate::context::StepError;
use crate::engine::{Pass, ReadingsError, Wanted};
use crate::feed::Budget;
use crate::model::{MAX_BYTES, Trained};
use crate::train::{CACHE_BYTES, Fitted, Gamma, MAX_ROWS, Sampler, Samples, TrainError, TrainOptions, train};

/// Models under way to the store at once.
const WRITES: usize = 16;

/// Train one-class models on past readings
///
/// Labels are not needed: a few anomalies among the readings do no harm. The models of a store's sensors are trained on
/// all processors at once. Prints one JSON line: models, refused, failed, rows (that models were fitted to) and seconds.
///
/// A degenerate model, which calls everything or nothing an anomaly or knows single points only (gamma is far too small or
/// too large, or the sensor never changes), is refused and not written; the other sensors get theirs. Exit codes: 0 every
/// sensor has its model, 64 some have not (each is named on stderr), 75 the store was away.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer train --input data/sensor_data.csv --where Device=1,Tag=5 --output models/model_1_5
  scorer train --store file:///data/plant --data data/sensor_data.csv --models 'models/model_{device}_{tag}'")]
pub struct Args {
    /// The readings of one model: CSV, JSON lines or Parquet, packed with gzip or zstd or not
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
    #[arg(long, allow_negative_numbers = true, default_value_t = TrainOptions::default().nu)]
    nu: f64,
    /// The kernel's width: scale, or a number
    #[arg(long, allow_negative_numbers = true, default_value = "scale", value_parser = gamma)]
    gamma: Gamma,
    /// How far the boundary is then moved out, from 0 (scikit-learn's boundary) to below 1
    #[arg(long, allow_negative_numbers = true, default_value_t = TrainOptions::default().margin)]
    margin: f64,
    /// Readings that a model is fitted to at most; of more, that many at even distances. More make a model larger and
    /// slower to score with
    #[arg(long, default_value_t = MAX_ROWS)]
    max_rows: usize,
    /// Write degenerate models nevertheless
    #[arg(long)]
    force: bool,
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
    refused: u64,
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
    #[error(transparent)]
    Options(TrainError),
    #[error("{}: {source}", of(.data, .sensor))]
    Train { data: String, sensor: SensorKeys, source: TrainError },
    #[error("{}: {why}; to write the model nevertheless, add --force", of(.data, .sensor))]
    Degenerate { data: String, sensor: SensorKeys, why: String },
    #[error(
        "{}: its model would have {bytes} bytes, and a model may have at most {MAX_BYTES}; lower --max-rows or --nu",
        of(.data, .sensor)
    )]
    TooLarge { data: String, sensor: SensorKeys, bytes: usize },
    #[error("training broke off: {0}")]
    Broke(#[from] tokio::task::JoinError),
    #[error("cannot write {path}: {source}")]
    Output { path: String, source: std::io::Error },
    #[error("the model does not serialise: {0}")]
    Serialise(#[from] serde_json::Error),
    #[error("{0}: no sensor has a row")]
    NoSensors(String),
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

/// Whose readings; a file may be of one sensor without a name.
fn of(data: &str, sensor: &SensorKeys) -> String {
    if sensor.0.is_empty() { data.to_owned() } else { format!("{data}: sensor {sensor}") }
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let started = Instant::now();
        match self.train() {
            Ok(mut summary) => {
                summary.seconds = started.elapsed().as_secs_f64();
                let printed = super::print_json(&summary);
                if summary.failed + summary.refused > 0 { exit::INVALID } else { printed }
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

    fn train(&self) -> Result<Summary, Error> {
        self.options(1).check().map_err(Error::Options)?;
        match (&self.input, &self.output) {
            (Some(input), Some(output)) => self.train_file(input, output),
            _ => self.train_store(),
        }
    }

    /// How to train so many models at once.
    fn options(&self, at_once: usize) -> TrainOptions {
        let Self { nu, gamma, margin, max_rows, .. } = *self;
        TrainOptions { nu, gamma, margin, max_rows, cache_bytes: CACHE_BYTES / at_once }
    }

    fn train_file(&self, input: &Path, output: &Path) -> Result<Summary, Error> {
        let of_output = |source| Error::Output { path: output.display().to_string(), source };
        apart(output, &[input]).map_err(of_output)?;
        let (data, file) = open(input)?;
        let samples = self.sample(&data, file, self.select.wanted()?)?;
        let sensor = samples.sensors.keys().next().cloned().ok_or_else(|| Error::NoSensors(data.clone()))?;
        let job = Job { data, samples, options: self.options(1), force: self.force };
        let (model, rows) = job.train(&sensor)?;
        write_whole(output, &model).map_err(of_output)?;
        Ok(Summary { models: 1, rows, ..Summary::default() })
    }

    /// One sensor that cannot be trained does not keep the others from it.
    fn train_store(&self) -> Result<Summary, Error> {
        let runtime = runtime().map_err(Error::Start)?;
        let Some(store) = self.store.open()? else { return Err(Error::NoSensors(self.data.clone())) };
        let bar = progress::bar("reading");
        let samples = self.sample_store(&runtime, &store)?;
        let sensors: Vec<SensorKeys> = samples.sensors.keys().cloned().collect();
        if sensors.is_empty() {
            return Err(Error::NoSensors(store.uri(&self.data)));
        }
        progress::count_sensors(&bar, sensors.len() as u64);
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let options = self.options(at_once);
        let job = Arc::new(Job { data: self.data.clone(), samples, options, force: self.force });
        let written = stream::iter(sensors)
            .map(|sensor| {
                let (job, store) = (job.clone(), &store);
                async move {
                    let path = self.models.render(&sensor)?;
                    if let Err(error) = store.check(&path) {
                        return Ok((path, Err(Error::Store(error))));
                    }
                    Ok((path, tokio::task::spawn_blocking(move || job.train(&sensor)).await?))
                }
            })
            .buffer_unordered(at_once)
            .map_ok(|(path, trained)| {
                let store = &store;
                async move {
                    match trained {
                        Ok((model, rows)) => store.put(&path, model).await.map(|()| Ok(rows)).map_err(Error::Store),
                        Err(error) => Ok(Err(error)),
                    }
                }
            })
            .try_buffer_unordered(WRITES);
        let summary = written.try_fold(Summary::default(), |mut summary, written| {
            match &written {
                Ok(rows) => {
                    summary.models += 1;
                    summary.rows += rows;
                }
                Err(Error::Degenerate { .. }) => summary.refused += 1,
                Err(_) => summary.failed += 1,
            }
            if let Err(error) = written {
                bar.suspend(|| tracing::error!("{error}"));
            }
            bar.inc(1);
            std::future::ready(Ok(summary))
        });
        let summary = runtime.block_on(summary);
        bar.finish_and_clear();
        summary
    }

    fn sample_store(&self, runtime: &tokio::runtime::Runtime, store: &Store) -> Result<Samples, Error> {
        let keys: Vec<String> = self.models.keys().into_iter().map(str::to_owned).collect();
        let encoding = self.select.encoding()?;
        let (reader, fetch) = runtime.block_on(store.read(&self.data))?;
        // This thread is none of the runtime's, so it may block on the reader.
        let wanted = Wanted { encoding, columns: self.select.columns(), keys, ..Wanted::default() };
        let samples = self.sample(&store.uri(&self.data), reader, wanted);
        runtime.block_on(fetch.end())?;
        let (mut samples, wanted) = (samples?, self.select.sensor());
        samples.sensors.retain(|sensor, _| wanted.0.iter().all(|(key, value)| sensor.get(key) == Some(value)));
        Ok(samples)
    }

    /// Reads a file and keeps what models are trained on.
    fn sample(&self, name: &str, input: impl Read, wanted: Wanted) -> Result<Samples, ReadingsError> {
        let mut pass = Pass::new(wanted, vec![name.to_owned()], Budget::share(1, 1).limits());
        let mut sampler = Sampler::new(self.max_rows);
        // The sampler never has enough.
        let _ = pass.file(input, &mut sampler)?;
        let totals = pass.end(&mut sampler)?;
        Ok(sampler.finish(&totals))
    }
}

/// What models are trained on, and how.
struct Job {
    data: String,
    samples: Samples,
    options: TrainOptions,
    force: bool,
}

impl Job {
    /// A sensor's model as a file, and how many readings it was fitted to.
    fn train(&self, sensor: &SensorKeys) -> Result<(Vec<u8>, u64), Error> {
        let values = self.samples.sensors.get(sensor).map(Vec::as_slice).unwrap_or_default();
        let Fitted { model, rows, degenerate, .. } = train(values, self.samples.n_features, &self.options)
            .map_err(|source| Error::Train { data: self.data.clone(), sensor: sensor.clone(), source })?;
        match degenerate {
            Some(why) if !self.force => {
                return Err(Error::Degenerate { data: self.data.clone(), sensor: sensor.clone(), why });
            }
            Some(why) => tracing::warn!("{}: {why}", of(&self.data, sensor)),
            None => {}
        }
        let TrainOptions { nu, margin, .. } = self.options;
        let rows = rows as u64;
        let bytes = model.to_bytes(&Trained { data: self.data.clone(), rows, nu, margin })?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::TooLarge { data: self.data.clone(), sensor: sensor.clone(), bytes: bytes.len() });
        }
        Ok((bytes, rows))
    }
}
