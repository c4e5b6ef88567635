//! Connections to a database.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::SqlError;
use crate::away::Away;
use crate::settings::{Settings, Source};
use crate::tls;

/// How long it may take to be let in, all addresses tried.
const CONNECT: Duration = Duration::from_secs(20);
/// How long taking leave may take.
const LEAVE: Duration = Duration::from_secs(1);
/// How long after one attempt the next comes: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What begins a transaction that writes. Locks are those of a table that is being changed, or of rows that another writes: what
/// does not come soon is told and tried again. A client that was stopped in the middle keeps nobody from its rows for longer than
/// that. Each statement sees what others have committed before it, whatever the server's default is. Where the server is set not
/// to wait for its disk, a commit of ours does: what is told of it has to be true after the server was killed.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '30s';
    SET LOCAL idle_in_transaction_session_timeout = '1min';
    SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

/// A database, and how it is reached. Cheap to clone; clones know alike whether it is away.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    /// Certificates (PEM) that are trusted in all of the product.
    certificates: Option<PathBuf>,
    away: Away,
}

impl Database {
    /// The database that a mounted Secret names: `url`, or `host`, `port`, `user`, `password`, `database` and `sslmode`; with
    /// `ca.crt`, certificates to trust. It is read at each connection, so a changed one counts from then on. `certificates`: a
    /// file (PEM) of more.
    #[must_use]
    pub fn in_secret(dir: PathBuf, certificates: Option<PathBuf>) -> Self {
        Self::of(Source::Secret(dir), certificates)
    }

    /// The one that `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE` and `PGSSLMODE` name, if they do.
    #[must_use]
    pub fn in_environment(env: &dyn Fn(&str) -> Option<String>, certificates: Option<PathBuf>) -> Option<Self> {
        Some(Self::of(Source::in_environment(env)?, certificates))
    }

    fn of(source: Source, certificates: Option<PathBuf>) -> Self {
        Self { inner: Arc::new(Inner { source, certificates, away: Away::default() }) }
    }

    /// Whether it has not answered for longer than is borne.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.inner.away.is_away()
    }

    /// Whether somebody was told so, be it back since.
    #[must_use]
    pub fn was_away(&self) -> bool {
        self.inner.away.was_away()
    }

    /// Opens a session. A database that does not answer is borne for half a minute, by all who ask together.
    ///
    /// # Errors
    /// When it is away for longer, or denies or refuses.
    pub async fn connect(&self) -> Result<Session, SqlError> {
        let (asked, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let error = match self.connect_once().await {
                Ok(session) => {
                    self.inner.away.answered();
                    return Ok(session);
                }
                Err(error) => error,
            };
            if !error.is_retryable() || self.inner.away.failed(asked) {
                return Err(error);
            }
            tracing::info!("{error}; it is asked again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn connect_once(&self) -> Result<Session, SqlError> {
        let Settings { config, certificates, server } = self.inner.source.read()?;
        let trusted = self.inner.certificates.as_deref();
        let tls = MakeRustlsConnect::new(tls::config(trusted, certificates.as_deref(), &server)?);
        let connected = tokio::time::timeout(CONNECT, config.connect(tls)).await;
        let (client, connection) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(SqlError::of(&server, &error)),
            Err(_) => {
                let detail = format!("it did not let us in within {} s", CONNECT.as_secs());
                return Err(SqlError::Unavailable { server, detail });
            }
        };
        let closed_by = Arc::new(OnceLock::new());
        let told = Arc::clone(&closed_by);
        let task = tokio::spawn(async move {
            let mut connection = connection;
            // Before it is dropped, by which others learn that it has ended.
            if let Err(error) = (&mut connection).await {
                let _ = told.set(error);
            }
        });
        Ok(Session { client, server, closed_by, task: Task(task) })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database(redacted)")
    }
}

/// An open connection. Dropped, it is closed at once: what the server still sends is not waited for.
pub struct Session {
    client: Client,
    server: String,
    closed_by: Arc<OnceLock<tokio_postgres::Error>>,
    task: Task,
}

/// What speaks with the server. It ends when dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The database, for people: without user and password.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Takes leave of the server, which else would log that we are gone.
    pub async fn close(self) {
        let Self { client, mut task, .. } = self;
        drop(client);
        let _ = tokio::time::timeout(LEAVE, &mut task.0).await;
    }

    /// Begins a transaction that waits neither for ever nor, once it is idle, for us; and whose end is on disk.
    pub(crate) async fn begin(&self) -> Result<(), SqlError> {
        self.execute(BEGIN).await
    }

    /// Runs statements that are written by hand, and write.
    pub(crate) async fn execute(&self, statements: &str) -> Result<(), SqlError> {
        let done = self.client.batch_execute(statements).await;
        done.map_err(|error| SqlError::read_only(&self.server, &error).unwrap_or_else(|| self.error(&error)))
    }

    /// The rows of a query of which each column is a text; a null is none.
    pub(crate) async fn query_texts(&self, query: &str, texts: &[&str]) -> Result<Vec<Vec<String>>, SqlError> {
        let parameters = texts.iter().map(|text| text as &(dyn ToSql + Sync));
        let parameters: Vec<_> = parameters.collect();
        let rows = self.client.query(query, &parameters).await.map_err(|e| self.error(&e))?;
        let text = |row: &Row, at: usize| row.try_get::<_, Option<String>>(at).map_err(|e| self.error(&e));
        let row = |row: &Row| {
            let texts = (0..row.len()).map(|at| Ok(text(row, at)?.unwrap_or_default()));
            texts.collect::<Result<Vec<_>, SqlError>>()
        };
        rows.iter().map(row).collect()
    }

    /// What the client met, as this database's.
    pub(crate) fn error(&self, error: &tokio_postgres::Error) -> SqlError {
        match self.closed_by.get() {
            // What ended the connection says more than that it has ended.
            Some(why) if error.is_closed() => SqlError::of(&self.server, why),
            _ => SqlError::of(&self.server, error),
        }
    }
}
