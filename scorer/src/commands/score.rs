//! `scorer score`: one model, one file.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;
use spec::SensorKeys;
use spec::report::exit;
use spec::work::{PredictionFormat, Predictions};

use super::models::{ReadError, read_file, tell_warnings};
use super::output::{Whole, apart};
use super::select::{Select, SelectError, open};
use super::stored::runtime;
use crate::engine::{Counts, Model, ModelError, Pass, PredictionsError, ReadingsError, ScoreError, Scorer, SensorFile};
use crate::feed::{Budget, Feed, feeds};
use crate::kernel::Precision;
use crate::problem::Problem;

/// Score one file of readings with one model
///
/// Prints one JSON line: rows (bad ones included), anomalies, bad_rows (without a usable value; they have no
/// prediction) and seconds. The output is written whole or not at all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer score --model models/model_1_5 --input data/sensor_data.csv --where Device=1,Tag=5 --output out.csv
  scorer score --model pump.pkl --input pump.csv --columns time=at,value=flow,value=pressure --output out.csv")]
pub struct Args {
    /// The model: a pickle, joblib, skops or ONNX file of scikit-learn's (nothing in it is executed), or one from `scorer
    /// train` or `scorer import`
    #[arg(long)]
    model: PathBuf,
    /// The readings: CSV, JSON lines or Parquet, packed with gzip or zstd or not
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
    #[error(transparent)]
    Readings(#[from] ReadingsError),
    #[error("{}", .0.message)]
    Problem(Problem),
    #[error("{file}: no row has {sensor}; look at --where and at the file")]
    NoRows { file: String, sensor: SensorKeys },
    #[error("{file}: there is a header but no data row")]
    NoData { file: String },
    #[error("{file}: {why}")]
    AllBad { file: String, why: String },
    #[error(transparent)]
    Score(#[from] ScoreError),
    #[error("{file}: {source}")]
    Predictions { file: String, source: PredictionsError },
    #[error("cannot write {path}: {source}")]
    Output { path: String, source: std::io::Error },
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
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
        apart(&self.output, &[&self.input, &self.model]).map_err(|source| self.of_output(source))?;
        let model = Model::from_bytes(&self.model.display().to_string(), &read_file(&self.model)?)?
            .with_precision(self.precision);
        tell_warnings(&self.model.display().to_string(), &model);
        let kind = Predictions { format: self.format.into(), ..Predictions::default() };
        let mut wanted = self.select.wanted()?;
        wanted.instants = kind.format == PredictionFormat::Parquet;
        let (name, input) = open(&self.input)?;
        let budget = Budget::share(1, 1);
        let mut pass = Pass::new(wanted, vec![name], budget.limits());
        let (mut filler, feeds) = feeds(1, budget);
        // Read on a thread of its own: the next rows are read while these are scored.
        std::thread::spawn(move || {
            let end = match pass.file(input, &mut filler) {
                Ok(ControlFlow::Continue(())) => pass.end(&mut filler),
                Ok(ControlFlow::Break(())) => return,
                Err(error) => Err(error),
            };
            filler.end(end.map_err(|e| Problem::of_readings(&e)));
        });
        let (counts, anomalies) = runtime().map_err(Error::Start)?.block_on(self.score_rows(model, feeds, &kind))?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Summary { rows: counts.rows, anomalies, bad_rows: counts.bad_rows, seconds })
    }

    fn of_output(&self, source: std::io::Error) -> Error {
        Error::Output { path: self.output.display().to_string(), source }
    }

    async fn score_rows(&self, model: Model, feeds: Vec<Feed>, kind: &Predictions) -> Result<(Counts, u64), Error> {
        let (name, sensor) = (self.input.display().to_string(), self.select.sensor());
        let Some(mut feed) = feeds.into_iter().next() else { return Err(Error::NoData { file: name }) };
        let scorer = match Scorer::new(Arc::new(model), feed.head().await?) {
            Ok(scorer) => scorer,
            // That there are no readings is the more useful thing to know.
            Err(_) if feed.next().await?.is_none() => return Err(no_rows(name, sensor)),
            Err(error) => return Err(error.into()),
        };
        // What a Parquet file has for times is told before its rows, and known at their end only.
        let unread_time = match kind.format {
            PredictionFormat::Parquet => {
                let totals = feed.end().await?;
                feed.counts(&totals).and_then(|counts| counts.unread_time.clone())
            }
            _ => {
                feed.claim();
                None
            }
        };
        let of_file = |source| Error::Predictions { file: name.clone(), source };
        let of_output = |source| self.of_output(source);
        let mut file = SensorFile::begin(kind, &sensor, scorer, unread_time.as_deref()).map_err(of_file)?;
        let mut output = Whole::begin(&self.output).map_err(of_output)?;
        while let Some(rows) = feed.next().await? {
            file.add(rows).map_err(of_file)?;
            output.write_all(file.ready()).map_err(of_output)?;
            file.ready().clear();
        }
        let totals = feed.end().await?;
        let mut counts = feed.counts(&totals).cloned().unwrap_or_default();
        if counts.rows == 0 {
            return Err(no_rows(name, sensor));
        }
        let tally = file.tally().clone();
        counts.add_bad(tally.bad_rows, tally.first_bad);
        if let Some(why) = counts.all_bad() {
            return Err(Error::AllBad { file: name, why });
        }
        for warning in counts.warnings(&totals) {
            tracing::warn!("{name}: {warning}");
        }
        output.write_all(&file.finish().map_err(of_file)?).map_err(of_output)?;
        output.finish().map_err(of_output)?;
        Ok((counts, tally.anomalies))
    }
}

fn no_rows(file: String, sensor: SensorKeys) -> Error {
    if sensor.0.is_empty() { Error::NoData { file } } else { Error::NoRows { file, sensor } }
}
