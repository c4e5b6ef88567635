//! What the commands of a run share: the clock, the store's credential, reports, and being told to stop.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use spec::RunRequest;
use spec::report::{Report, exit};
use store::{Clock, Credentials};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::context::{Context, StepError};
use crate::databases::Databases;

/// The store's credential.
#[derive(Debug, clap::Args)]
pub struct SecretArgs {
    /// The folder of a mounted Secret with a file accountKey or sasToken; for s3:// AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY, for gs:// GOOGLE_SERVICE_ACCOUNT_KEY. Without it, from the environment:
    /// AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, these names of S3 and Google's, or workload identity.
    #[arg(long, env = "SCORING_STORE_SECRET_DIR", value_name = "DIR")]
    secret_dir: Option<PathBuf>,
}

impl SecretArgs {
    /// Finds the credential.
    ///
    /// # Errors
    /// When the folder is given and holds none.
    pub fn find(&self) -> Result<Credentials, StepError> {
        Ok(Credentials::find(self.secret_dir.as_deref(), &|name| std::env::var(name).ok())?)
    }
}

/// The databases of a run.
#[derive(Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The folder of the mounted Secret of data.sql, with url, or host, port, user, password, database and sslmode; and with
    /// ca.crt, a certificate to trust. Without it, from the environment: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE,
    /// PGSSLMODE.
    #[arg(long, env = "SCORING_DATA_SECRET_DIR", value_name = "DIR")]
    data_secret_dir: Option<PathBuf>,
    /// The same of predictions.sql.
    #[arg(long, env = "SCORING_PREDICTIONS_SECRET_DIR", value_name = "DIR")]
    predictions_secret_dir: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Finds them.
    #[must_use]
    pub fn find(&self) -> Databases {
        let (data, predictions) = (self.data_secret_dir.clone(), self.predictions_secret_dir.clone());
        Databases::find(data, predictions, &|name| std::env::var(name).ok())
    }
}

/// What the commands of pods take.
#[derive(Debug, clap::Args)]
pub struct PodArgs {
    /// The run's request: JSON of a RunRequest.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Where the report goes, besides stdout; in a pod /dev/termination-log.
    #[arg(long, env = "SCORING_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    databases: DatabaseArgs,
}

impl PodArgs {
    /// Reads the request and opens its store.
    ///
    /// # Errors
    /// When the request cannot be read or can never work.
    pub fn open(&self) -> Result<Context, StepError> {
        let request: RunRequest = read_json(&self.request, "run request")?;
        let context = Context::open(request, &self.secret.find()?, clock())?;
        Ok(Context { databases: self.databases.find(), ..context })
    }

    /// Writes a report to its file and prints it on stdout; a file that cannot be written is a warning only.
    pub fn tell(&self, report: &impl Report) {
        let line = match report.to_message() {
            Ok(line) => line,
            Err(error) => return tracing::error!(%error, "the report cannot be written as JSON"),
        };
        // Its file comes first: stdout may be stuck.
        if let Some(path) = &self.report
            && let Err(error) = std::fs::write(path, &line)
        {
            tracing::warn!(%error, path = %path.display(), "the report cannot be written to its file");
        }
        super::print::line(&line);
    }
}

/// Reads a JSON file of ours.
///
/// # Errors
/// When it cannot be read or is none; the message names file, line and column.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T, StepError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| StepError::Request(format!("{what} {} cannot be read: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| StepError::Request(format!("{what} {} is wrong: {e}", path.display())))
}

/// The machine's clock: the only place of the run steps that reads it.
#[must_use]
pub fn clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// Says what went wrong on stderr, and gives the exit code.
#[must_use]
pub fn fail(error: &StepError) -> u8 {
    tracing::error!(reason = error.reason(), "{error}");
    error.exit_code()
}

/// Runs a future on a runtime that does not wait for what is left when the future is done: after SIGTERM, scoring
/// threads may still be busy.
#[must_use]
pub fn block_on(future: impl Future<Output = u8>) -> u8 {
    run_on(tokio::runtime::Builder::new_multi_thread(), future)
}

/// The same on this thread alone, for a process that has little to do itself and should take little memory.
#[must_use]
pub fn block_on_this_thread(future: impl Future<Output = u8>) -> u8 {
    run_on(tokio::runtime::Builder::new_current_thread(), future)
}

fn run_on(mut runtime: tokio::runtime::Builder, future: impl Future<Output = u8>) -> u8 {
    match runtime.enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(future);
            runtime.shutdown_timeout(Duration::from_millis(100));
            code
        }
        Err(error) => {
            tracing::error!(%error, "the runtime cannot start");
            exit::RETRY
        }
    }
}

/// True from the first SIGTERM or Ctrl-C on, and changed by each. The handlers are there when this returns: a process
/// that is PID 1 of its container would not be ended by the system.
#[must_use]
pub fn stop_signal() -> watch::Receiver<bool> {
    let (send, stop) = watch::channel(false);
    for (kind, name) in [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "Ctrl-C")] {
        let send = send.clone();
        match signal(kind) {
            Ok(mut signal) => {
                tokio::spawn(async move {
                    while signal.recv().await.is_some() {
                        tracing::warn!("{name}: told to stop");
                        let _ = send.send(true);
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "{name} will not be noticed"),
        }
    }
    stop
}
