//! A log that grows in the store: a small object is rewritten whole while it grows, and rolled at 1 MiB.
//!
//! It is written while the work goes on, only when something is new, after 1 s, then 2 s, 4 s, … up to a minute: a
//! killed pod leaves what it had written, and a quick job costs one request.

use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use crate::error::visible;
use crate::{Store, StoreError};

/// Tells the time; handed in, so that tests have their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A part of the log ends once it is this large.
pub const ROLL_BYTES: usize = 1024 * 1024;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One log, of one sensor and attempt. Cheap to clone.
#[derive(Clone)]
pub struct LogFile {
    shared: Arc<Shared>,
    flusher: Arc<Flusher>,
}

struct Shared {
    store: Store,
    clock: Clock,
    path: Box<dyn Fn(u32) -> String + Send + Sync>,
    state: Mutex<State>,
    /// One writer at a time, so that an older content never overwrites a newer one.
    writing: tokio::sync::Mutex<()>,
}

struct State {
    started: Timestamp,
    text: String,
    /// How much of `text` is in the store.
    written: usize,
    part: u32,
    chunks: Vec<(String, SignedDuration)>,
}

struct Flusher(JoinHandle<()>);

impl Drop for Flusher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl LogFile {
    /// Starts a log; `path` names its parts, 0 first. Must be called within a tokio runtime.
    pub fn start(store: Store, clock: Clock, path: impl Fn(u32) -> String + Send + Sync + 'static) -> Self {
        let state = State { started: clock(), text: String::new(), written: 0, part: 0, chunks: Vec::new() };
        let shared = Arc::new(Shared {
            store,
            clock,
            path: Box::new(path),
            state: Mutex::new(state),
            writing: tokio::sync::Mutex::default(),
        });
        let task = tokio::spawn(flush_while_it_grows(Arc::clone(&shared)));
        Self { shared, flusher: Arc::new(Flusher(task)) }
    }

    /// The log's address, for people.
    #[must_use]
    pub fn uri(&self) -> String {
        self.shared.store.uri(&(self.shared.path)(0))
    }

    /// Whether nothing has been said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.shared.state();
        state.part == 0 && state.text.is_empty()
    }

    /// Adds a line, with the time before it.
    pub fn line(&self, level: &str, text: impl Display) {
        let now = (self.shared.clock)();
        let text = text.to_string();
        let mut state = self.shared.state();
        for line in text.lines() {
            // A log may be read on a terminal, which names from outside must not move about.
            let line: String = line.chars().map(visible).collect();
            // Writing to a String does not fail.
            let _ = writeln!(state.text, "{now:.3} {level:<5} {line}");
        }
    }

    /// What is worth knowing.
    pub fn info(&self, text: impl Display) {
        self.line("INFO", text);
    }

    /// What its reader should look at.
    pub fn warn(&self, text: impl Display) {
        self.line("WARN", text);
    }

    /// Why the sensor failed.
    pub fn error(&self, text: impl Display) {
        self.line("ERROR", text);
    }

    /// Says how long a part of the job took, now and once more at the end.
    pub fn chunk(&self, name: &str, took: SignedDuration) {
        self.info(format_args!("{name} took {:.3} s", took.as_secs_f64()));
        self.shared.state().chunks.push((name.to_owned(), took));
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// When the store fails; the lines are kept for the next time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.shared.flush().await
    }

    /// Ends the log with how long each chunk and the whole job took, and writes it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end(&self, how: &str) -> Result<(), StoreError> {
        let (chunks, started) = {
            let state = self.shared.state();
            (state.chunks.clone(), state.started)
        };
        let whole = (self.shared.clock)().duration_since(started);
        let mut parts = String::new();
        for (name, took) in chunks {
            let _ = write!(parts, "{name} {:.3} s, ", took.as_secs_f64());
        }
        self.info(format_args!("{how}; {parts}whole job {:.3} s", whole.as_secs_f64()));
        self.flusher.0.abort();
        self.shared.flush().await
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let _one = self.writing.lock().await;
        loop {
            let (part, text) = {
                let state = self.state();
                if state.written == state.text.len() {
                    return Ok(());
                }
                (state.part, state.text[..end_of_part(&state.text)].to_owned())
            };
            let length = text.len();
            self.store.put(&(self.path)(part), text).await?;
            let mut state = self.state();
            state.written = length;
            if length < ROLL_BYTES {
                return Ok(());
            }
            state.text.drain(..length);
            state.written = 0;
            state.part += 1;
        }
    }
}

