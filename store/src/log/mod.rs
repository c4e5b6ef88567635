//! A log that grows in the store: a small object is rewritten whole while it grows, and rolled at 1 MiB.
//!
//! It is written while the work goes on, only when something is new, and then within [`LATEST`]: a killed pod leaves what
//! it had written, and a quick job costs one request.

use std::collections::VecDeque;
use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Store, StoreError};

mod lines;
#[cfg(test)]
mod tests;

pub use lines::{END, POD, START, is_ended, last_mark, push_lines};
use lines::{Lines, Piece, push_visible};

/// Tells the time; handed in, so that tests have their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A part of the log ends once it is this large.
pub const ROLL_BYTES: usize = 1024 * 1024;
/// How long what is new may wait before it is written; an unfinished line waits no longer than this and [`UNFINISHED`].
pub const LATEST: Duration = Duration::from_secs(4);
/// How long an unfinished line is waited for: the rest of it is likely on its way.
const UNFINISHED: Duration = Duration::from_secs(1);
/// Parts that may wait for the store before whoever prints has to wait, too.
const WAITING_PARTS: usize = 2;
/// How long a log is kept in hand that the store refuses, before that is the end of what it is of.
const REFUSED: Duration = Duration::from_secs(20);
/// The same of a store that is away, where whoever prints waits for it.
const AWAY: Duration = Duration::from_secs(30);
/// Output is taken in pieces of this size, so that its lines with their times take a bounded room.
const TAKEN_AT_ONCE: usize = 16 * 1024;

/// Where a child process prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: lines marked `OUT`.
    Stdout,
    /// Standard error: lines marked `ERR`.
    Stderr,
}

/// One log, of one sensor and attempt. Cheap to clone.
#[derive(Clone)]
pub struct LogFile {
    shared: Arc<Shared>,
    /// Ends with the last clone.
    _flusher: Arc<Flusher>,
}

struct Shared {
    store: Store,
    clock: Clock,
    path: Box<dyn Fn(u32) -> String + Send + Sync>,
    state: Mutex<State>,
    /// One writer at a time, so that an older content never overwrites a newer one.
    writing: tokio::sync::Mutex<()>,
    /// Something is new, which the flusher may wait for.
    news: Notify,
    /// A part was written, which those who print may wait for.
    room: Notify,
    /// Since when it could not be written, and why.
    failing: watch::Sender<Option<Failing>>,
}

struct Failing {
    since: Instant,
    error: Arc<StoreError>,
}

struct State {
    started: Timestamp,
    /// Parts that are full and not in the store.
    full: VecDeque<Bytes>,
    /// The part that grows.
    open: String,
    /// How much of `open` is in the store.
    written: usize,
    /// The number of the first part that is not in the store, or not whole.
    part: u32,
    chunks: Vec<(String, SignedDuration)>,
    output: [Output; 2],
    ended: bool,
}

/// What is unfinished of a stream.
#[derive(Default)]
struct Output {
    lines: Lines,
    since: Option<Instant>,
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
        let state = State {
            started: clock(),
            full: VecDeque::new(),
            open: String::new(),
            written: 0,
            part: 0,
            chunks: Vec::new(),
            output: Default::default(),
            ended: false,
        };
        let shared = Arc::new(Shared {
            store,
            clock,
            path: Box::new(path),
            state: Mutex::new(state),
            writing: tokio::sync::Mutex::default(),
            news: Notify::new(),
            room: Notify::new(),
            failing: watch::Sender::new(None),
        });
        let task = tokio::spawn(flush_while_it_grows(Arc::clone(&shared)));
        Self { shared, _flusher: Arc::new(Flusher(task)) }
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
        state.part == 0 && state.full.is_empty() && state.open.is_empty()
    }

    /// Adds a line, with the time and its mark before it.
    pub fn line(&self, mark: &str, text: impl Display) {
        let now = (self.shared.clock)();
        let mut state = self.shared.state();
        push_lines(&mut state.open, now, mark, text);
        state.roll();
        drop(state);
        self.shared.news.notify_one();
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

    /// Adds what a child process printed: any bytes, in any pieces. Each line gets the time before it, and `OUT` or `ERR`;
    /// `OUT+` or `ERR+` where it goes on in the next line of that stream, since it was too long, or its end was long in
    /// coming. Waits while too much of the log waits for the store, so that whoever prints faster than the store takes
    /// it is slowed down and not kept in memory.
    pub async fn output(&self, stream: Stream, bytes: &[u8]) {
        for bytes in bytes.chunks(TAKEN_AT_ONCE) {
            self.shared.wait_for_room().await;
            self.shared.state().print(stream, (self.shared.clock)(), bytes);
            self.shared.news.notify_one();
        }
    }

    /// Waits until it makes no sense to go on with what the log is of: the store has refused it for a while, or is away and
    /// whoever prints waits for it; and gives why.
    pub async fn given_up(&self) -> Arc<StoreError> {
        let mut failing = self.shared.failing.subscribe();
        let gives_up = |failing: &Failing| {
            let since = failing.since.elapsed();
            if !failing.error.is_retryable() {
                return since >= REFUSED;
            }
            let waits = self.shared.state().full.len() >= WAITING_PARTS;
            waits && (since >= AWAY || self.shared.store.is_away())
        };
        loop {
            if let Some(failing) = failing.borrow_and_update().as_ref().filter(|failing| gives_up(failing)) {
                return Arc::clone(&failing.error);
            }
            if failing.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
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
        self.shared.flush(What::All).await
    }

    /// Ends the log with how long each chunk and the whole job took (a line marked [`END`]), and writes it. Nothing may be
    /// added after that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end(&self, how: &str) -> Result<(), StoreError> {
        let now = (self.shared.clock)();
        let (chunks, started) = {
            let mut state = self.shared.state();
            state.end_output(now);
            (state.chunks.clone(), state.started)
        };
        let whole = now.duration_since(started);
        let mut parts = String::new();
        for (name, took) in chunks {
            let _ = write!(parts, "{name} {:.3} s, ", took.as_secs_f64());
        }
        self.line(END, format_args!("{how}; {parts}whole job {:.3} s", whole.as_secs_f64()));
        self.shared.state().ended = true;
        self.shared.news.notify_one();
        self.shared.room.notify_waiters();
        self.shared.flush(What::All).await
    }
}

