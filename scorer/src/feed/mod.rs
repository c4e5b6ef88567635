//! The rows of one pass over files, on their way to the sensors' consumers, in bounded memory.
//!
//! One thread reads the files and fills all feeds; each sensor's consumer takes the rows of its own feed. What waits in
//! all feeds together is bounded by a [`Budget`]. Above it, rows of sensors that nobody consumes yet go to a scratch file,
//! the largest first; where only consumed feeds are left, reading waits until their consumers have caught up. A feed that
//! is dropped frees what it holds, and what still comes for it is discarded; once all are dropped, reading ends.

mod scratch;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::problem::Problem;
use crate::readings::{Counts, Head, Limits, Rows, Sink, Totals};
use scratch::{Scratch, Span};

/// Bytes of rows that one pass may hold in memory.
#[derive(Clone, Debug)]
pub struct Budget {
    /// How many: a part of them for rows that are being collected, the rest for rows that wait.
    pub bytes: usize,
    /// The folder for what is more.
    pub scratch: PathBuf,
}

/// What all passes of a process may hold that are under way at once.
const ALL: usize = 24 << 20;
/// What a pass holds where the memory is needed by somebody else's program.
const SMALL: usize = 2 << 20;
/// What a pass needs at least to go on quickly.
const LEAST: usize = 4 << 20;
/// A sensor's rows are given away once there are so many bytes of them. (Blocks of 1 MiB made reading CSV take half as
/// long again: the allocator gives memory of that size back to the system each time, and gets it zeroed.)
const BLOCK: usize = 64 << 10;
/// Pieces of the scratch file are read together up to so many bytes.
const SPAN: usize = 1 << 20;
/// Where very many sensors share files, rows of each are collected up to about so many bytes before they are given away:
/// else the scratch file would have more pieces than can be kept track of.
const PIECE: usize = 8 << 10;
/// But no more than this for all of them.
const MOST: usize = 40 << 20;

impl Budget {
    /// The share of one pass over files of so many sensors, where so many passes may be under way at once.
    #[must_use]
    pub fn share(sensors: usize, passes: usize) -> Self {
        let bytes = (ALL / passes.max(1)).max(LEAST);
        let bytes = bytes.max(sensors.saturating_mul(PIECE).min(MOST / passes.max(1)));
        Self { bytes, scratch: std::env::temp_dir() }
    }

    /// What a pass over files of so many sensors holds beside a user's command, which is to have the memory.
    #[must_use]
    pub fn small(sensors: usize) -> Self {
        let bytes = SMALL.max(sensors.saturating_mul(PIECE).min(MOST));
        Self { bytes, scratch: std::env::temp_dir() }
    }

    /// What the pass may collect before it gives rows away.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { block: BLOCK.min(self.bytes / 4), open: self.bytes / 2 }
    }
}

/// Fills the feeds of a pass, on a blocking thread. Dropped before [`Filler::end`], it ends them with a problem.
pub struct Filler(Arc<Shared>);

/// One sensor's rows.
pub struct Feed {
    shared: Arc<Shared>,
    sensor: usize,
    ready: Arc<Notify>,
}

struct Shared {
    state: Mutex<State>,
    /// Told when rows were taken, or a feed was dropped.
    room: Condvar,
    budget: Budget,
}

struct State {
    queues: Vec<Queue>,
    /// Bytes in the memory of all queues.
    waiting: usize,
    dropped: usize,
    scratch: Option<Arc<Scratch>>,
    head: Option<Arc<Head>>,
    end: Option<Result<Arc<Totals>, Problem>>,
}

struct Queue {
    consumer: Consumer,
    /// What is in the scratch file: all of it is before what is in memory.
    spans: VecDeque<Span>,
    rows: VecDeque<Rows>,
    /// Bytes of the rows in memory.
    bytes: usize,
    ready: Arc<Notify>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    /// Nobody asked for rows yet.
    Waits,
    Takes,
    Dropped,
}

