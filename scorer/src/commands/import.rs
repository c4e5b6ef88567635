//! `scorer import`: models of other programs into the project's own format.

mod convert;

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use serde::Serialize;
use spec::report::exit;
use spec::template::TemplateError;
use spec::{SensorKeys, Template};
use store::{File, Store, StoreError};

use self::convert::{ConvertError, convert};
use super::models::{AT_ONCE, Fetcher, ReadError, read_file, tell_warnings};
use super::output::{apart, write_new, write_whole};
use super::progress;
use super::stored::{StoreArgs, runtime};
use crate::context::StepError;
use crate::model::{MAX_BYTES, Model};
use crate::plan::{Models, find_models};

/// Convert models that scikit-learn saved into the scorer's own format
///
/// Each is read without executing anything in it, converted, and read back: only when it then gives the same bits for
/// the same rows is it written, whole or not at all. A model that is there already is left alone unless --force is
/// given. Prints one JSON line: models (found), imported, unchanged (the same model was there already), refused (another
/// model was), failed and seconds.
///
/// Exit codes: 0 every model is there, 64 some are not (each is named on stderr), 75 the store was away.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer import --input pump.pkl --output pump.model
  scorer import --store file:///data/plant --models 'models/model_{device}_{tag}' --to 'native/model_{device}_{tag}'")]
pub struct Args {
    /// The model to convert
    #[arg(long, requires = "output", conflicts_with = "url", required_unless_present = "url")]
    input: Option<PathBuf>,
    /// The converted model
    #[arg(long, requires = "input")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// The models in the store
    #[arg(long, value_name = "TEMPLATE", requires = "url", default_value = "models/model_{device}_{tag}")]
    models: Template,
    /// The converted models in the store: a path with the same keys
    #[arg(long, value_name = "TEMPLATE", requires = "url", required_unless_present = "input")]
    to: Option<Template>,
    /// Write over models that are there already
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    models: u64,
    imported: u64,
    unchanged: u64,
    refused: u64,
    failed: u64,
    seconds: f64,
}

/// What became of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Imported,
    Unchanged,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("{0} is there already and is another model; to write over it, add --force")]
    Exists(String),
    #[error("--to {to} has not the same keys as --models {models}; write each of them in both")]
    Keys { models: Template, to: Template },
    #[error("cannot write {path}: {source}")]
    Output { path: String, source: std::io::Error },
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl Error {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            Self::Step(error) => error.exit_code() != exit::INVALID,
            _ => false,
        }
    }
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let started = Instant::now();
        let (mut summary, away) = match self.import() {
            Ok(done) => done,
            Err(error) => {
                tracing::error!("{error}");
                return if error.is_retryable() { exit::RETRY } else { exit::INVALID };
            }
        };
        summary.seconds = started.elapsed().as_secs_f64();
        let printed = super::print_json(&summary);
        match summary.failed + summary.refused {
            0 => printed,
            _ if away => exit::RETRY,
            _ => exit::INVALID,
        }
    }

    fn import(&self) -> Result<(Summary, bool), Error> {
        match (&self.input, &self.output, &self.to) {
            (Some(input), Some(output), _) => {
                let done = self.import_file(input, output)?;
                let mut summary = Summary { models: 1, ..Summary::default() };
                summary.count(done);
                Ok((summary, false))
            }
            (_, _, Some(to)) => self.import_store(to),
            // clap asks for one of the two.
            _ => Ok((Summary::default(), false)),
        }
    }

    fn import_file(&self, input: &Path, output: &Path) -> Result<Done, Error> {
        let name = input.display().to_string();
        let path = output.display().to_string();
        let wrong = |source| Error::Output { path: path.clone(), source };
        if self.force {
            apart(output, &[input]).map_err(wrong)?;
        }
        let bytes = read_file(input)?;
        let model = Model::from_bytes(&name, &bytes).map_err(ReadError::from)?;
        let converted = convert(&name, &bytes, &model)?;
        tell_warnings(&name, &model);
        if self.force {
            write_whole(output, &converted).map_err(wrong)?;
        } else if !write_new(output, &converted).map_err(wrong)? {
            let same = read_file(output).is_ok_and(|there| there == converted);
            return if same { Ok(Done::Unchanged) } else { Err(Error::Exists(path)) };
        }
        Ok(Done::Imported)
    }

    /// One model that cannot be converted does not keep the others from it.
    fn import_store(&self, to: &Template) -> Result<(Summary, bool), Error> {
        if to.keys() != self.models.keys() {
            return Err(Error::Keys { models: self.models.clone(), to: to.clone() });
        }
        let runtime = runtime().map_err(Error::Start)?;
        let Some(store) = self.store.open()? else { return Ok((Summary::default(), false)) };
        let bar = progress::bar("listing models");
        let Models { sensors: files, left_out } = runtime.block_on(find_models(&store, &self.models))?;
        super::models::tell_left_out(&left_out);
        progress::count_sensors(&bar, files.len() as u64);
        let fetcher = Fetcher::new(store.clone());
        let mut imported = stream::iter(files)
            .map(|(sensor, file)| self.import_stored(&store, &fetcher, to, sensor, file, &bar))
            .buffer_unordered(AT_ONCE);
        let (mut summary, mut away) = (Summary::default(), false);
        runtime.block_on(async {
            while let Some(done) = imported.next().await {
                summary.models += 1;
                match done {
                    Ok(done) => summary.count(done),
                    Err(error) => {
                        away |= error.is_retryable();
                        match &error {
                            Error::Exists(_) => summary.refused += 1,
                            _ => summary.failed += 1,
                        }
                        bar.suspend(|| tracing::error!("{error}"));
                    }
                }
                bar.inc(1);
            }
        });
        drop(imported);
        bar.finish_and_clear();
        Ok((summary, away))
    }

    async fn import_stored(
        &self,
        store: &Store,
        fetcher: &Fetcher,
        to: &Template,
        sensor: SensorKeys,
        file: File,
        bar: &ProgressBar,
    ) -> Result<Done, Error> {
        let (target, bar) = (to.render(&sensor)?, bar.clone());
        let converted = fetcher
            .with(&file, move |name, bytes, model| {
                let model = model.map_err(ReadError::from)?;
                let converted = convert(name, &bytes, &model)?;
                bar.suspend(|| tell_warnings(name, &model));
                Ok::<_, Error>(converted)
            })
            .await??;
        let converted = bytes::Bytes::from(converted);
        if self.force {
            store.put(&target, converted).await?;
        } else if !store.put_if_absent(&target, converted.clone()).await? {
            return match store.get(&target, MAX_BYTES).await {
                Ok(there) if there == converted => Ok(Done::Unchanged),
                Ok(_) | Err(StoreError::TooLarge { .. }) => Err(Error::Exists(store.uri(&target))),
                Err(error) => Err(error.into()),
            };
        }
        Ok(Done::Imported)
    }
}

impl Summary {
    fn count(&mut self, done: Done) {
        match done {
            Done::Imported => self.imported += 1,
            Done::Unchanged => self.unchanged += 1,
        }
    }
}