impl State {
    fn print(&mut self, stream: Stream, now: Timestamp, bytes: &[u8]) {
        let output = &mut self.output[stream as usize];
        output.lines.push(bytes, write_piece(&mut self.open, stream, now));
        output.since = output.lines.is_unfinished().then(|| output.since.unwrap_or_else(Instant::now));
        self.roll();
    }

    /// Adds unfinished lines that have waited long enough.
    fn cut_output(&mut self, now: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let output = &mut self.output[stream as usize];
            if output.since.is_some_and(|since| since.elapsed() >= UNFINISHED) {
                output.lines.cut(write_piece(&mut self.open, stream, now));
                output.since = None;
            }
        }
        self.roll();
    }

    fn end_output(&mut self, now: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let output = &mut self.output[stream as usize];
            output.lines.end(write_piece(&mut self.open, stream, now));
            output.since = None;
        }
        self.roll();
    }

    /// Ends the open part if it is large enough.
    fn roll(&mut self) {
        if self.open.len() >= ROLL_BYTES {
            self.full.push_back(std::mem::take(&mut self.open).into());
            self.written = 0;
        }
    }

    fn is_new(&self) -> bool {
        !self.full.is_empty() || self.written < self.open.len() || self.output.iter().any(|o| o.since.is_some())
    }
}

/// Writes pieces of lines to a log. A time is asked for, and written, once for all of them.
fn write_piece(open: &mut String, stream: Stream, now: Timestamp) -> impl FnMut(Piece<'_>) {
    let (whole, part) = match stream {
        Stream::Stdout => (format!("{now:.3} OUT   "), format!("{now:.3} OUT+  ")),
        Stream::Stderr => (format!("{now:.3} ERR   "), format!("{now:.3} ERR+  ")),
    };
    move |piece| {
        open.push_str(if piece.goes_on { &part } else { &whole });
        push_visible(open, piece.bytes);
        open.push('\n');
    }
}

/// What is to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Full parts, which are not written again.
    Full,
    /// The open part, too.
    All,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_for_room(&self) {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // What is written from here on counts.
            room.as_mut().enable();
            {
                let state = self.state();
                if state.full.len() < WAITING_PARTS || state.ended {
                    return;
                }
            }
            room.await;
        }
    }

    /// Waits until a condition holds; the flusher alone waits so.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        while !holds(&self.state()) {
            self.news.notified().await;
        }
    }

    async fn flush(&self, what: What) -> Result<(), StoreError> {
        let _one = self.writing.lock().await;
        loop {
            let (part, full, content) = {
                let state = self.state();
                match state.full.front() {
                    Some(full) => (state.part, true, full.clone()),
                    None if what == What::All && state.written < state.open.len() => {
                        (state.part, false, Bytes::copy_from_slice(state.open.as_bytes()))
                    }
                    None => return Ok(()),
                }
            };
            let length = content.len();
            self.store.put(&(self.path)(part), content).await?;
            self.failing.send_replace(None);
            let mut state = self.state();
            if full {
                state.full.pop_front();
                state.part += 1;
                self.room.notify_waiters();
            } else if state.full.is_empty() {
                state.written = length;
            }
        }
    }
}

/// Full parts are written at once, what else is new a while later.
async fn flush_while_it_grows(shared: Arc<Shared>) {
    loop {
        shared.until(|state| state.is_new() || state.ended).await;
        let due = Instant::now() + LATEST;
        let mut written = Ok(());
        while written.is_ok() {
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                () = shared.until(|state| !state.full.is_empty() || state.ended) => {}
            }
            if shared.state().ended {
                return;
            }
            written = shared.flush(What::Full).await;
        }
        if written.is_ok() {
            shared.state().cut_output((shared.clock)());
            written = shared.flush(What::All).await;
        }
        if let Err(error) = written {
            // What the store refuses now is tried again next time, and at the end, where it counts.
            tracing::warn!(%error, "a log could not be written yet");
            let error = Arc::new(error);
            shared.failing.send_modify(|failing| {
                let since = failing.as_ref().map_or_else(Instant::now, |failing| failing.since);
                *failing = Some(Failing { since, error });
            });
            tokio::time::sleep_until(due).await;
            tokio::time::sleep(LATEST).await;
        }
    }
}
