//! `scorer score`: one model, one file.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;
use spec::SensorKeys;
use spec::report::exit;
use spec::work::{PredictionFormat, Predictions};

use super::models::{ReadError, read_file};
use super::output::write_whole;
use super::select::{Select, SelectError};
use crate::engine::{Model, ModelError, PredictionsError, ScoreError, score};
use crate::kernel::Precision;

/// Score one file of readings with one model
///
/// Prints one JSON line: rows (bad ones included), anomalies, bad_rows (without a usable value; they have no
/// prediction) and seconds. The output is written whole or not at all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer score --model models/model_1_5 --input data/sensor_data.csv --where Device=1,Tag=5 --output out.csv
  scorer score --model pump.pkl --input pump.csv --columns time=at,value=flow,value=pressure --output out.csv")]
pub struct Args {
    /// The model: a pickled scikit-learn pipeline (nothing in it is executed), or one from `scorer train`
    #[arg(long)]
    model: PathBuf,
    /// The readings: CSV with a header
    #[arg(long)]
    input: PathBuf,
    /// What to compute scores of RBF kernels with
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    #[command(flatten)]
    select: Select,
    /// The predictions: the input's time, keys and values, then score and prediction (1 is an anomaly)
    #[arg(long)]
    output: PathBuf,
    /// What the predictions are written as
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated, with a header
    Csv,
    /// One JSON object a line
    #[value(name = "jsonl")]
    JsonLines,
    /// Apache Parquet, with typed columns
    Parquet,
}

impl From<Format> for PredictionFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::JsonLines => Self::JsonLines,
            Format::Parquet => Self::Parquet,
        }
    }
}

impl ValueEnum for Precision {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::F64, Self::F32]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::F64 => PossibleValue::new("f64").help("scores err by less than 1e-12"),
            Self::F32 => PossibleValue::new("f32")
                .help("about twice as fast; scores err by up to two millionths of the sum of the model's coefficients"),
        })
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Summary {
    rows: u64,
    anomalies: u64,
    bad_rows: u64,
    seconds: f64,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    ModelFile(#[from] ReadError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error("{file}: no row has {sensor}; look at --where and at the file")]
    NoRows { file: String, sensor: SensorKeys },
    #[error("{file}: there is a header but no data row")]
    NoData { file: String },
    #[error(transparent)]
    Score(#[from] ScoreError),
    #[error("{file}: {source}")]
    Predictions { file: String, source: PredictionsError },
    #[error("cannot write {path}: {source}")]
    Output { path: String, source: std::io::Error },
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        match self.score() {
            Ok(summary) => super::print_json(&summary),
            Err(error) => {
                tracing::error!("{error}");
                exit::INVALID
            }
        }
    }

    fn score(&self) -> Result<Summary, Error> {
        let started = Instant::now();
        let model = Model::from_bytes(&self.model.display().to_string(), &read_file(&self.model)?)?
            .with_precision(self.precision);
        for warning in model.warnings() {
            tracing::warn!("model {}: {warning}", self.model.display());
        }
        let readings = self.select.read(&self.input)?;
        let file = || self.input.display().to_string();
        let (sensor, rows) = readings.sensors.iter().next().ok_or_else(|| Error::NoData { file: file() })?;
        if rows.counts.rows == 0 {
            return Err(if sensor.0.is_empty() {
                Error::NoData { file: file() }
            } else {
                Error::NoRows { file: file(), sensor: sensor.clone() }
            });
        }
        let scored = score(&model, &readings.layout, sensor, rows)?;
        for warning in rows.counts.warnings(&readings.unplaced) {
            tracing::warn!("{}: {warning}", file());
        }
        let kind = Predictions { format: self.format.into(), ..Predictions::default() };
        let predictions = scored
            .to_file(&kind, &readings.layout, sensor, &rows.good)
            .map_err(|source| Error::Predictions { file: file(), source })?;
        write_whole(&self.output, &predictions)
            .map_err(|source| Error::Output { path: self.output.display().to_string(), source })?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Summary { rows: scored.rows, anomalies: scored.anomalies, bad_rows: scored.bad_rows, seconds })
    }
}
