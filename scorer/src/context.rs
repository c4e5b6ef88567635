//! What every step of a run needs: the request, its paths, the store, the time.

use futures::TryStreamExt;
use spec::RunRequest;
use spec::check::WorkError;
use spec::complete::DATA_INCOMPLETE;
use spec::report::{DATA_UNAVAILABLE, Failure, STORE_UNAVAILABLE, exit};
use sql::SqlError;
use store::manifest::{MAX_INDEX_BYTES, MAX_SHARD_BYTES, TooManyItems};
use store::paths::NameError;
use store::{Clock, Credentials, ManifestIndex, RunPaths, Shard, Store, StoreError};

use crate::databases::{self, Databases, PREDICTIONS};
use crate::item::Running;

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// What every step of a run needs.
#[derive(Clone)]
pub struct Context {
    /// What the run is asked to do.
    pub request: RunRequest,
    /// Where its things are.
    pub paths: RunPaths,
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// How this process runs commands of the user's.
    pub running: Running,
    /// The databases of the run, where it has any.
    pub databases: Databases,
}

/// Why a step of a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name of the request.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The work of the request.
    #[error("{0}")]
    Work(#[from] WorkError),
    /// The work makes too many items.
    #[error("{0}")]
    TooManyItems(#[from] TooManyItems),
    /// The request as a whole.
    #[error("{0}")]
    Request(String),
    /// The database of the readings.
    #[error("data.sql: {0}")]
    Sql(#[from] SqlError),
    /// The database of the predictions.
    #[error("{PREDICTIONS}: {0}")]
    Predictions(SqlError),
    /// There is nothing to score.
    #[error("{0}")]
    NoSensors(String),
    /// The readings were not complete in time.
    #[error(
        "{0}; mend what writes them, or raise data.complete.waitUpTo or window.delay; onTimeout: Score scores what is there"
    )]
    DataIncomplete(String),
    /// There is no record that tells what to score again.
    #[error(
        "{uri}: not found; no run {run:?} of schedule {schedule} in namespace {namespace} was archived in this store: check \
         rerunFailedOf, or score all sensors"
    )]
    RunNotFound {
        /// The record.
        uri: String,
        /// The run.
        run: String,
        /// Its schedule.
        schedule: String,
        /// Its namespace.
        namespace: String,
    },
    /// There is nothing to score again.
    #[error("{uri}: no sensor of run {run} failed: there is nothing to score again")]
    NothingFailed {
        /// The run's record.
        uri: String,
        /// The run.
        run: String,
    },
    /// Another run holds the tick, or the name.
    #[error("{uri}: claimed by the run with UID {holder}, and this one is {ours}; {advice}")]
    TickClaimed {
        /// The claim.
        uri: String,
        /// Who holds it.
        holder: String,
        /// Who asked.
        ours: String,
        /// What to do.
        advice: &'static str,
    },
    /// The run has not been planned.
    #[error("{uri}: {why}; run scorer plan with the same request first")]
    NoManifest {
        /// The manifest.
        uri: String,
        /// What is wrong with it.
        why: String,
    },
    /// A signal came.
    #[error("told to stop while {0}; nothing more was written: start it again")]
    Stopped(&'static str),
    /// Something of ours does not serialise.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl StepError {
    /// A bounded category in CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Name(_) | Self::Work(_) | Self::Request(_) => "InvalidRequest",
            Self::TooManyItems(_) => "TooManyItems",
            Self::Sql(error) | Self::Predictions(error) => databases::reason(error),
            Self::NoSensors(_) => "NoSensors",
            Self::DataIncomplete(_) => DATA_INCOMPLETE,
            Self::RunNotFound { .. } => "RunNotFound",
            Self::NothingFailed { .. } => "NothingFailed",
            Self::TickClaimed { .. } => "TickClaimed",
            Self::NoManifest { .. } => "NoManifest",
            Self::Stopped(_) => "Stopped",
            Self::Json(_) => "Internal",
        }
    }

    /// The process' exit code: whether another attempt may help.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) if error.is_retryable() => exit::AWAY,
            Self::Sql(error) | Self::Predictions(error) if error.is_retryable() => exit::AWAY,
            Self::Stopped(_) => exit::RETRY,
            _ => exit::INVALID,
        }
    }

    /// As a report tells it.
    #[must_use]
    pub fn to_failure(&self) -> Failure {
        Failure { reason: self.reason().to_owned(), message: self.to_string() }
    }
}

impl Context {
    /// Opens the store of a request.
    ///
    /// # Errors
    /// When the request's names, work or store cannot work.
    pub fn open(request: RunRequest, credentials: &Credentials, clock: Clock) -> Result<Self, StepError> {
        request.work.check()?;
        let paths = RunPaths::of(&request)?;
        let store = Store::open(&request.work.store.url, credentials)?;
        let (running, databases) = (Running::default(), Databases::default());
        Ok(Self { request, paths, store, clock, running, databases })
    }

    /// Where a sensor's readings are, for people: `place` as [`spec::work::DataSource::place`] gives it.
    pub(crate) fn data_uri(&self, place: &str) -> String {
        match &self.request.work.data.sql {
            Some(_) => place.to_owned(),
            None => self.store.uri(place),
        }
    }

    /// Whether the store, or a database, has not answered for longer than is borne. Whoever pays for the pod is to hear of it:
    /// nothing is begun that cannot go on.
    pub(crate) fn is_away(&self) -> bool {
        self.store.is_away() || self.databases.is_away()
    }

    /// Why something was left undone if one of them was away, as an outcome's reason and message.
    pub(crate) fn was_away(&self) -> Option<(&'static str, &'static str)> {
        match (self.store.was_away(), self.databases.was_away()) {
            (true, _) => Some((STORE_UNAVAILABLE, "the store was away")),
            (false, true) => Some((DATA_UNAVAILABLE, "the database was away")),
            (false, false) => None,
        }
    }

    /// The manifest's index, when it is this run's.
    pub(crate) async fn manifest(&self) -> Result<ManifestIndex, StepError> {
        let path = self.paths.manifest();
        let none = |why: String| StepError::NoManifest { uri: self.store.uri(&path), why };
        let index: ManifestIndex = match self.store.get_json(&path, "manifest", MAX_INDEX_BYTES).await {
            Err(StoreError::NotFound { .. }) => return Err(none("there is no manifest".to_owned())),
            other => other?,
        };
        if index.run_uid == self.request.run_uid {
            Ok(index)
        } else {
            Err(none(format!("the manifest is of run UID {}, this is {}", index.run_uid, self.request.run_uid)))
        }
    }
}

/// The whole work list of a run, by its index.
pub(crate) async fn shards(store: &Store, paths: &RunPaths, index: &ManifestIndex) -> Result<Vec<Shard>, StepError> {
    futures::stream::iter((0..index.shards).map(Ok::<_, StepError>))
        .map_ok(|n| async move { Ok(store.get_json(&paths.shard(n), "manifest", MAX_SHARD_BYTES).await?) })
        .try_buffered(AT_ONCE)
        .try_collect()
        .await
}
