//! `scorer promote`: publishes a version of trained models by hand.

use std::time::Instant;

use futures::{StreamExt, stream};
use serde::Serialize;
use spec::report::exit;
use spec::{ModelVersion, SensorKeys, Template};
use store::versions::{self, Promotion, PublishError, Publishing, VersionPaths, Versions};
use store::{Store, StoreError};

use super::common::clock;
use super::select::Pair;
use super::stored::{StoreArgs, runtime};
use crate::context::StepError;
use crate::model::{MAX_BYTES, Model, ModelError, sha256};
use crate::plan::find_models;

/// Sensors under way at once.
const AT_ONCE: usize = 16;

/// Publish a version of models that runs have trained
///
/// Copies it over the published model of each sensor that has the version, whole or not at all, and notes it in the index
/// of the sensor's versions. Runs that are planned from then on score with it. An older version is a way back: the next
/// training with `promote: Always` or `IfNoWorse` may publish a newer one again, where `model.version` of a schedule holds
/// until it is edited. Prints one JSON line: version, promoted, failed and seconds.
///
/// Exit codes: 0 every sensor has it, 64 some have not (each is named on stderr), 75 the store was away.
#[derive(Debug, clap::Args)]
// Here, the version is that of the models.
#[command(
    disable_version_flag = true,
    after_help = "Examples:
  scorer promote --store file:///data/plant --version 20260101T020000Z
  scorer promote --store https://ACCOUNT.blob.core.windows.net --models 'models/model_{device}_{tag}' \\
      --version 20260101T020000Z --where device=1,tag=5 --why 'the newer one knows no nights'"
)]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// The published models in the store: model.path of the schedule
    #[arg(long, default_value = "models/model_{device}_{tag}")]
    models: Template,
    /// The version
    #[arg(long)]
    version: ModelVersion,
    /// Only sensors with these keys, such as device=1,tag=5. Default: all that have the version
    #[arg(long = "where", value_name = "NAME=VALUE,…", value_delimiter = ',')]
    keys: Vec<Pair>,
    /// Why, for the index of versions
    #[arg(long, default_value = "by hand")]
    why: String,
}

#[derive(Debug, Serialize)]
struct Summary {
    version: ModelVersion,
    promoted: u64,
    failed: u64,
    seconds: f64,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("give the store with --store")]
    NoStore,
    #[error("no sensor with these keys has version {0}: correct --where, or --version")]
    NoSensor(ModelVersion),
    #[error("{0} and a version make no path: give --models as model.path of the schedule has it")]
    Template(Template),
    #[error("sensor {sensor}: {source}")]
    Model { sensor: SensorKeys, source: ModelError },
    #[error("sensor {sensor}: {source}")]
    Sensor { sensor: SensorKeys, source: PublishError },
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl Error {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Sensor { source, .. } => source.is_retryable(),
            Self::Step(error) => error.exit_code() == exit::RETRY,
            _ => false,
        }
    }
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let started = Instant::now();
        let ended = runtime().map_err(Error::Start).and_then(|runtime| runtime.block_on(self.promote()));
        match ended {
            Ok((mut summary, code)) => {
                summary.seconds = started.elapsed().as_secs_f64();
                let printed = super::print_json(&summary);
                if code == exit::DONE { printed } else { code }
            }
            Err(error) => {
                tracing::error!("{error}");
                if error.is_retryable() { exit::RETRY } else { exit::INVALID }
            }
        }
    }

    /// One sensor that fails does not keep the others from it.
    async fn promote(&self) -> Result<(Summary, u8), Error> {
        let store = self.store.open()?.ok_or(Error::NoStore)?;
        let template =
            versions::template(&self.models, &self.version).ok_or_else(|| Error::Template(self.models.clone()))?;
        let wanted: SensorKeys = self.keys.iter().map(Pair::key).collect();
        let mut found = find_models(&store, &template).await?.sensors;
        found.retain(|sensor, _| wanted.0.iter().all(|(key, value)| sensor.get(key) == Some(value)));
        if found.is_empty() {
            return Err(Error::NoSensor(self.version.clone()));
        }
        let mut summary = Summary { version: self.version.clone(), promoted: 0, failed: 0, seconds: 0.0 };
        let mut code = exit::DONE;
        let mut ended = stream::iter(found.into_keys())
            .map(|sensor| {
                let store = &store;
                async move { self.promote_one(store, sensor).await }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(ended) = ended.next().await {
            match ended {
                Ok(()) => summary.promoted += 1,
                Err(error) => {
                    tracing::error!("{error}");
                    summary.failed += 1;
                    if code != exit::INVALID {
                        code = if error.is_retryable() { exit::RETRY } else { exit::INVALID };
                    }
                }
            }
        }
        Ok((summary, code))
    }

    async fn promote_one(&self, store: &Store, sensor: SensorKeys) -> Result<(), Error> {
        let path = self.models.render(&sensor).map_err(|_| Error::Template(self.models.clone()))?;
        let of = |source| Error::Sensor { sensor: sensor.clone(), source };
        let file = VersionPaths::of(&path).file(&self.version);
        let bytes = store.get(&file, MAX_BYTES).await.map_err(|error| of(error.into()))?;
        // What cannot score is not published.
        Model::from_bytes(&store.uri(&file), &bytes)
            .map_err(|source| Error::Model { sensor: sensor.clone(), source })?;
        // Whose the path is, an index that is there knows better than a path.
        let publishing = Publishing::begin(store, &path, None, None).await.map_err(of)?;
        let model_hash = sha256(&bytes);
        let publish = |known: &mut Versions| {
            if known.sensor == SensorKeys::default() {
                known.sensor = sensor.clone();
            }
            let (version, model_hash) = (self.version.clone(), model_hash.clone());
            known.promoted = Some(Promotion { version, model_hash, run: None, at: clock()(), why: self.why.clone() });
            (true, ())
        };
        publishing.run(&bytes, publish).await.map_err(of)
    }
}