/// Where a part ends: after the line that makes it large enough.
fn end_of_part(text: &str) -> usize {
    let bytes = text.as_bytes();
    let after = bytes.get(ROLL_BYTES - 1..).and_then(|rest| rest.iter().position(|b| *b == b'\n'));
    after.map_or(text.len(), |at| ROLL_BYTES + at)
}

async fn flush_while_it_grows(shared: Arc<Shared>) {
    let mut wait = FIRST_WAIT;
    loop {
        tokio::time::sleep(wait).await;
        let dirty = {
            let state = shared.state();
            state.written < state.text.len()
        };
        if dirty {
            // What the store refuses now is tried again next time, and at the end, where it counts.
            if let Err(error) = shared.flush().await {
                tracing::warn!(%error, "a log could not be written yet");
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    fn log(dir: &std::path::Path) -> (Store, LogFile) {
        let store = Store::open(&format!("file://{}", dir.display()), &Credentials::none()).unwrap();
        let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        (store.clone(), LogFile::start(store, clock, |part| format!("logs/a.{part}.log")))
    }

    async fn text(store: &Store, path: &str) -> String {
        String::from_utf8(store.get(path, 1 << 30).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_quick_job_costs_one_write_and_ends_with_its_times() {
        let dir = tempfile::tempdir().unwrap();
        let (store, log) = log(dir.path());
        log.info("loading");
        log.chunk("model", SignedDuration::from_millis(250));
        log.end("done").await.unwrap();
        let text = text(&store, "logs/a.0.log").await;
        assert_eq!(store.requests().writes, 1);
        assert!(text.starts_with("1970-01-01T00:00:00.000Z INFO  loading\n"), "{text}");
        assert!(text.ends_with("done; model 0.250 s, whole job 0.000 s\n"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_killed_pod_leaves_what_it_had_and_waiting_costs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (store, log) = log(dir.path());
        log.info("before the kill");
        tokio::time::sleep(Duration::from_secs(600)).await;
        while store.requests().writes == 0 {
            tokio::task::yield_now().await;
        }
        drop(log);
        assert!(text(&store, "logs/a.0.log").await.contains("before the kill"));
        assert_eq!(store.requests().writes, 1, "nothing new was written again");
    }

    #[tokio::test]
    async fn a_long_log_is_rolled_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (store, log) = log(dir.path());
        let line = "x".repeat(1000);
        for n in 0..2_500 {
            log.info(format_args!("{n} {line}"));
            if n % 900 == 0 {
                log.flush().await.unwrap();
            }
        }
        log.end("done").await.unwrap();
        let mut all = String::new();
        for file in store.list("logs/", 10).await.unwrap() {
            assert!(file.size < 2 * ROLL_BYTES as u64, "{file:?}");
            all.push_str(&text(&store, &file.path).await);
        }
        assert_eq!(all.lines().count(), 2_501);
        for (n, line) in all.lines().take(2_500).enumerate() {
            assert_eq!(line.split(' ').filter(|w| !w.is_empty()).nth(2), Some(n.to_string().as_str()));
        }
    }

    #[tokio::test]
    async fn lines_that_the_store_refused_are_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let (store, log) = log(dir.path());
        std::fs::write(dir.path().join("logs"), "a file where the folder should be").unwrap();
        log.info("kept");
        assert!(log.flush().await.is_err());
        std::fs::remove_file(dir.path().join("logs")).unwrap();
        log.end("done").await.unwrap();
        assert!(text(&store, "logs/a.0.log").await.contains("kept"));
    }
}
