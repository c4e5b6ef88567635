//! Sets a replica up from its configuration and secrets, and runs it until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use sql::Database;
use store::{Clock, Credentials, Store};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Over};
use crate::error::IngestError;
use crate::mark::{Mark, Terms};
use crate::marks::{Grip, Marks, MarksError};
use crate::member::Member;
use crate::metrics::Metrics;
use crate::out::{Sink, Table};
use crate::source::{Assigned, Load, Offsets, PAUSE, Secrets, Source, SourceError};
use crate::write::Writer;

/// Marks are taken over so many at a time.
const AT_ONCE: usize = 16;

/// Where secrets are, and how the replica is called.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it tells how it is; none for nowhere.
    pub listen: Option<SocketAddr>,
    /// The folders of mounted Secrets.
    pub kafka_secret: Option<PathBuf>,
    /// That of the store.
    pub store_secret: Option<PathBuf>,
    /// That of the database.
    pub sql_secret: Option<PathBuf>,
    /// What names the process among others.
    pub name: String,
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn start<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> IngestError {
    move |error| IngestError::Start { what, detail: error.to_string() }
}

/// Runs a replica until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot be set up, or cannot go on.
pub async fn run(config: Config, place: Place) -> Result<(), IngestError> {
    let metrics = Metrics::new().map_err(start("register metrics"))?;
    let (stop, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (mut term, mut interrupt) = (
        signal(SignalKind::terminate()).map_err(start("listen to SIGTERM"))?,
        signal(SignalKind::interrupt()).map_err(start("listen to Ctrl-C"))?,
    );
    let serving = match place.listen {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address).await.map_err(start("listen (--listen)"))?;
            let address = listener.local_addr().map_err(start("listen (--listen)"))?;
            tracing::info!("metrics at http://{address}/metrics");
            Some(tokio::spawn(crate::serve::serve(listener, metrics.clone(), Arc::clone(&ready))))
        }
    };
    let writer = writer(&config, &place, metrics).await?;
    let (runtime, told) = (Handle::current(), Arc::clone(&stop));
    let reading = tokio::task::spawn_blocking(move || {
        let secrets = Secrets { dir: place.kafka_secret.clone(), env: Some(env) };
        let load = load(writer.marks.clone(), writer.merged.clone(), runtime.clone());
        let source = Source::join(&config.kafka, &secrets, &place.name, load)?;
        tracing::info!(topic = config.kafka.topic, group = config.kafka.group, "reading");
        Member::new(&config, source, writer, runtime)?.run(&told, &ready)
    });
    let signals = async {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop: what is complete is written, and the partitions go to others");
        stop.store(true, Ordering::Relaxed);
        // The second one does not wait.
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ended = tokio::select! {
        ended = reading => ended.map_err(start("go on"))?,
        () = signals => Err(IngestError::Start { what: "stop in an orderly way", detail: "told so twice".to_owned() }),
    };
    if let Some(serving) = serving {
        serving.abort();
    }
    ended
}

async fn writer(config: &Config, place: &Place, metrics: Metrics) -> Result<Writer, IngestError> {
    let credentials = Credentials::find(place.store_secret.as_deref(), &env)?;
    let store = Store::open(&config.store.url, &credentials)?;
    let table = match &config.sql {
        None => None,
        Some(_) => {
            let table = Table::new(database(place)?, config);
            if let Some(table) = &table
                && let Err(error) = table.ensure().await
            {
                // It is made sure of again before the first row; a database that is away for now is no reason to read nothing.
                match error.is_retryable() {
                    true => tracing::warn!("{error}"),
                    false => return Err(IngestError::Database(error.to_string())),
                }
            }
            table
        }
    };
    let clock: Clock = Arc::new(Timestamp::now);
    let marks_in =
        |folder| Marks::new(store.clone(), folder, Terms::new(config), place.name.clone(), Arc::clone(&clock));
    let (marks, merged) = match config.windows.over {
        Over::Partition => (marks_in(config.watermarks()), None),
        Over::Topic => (marks_in(format!("{}/marks", config.shares())), Some(marks_in(config.watermarks()))),
    };
    Ok(Writer { sink: Arc::new(Sink::new(store, table, config)), marks, merged, metrics })
}

fn database(place: &Place) -> Result<Database, IngestError> {
    let certificates = env(store::credentials::CERTIFICATES).map(PathBuf::from);
    let found = match &place.sql_secret {
        Some(dir) => Some(Database::in_secret(dir.clone(), certificates)),
        None => Database::in_environment(&env, certificates),
    };
    found.ok_or_else(|| {
        IngestError::Database(
            "no database is named; give --sql-secret-dir (INGEST_SQL_SECRET_DIR), the folder of its mounted Secret, or PGHOST, PGUSER \
             and so on"
                .to_owned(),
        )
    })
}

/// Asks for marks; a store that is away is waited for.
async fn patiently<T, A: Future<Output = Result<T, MarksError>>>(
    until: Instant,
    attempt: impl Fn() -> A,
) -> Result<T, MarksError> {
    loop {
        match attempt().await {
            Err(MarksError::Store(error)) if error.is_retryable() && Instant::now() < until => {
                tracing::warn!("{error}; it is tried again");
            }
            // Another replica, to which a partition was assigned for a moment.
            Err(MarksError::Fenced { .. }) if Instant::now() < until => {}
            ended => return ended,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Windows over the topic may be put together already up to some time, without a partition that is new: what comes before that is
/// late there. Its mark stands in the store before it is asked up to when that is, and who puts them together says so before it
/// looks which marks there are: so one of the two sees the other.
async fn join(
    marks: &Marks,
    merged: Option<&Marks>,
    partition: u32,
    fresh: &Mark,
) -> Result<(Mark, Grip, bool), MarksError> {
    let fresh = Mark { joining: merged.is_some(), ..fresh.clone() };
    let (mark, grip, is_fresh) = marks.take_over(partition, &fresh).await?;
    let Some(merged) = merged.filter(|_| mark.joining) else { return Ok((mark, grip, is_fresh)) };
    let until = merged.read(0).await?.and_then(|(merged, ..)| merged.watermark);
    let mark = Mark { joining: false, watermark: until, durable: until, ..mark };
    let grip = marks.write(&grip, &mark).await?;
    Ok((mark, grip, is_fresh))
}

/// Takes partitions over, several at a time.
fn load(marks: Marks, merged: Option<Marks>, runtime: Handle) -> Load {
    Arc::new(move |partitions, until, asked| {
        marks.set_partitions(partitions);
        let take = |(partition, offsets, fresh): &(u32, Offsets, Mark)| {
            let (marks, merged) = (marks.clone(), merged.clone());
            let (partition, offsets, fresh) = (*partition, *offsets, fresh.clone());
            async move {
                let join = || join(&marks, merged.as_ref(), partition, &fresh);
                let (mark, grip, fresh) = patiently(until, join).await?;
                match mark.offset > offsets.end {
                    false => Ok(Assigned { partition, mark, grip, offsets, fresh }),
                    true => Err(SourceError::Shorter {
                        partition,
                        end: offsets.end,
                        offset: mark.offset,
                        uri: marks.uri(partition),
                    }),
                }
            }
        };
        // Whatever windows are over, there is this one: so marks of other windows are refused before any is written.
        runtime.block_on(patiently(until, || merged.as_ref().unwrap_or(&marks).read(0)))?;
        let taking: Vec<_> = asked.iter().map(take).collect();
        runtime.block_on(futures::stream::iter(taking).buffer_unordered(AT_ONCE).try_collect())
    })
}
