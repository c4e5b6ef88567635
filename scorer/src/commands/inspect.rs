//! `scorer inspect`: what a model's file is; or which models of a store load, which do not, and why.

mod groups;
mod inspection;

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use futures::StreamExt;
use serde::Serialize;
use spec::Template;
use spec::report::exit;
use store::Store;

use self::groups::Groups;
use self::inspection::{Inspection, Outcome};
use super::common::SecretArgs;
use super::models::{AT_ONCE, Fetcher, read_file};
use super::progress;
use super::stored::runtime;
use crate::context::StepError;
use crate::plan::{Models, find_models};

/// Tell what a model's file is, without executing anything in it
///
/// Format, estimator, parameters, transforms, features, support vectors, scikit-learn version and warnings. With --all,
/// reads every model of a store, several at once in bounded memory, and tells how many load, and why the others do not.
///
/// Exit codes: 0 every model loads (warnings or not), 64 one does not, or the arguments are wrong, 75 the store was away.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer inspect pump.pkl
  scorer inspect pump.pkl -o json | jq .warnings
  scorer inspect --all file:///data/plant --models 'models/model_{device}_{tag}'
  scorer inspect --all https://ACCOUNT.blob.core.windows.net --models 'models/model_{device}_{tag}' -o json \\
    | jq -r 'select(.error) | .model'")]
pub struct Args {
    /// The model's file
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    model: Option<PathBuf>,
    /// Every model of this store: https://ACCOUNT.blob.core.windows.net, az://CONTAINER, http://HOST:PORT/ACCOUNT
    /// (Azurite), s3://BUCKET, gs://BUCKET or file:///DIR
    #[arg(long, value_name = "URL")]
    all: Option<String>,
    /// Where the store's models are: a path as in a ScoringSchedule's model.path
    #[arg(long, value_name = "TEMPLATE", requires = "all", default_value = "models/model_{device}_{tag}")]
    models: Template,
    #[command(flatten)]
    secret: SecretArgs,
    /// How to print: with json, one line for each model, and with --all a last one with the counts
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// JSON lines.
    Json,
}

/// What became of all models.
#[derive(Debug, Default, Serialize)]
struct Counts {
    models: u64,
    loaded: u64,
    failed: u64,
    /// Models that load, with a warning or more.
    warned: u64,
    seconds: f64,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        match (&self.model, &self.all) {
            (Some(model), _) => self.one(model),
            (None, Some(url)) => self.every(url).unwrap_or_else(|error| super::common::fail(&error)),
            // clap asks for one of the two.
            (None, None) => exit::INVALID,
        }
    }

    fn one(&self, path: &std::path::Path) -> u8 {
        let name = path.display().to_string();
        let inspection = match read_file(path) {
            Ok(bytes) => {
                let model = crate::model::Model::from_bytes(&name, &bytes);
                Inspection::of(name, &bytes, model)
            }
            Err(error) => Inspection::failed(name, &error),
        };
        if let Outcome::Fails { error } = &inspection.outcome {
            tracing::error!(reason = error.reason, "{}", error.message);
        }
        match self.output {
            Output::Json => {
                super::print_json(&inspection);
            }
            Output::Text => super::print::all(&inspection),
        }
        if inspection.loads() { exit::DONE } else { exit::INVALID }
    }

    fn every(&self, url: &str) -> Result<u8, StepError> {
        let started = Instant::now();
        let store = Store::open(url, &self.secret.find()?)?;
        let runtime = runtime().map_err(|e| StepError::Request(format!("cannot start: {e}")))?;
        let bar = progress::bar("listing models");
        let Models { sensors: files, left_out } = runtime.block_on(find_models(&store, &self.models))?;
        super::models::tell_left_out(&left_out);
        progress::count_sensors(&bar, files.len() as u64);
        let fetcher = Fetcher::new(store);
        // In the order of the list: the same store gives the same lines.
        let inspected = futures::stream::iter(files.into_values())
            .map(|file| {
                let fetcher = fetcher.clone();
                async move {
                    let work = |name: &str, bytes: bytes::Bytes, model| Inspection::of(name.to_owned(), &bytes, model);
                    match fetcher.with(&file, work).await {
                        Ok(inspection) => (inspection, false),
                        Err(error) => (Inspection::failed(fetcher.uri(&file), &error), error.is_retryable()),
                    }
                }
            })
            .buffered(AT_ONCE);
        let (mut counts, mut groups, mut away) = (Counts::default(), Groups::default(), false);
        runtime.block_on(inspected.for_each(|(inspection, retryable)| {
            counts.models += 1;
            away |= retryable;
            match &inspection.outcome {
                Outcome::Loads(loaded) => {
                    counts.loaded += 1;
                    counts.warned += u64::from(!loaded.warnings.is_empty());
                }
                Outcome::Fails { .. } => counts.failed += 1,
            }
            match self.output {
                Output::Json => bar.suspend(|| {
                    super::print_json(&inspection);
                }),
                Output::Text => groups.add(&inspection),
            }
            bar.inc(1);
            std::future::ready(())
        }));
        bar.finish_and_clear();
        counts.seconds = started.elapsed().as_secs_f64();
        match self.output {
            Output::Json => {
                super::print_json(&counts);
            }
            Output::Text => super::print::all(groups.report(&counts)),
        }
        Ok(match counts.failed {
            0 => exit::DONE,
            _ if away => exit::RETRY,
            _ => exit::INVALID,
        })
    }
}