/// The feeds of so many sensors, and what fills them.
#[must_use]
pub fn feeds(sensors: usize, budget: Budget) -> (Filler, Vec<Feed>) {
    let queue = || Queue {
        consumer: Consumer::Waits,
        spans: VecDeque::new(),
        rows: VecDeque::new(),
        bytes: 0,
        ready: Arc::new(Notify::new()),
    };
    let queues: Vec<Queue> = std::iter::repeat_with(queue).take(sensors).collect();
    let ready: Vec<Arc<Notify>> = queues.iter().map(|q| Arc::clone(&q.ready)).collect();
    let state = State { queues, waiting: 0, dropped: 0, scratch: None, head: None, end: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), room: Condvar::new(), budget });
    let feed = |(sensor, ready)| Feed { shared: Arc::clone(&shared), sensor, ready };
    let feeds = ready.into_iter().enumerate().map(feed).collect();
    (Filler(shared), feeds)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves rows that nobody consumes yet to the scratch file, the largest first, until half of what may wait is free.
    /// They are written without holding up the consumers; only the one filler adds to queues, so their order stays.
    fn make_room(&self) -> Result<(), Problem> {
        let (scratch, moved) = {
            let mut state = self.state();
            let scratch = match &state.scratch {
                Some(scratch) => Arc::clone(scratch),
                None => {
                    let scratch = Arc::new(Scratch::new(&self.budget.scratch, state.waiting)?);
                    Arc::clone(state.scratch.insert(scratch))
                }
            };
            (scratch, state.take_idle(self.budget.bytes / 4))
        };
        let spans = scratch.write(&moved.iter().map(|(_, rows)| rows.as_slice()).collect::<Vec<_>>())?;
        let mut state = self.state();
        for ((sensor, _), span) in moved.into_iter().zip(spans) {
            let queue = &mut state.queues[sensor];
            if queue.consumer != Consumer::Dropped {
                queue.spans.push_back(span);
                queue.ready.notify_one();
            }
        }
        Ok(())
    }

    fn end(&self, end: Result<Totals, Problem>) {
        let mut state = self.state();
        if state.end.is_none() {
            state.end = Some(end.map(Arc::new));
        }
        state.queues.iter().for_each(|q| q.ready.notify_one());
    }
}

impl State {
    /// Takes the rows of sensors that nobody consumes yet, the largest first, until no more than `enough` bytes wait.
    fn take_idle(&mut self, enough: usize) -> Vec<(usize, Vec<Rows>)> {
        let idle = self.queues.iter().enumerate().filter(|(_, q)| q.consumer == Consumer::Waits && q.bytes > 0);
        let mut idle: Vec<(usize, usize)> = idle.map(|(sensor, q)| (q.bytes, sensor)).collect();
        idle.sort_unstable_by(|a, b| b.cmp(a));
        let mut moved = Vec::new();
        for (_, sensor) in idle {
            if self.waiting <= enough {
                break;
            }
            let queue = &mut self.queues[sensor];
            self.waiting -= std::mem::take(&mut queue.bytes);
            moved.push((sensor, std::mem::take(&mut queue.rows).into()));
        }
        moved
    }
}

impl Sink for Filler {
    fn begin(&mut self, head: &Arc<Head>) {
        let mut state = self.0.state();
        state.head = Some(Arc::clone(head));
        state.queues.iter().for_each(|q| q.ready.notify_one());
    }

    fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()> {
        let budget = self.0.budget.bytes / 2;
        let mut state = self.0.state();
        let bytes = rows.bytes();
        if let Some(queue) = state.queues.get_mut(sensor).filter(|q| q.consumer != Consumer::Dropped) {
            queue.rows.push_back(rows);
            queue.bytes += bytes;
            queue.ready.notify_one();
            state.waiting += bytes;
        }
        while state.waiting > budget && state.dropped < state.queues.len() {
            let idle = state.queues.iter().any(|q| q.consumer == Consumer::Waits && q.bytes > 0);
            if idle {
                drop(state);
                if let Err(problem) = self.0.make_room() {
                    self.0.end(Err(problem));
                    return ControlFlow::Break(());
                }
                state = self.0.state();
            } else {
                state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if state.dropped < state.queues.len() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Filler {
    /// Ends all feeds. What ended them first counts.
    pub fn end(self, end: Result<Totals, Problem>) {
        self.0.end(end);
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.0.end(Err(Problem::failed("Internal", "reading broke off")));
    }
}

/// What a feed has next.
enum Next {
    Rows(Rows),
    Spans(Arc<Scratch>, Vec<Span>),
    End,
    Later,
}

impl Feed {
    /// Tells that rows will be asked for soon: from now on they are held in memory, and reading waits rather than use the
    /// scratch file for them.
    pub fn claim(&self) {
        if let Some(queue) = self.shared.state().queues.get_mut(self.sensor) {
            queue.consumer = Consumer::Takes;
        }
    }

    /// What is known of the files before their rows.
    ///
    /// # Errors
    /// Why the files cannot be read.
    pub async fn head(&self) -> Result<Arc<Head>, Problem> {
        self.when(|state| state.head.clone()).await
    }

    /// Waits for the end of the files and gives what was counted; rows stay in the feed meanwhile.
    ///
    /// # Errors
    /// Why the files cannot be read.
    pub async fn end(&self) -> Result<Arc<Totals>, Problem> {
        self.when(|state| state.end.clone().and_then(Result::ok)).await
    }

    /// What was counted of the sensor itself.
    #[must_use]
    pub fn counts<'a>(&self, totals: &'a Totals) -> Option<&'a Counts> {
        totals.sensors.get(self.sensor).map(|(_, counts)| counts)
    }

    /// Why the files cannot be read, as far as it is known now.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        self.shared.state().end.as_ref().and_then(|end| end.as_ref().err().cloned())
    }

    /// The next rows; none at the end of the files. From the first call on the feed is claimed.
    ///
    /// # Errors
    /// Why the files cannot be read to their end.
    pub async fn next(&mut self) -> Result<Option<Rows>, Problem> {
        loop {
            match self.take()? {
                Next::Rows(rows) => return Ok(Some(rows)),
                Next::Spans(scratch, spans) => {
                    let read = tokio::task::spawn_blocking(move || scratch.read(&spans)).await;
                    return read.map_err(|e| Problem::internal("reading the scratch file", e))?.map(Some);
                }
                Next::End => return Ok(None),
                Next::Later => self.ready.notified().await,
            }
        }
    }

    /// Hands all rows to `look` that wait in a feed whose files have ended, and keeps them.
    ///
    /// # Errors
    /// When the scratch file cannot be read.
    pub async fn look(&self, mut look: impl FnMut(&Rows)) -> Result<(), Problem> {
        let mut at = 0;
        loop {
            let (span, scratch) = {
                let state = self.shared.state();
                let Some(queue) = state.queues.get(self.sensor) else { return Ok(()) };
                match queue.spans.get(at).copied().zip(state.scratch.clone()) {
                    Some(found) => found,
                    None => {
                        queue.rows.iter().for_each(look);
                        return Ok(());
                    }
                }
            };
            let read = tokio::task::spawn_blocking(move || scratch.read(&[span])).await;
            look(&read.map_err(|e| Problem::internal("reading the scratch file", e))??);
            at += 1;
        }
    }

    fn take(&self) -> Result<Next, Problem> {
        let mut state = self.shared.state();
        if let Some(Err(problem)) = &state.end {
            return Err(problem.clone());
        }
        let State { queues, waiting, scratch, end, .. } = &mut *state;
        let Some(queue) = queues.get_mut(self.sensor) else { return Ok(Next::End) };
        queue.consumer = Consumer::Takes;
        if let Some(scratch) = scratch
            && let Some(first) = queue.spans.pop_front()
        {
            let (mut bytes, mut spans) = (first.bytes(), vec![first]);
            while let Some(span) = queue.spans.pop_front_if(|span| bytes + span.bytes() <= SPAN) {
                bytes += span.bytes();
                spans.push(span);
            }
            return Ok(Next::Spans(Arc::clone(scratch), spans));
        }
        match queue.rows.pop_front() {
            Some(rows) => {
                let bytes = rows.bytes();
                queue.bytes -= bytes;
                *waiting -= bytes;
                self.shared.room.notify_one();
                Ok(Next::Rows(rows))
            }
            None if end.is_some() => Ok(Next::End),
            None => {
                // Rows of others may have been waited for; now they can be moved to make room.
                self.shared.room.notify_one();
                Ok(Next::Later)
            }
        }
    }

    async fn when<T>(&self, known: impl Fn(&State) -> Option<T>) -> Result<T, Problem> {
        loop {
            {
                let state = self.shared.state();
                if let Some(Err(problem)) = &state.end {
                    return Err(problem.clone());
                }
                if let Some(found) = known(&state) {
                    return Ok(found);
                }
            }
            self.ready.notified().await;
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let State { queues, waiting, dropped, .. } = &mut *state;
        if let Some(queue) = queues.get_mut(self.sensor) {
            queue.consumer = Consumer::Dropped;
            (queue.spans, queue.rows) = Default::default();
            *waiting -= std::mem::take(&mut queue.bytes);
            *dropped += 1;
        }
        self.shared.room.notify_one();
    }
}

#[cfg(test)]
mod tests;
