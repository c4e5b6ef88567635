//! An item that a command of the user's scores: for each sensor its model and readings become local files, the command is
//! run, and what it wrote becomes the sensor's predictions.

mod environment;
mod files;
mod hear;
mod items;
mod json_lines;
mod labels;
mod output;
mod sensor;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use spec::Command;
use store::LogFile;
use tokio::sync::{Semaphore, mpsc, watch};

use hear::Ears;
pub use hear::Echo;

use super::data::DataFiles;
use super::job::SensorJob;
use super::ledger::Ledger;
use crate::context::Context;
use crate::problem::Problem;
use crate::process::{self, Program};
use crate::stop::stopped;
use files::InputFiles;
use verdict::Verdict;

/// Sensors whose files are here at once.
const AT_ONCE: usize = 4;
/// Sensors whose files are on their way here at once.
const AHEAD: usize = 2;

/// How this process runs commands.
#[derive(Clone, Debug)]
pub struct Running {
    /// How long a command may take to end once it is told to.
    pub grace: Duration,
    /// Where its words go besides the log.
    pub echo: Echo,
    /// Names of the environment that a command is given though they may hold a credential: the user set them.
    pub keep_env: Vec<String>,
    /// Further environment.
    pub env: BTreeMap<String, String>,
}

impl Default for Running {
    fn default() -> Self {
        let grace = Duration::from_secs(25);
        Self { grace, echo: Echo::default(), keep_env: Vec::new(), env: BTreeMap::new() }
    }
}

/// What the sensors of an item have in common.
struct Work<'a> {
    context: &'a Context,
    command: &'a Command,
    data: &'a DataFiles,
    files: InputFiles,
    ledger: &'a Ledger,
    stop: watch::Receiver<bool>,
    /// Why no command can go on, once that is so.
    refused: watch::Sender<Option<Problem>>,
}

/// Scores sensors until all are done, or `stop` is true and the command has ended. Those that are then not done have no
/// outcome. An error is why the command had to be ended, and no other begun.
pub(super) async fn work_on(
    context: &Context,
    command: &Command,
    jobs: Vec<SensorJob>,
    data: &DataFiles,
    ledger: &Ledger,
    stop: watch::Receiver<bool>,
) -> Result<(), Problem> {
    let (files, refused) = (InputFiles::default(), watch::Sender::new(None));
    let work = &Work { context, command, data, files, ledger, stop, refused };
    if command.per_item {
        items::work_on(work, jobs).await;
    } else {
        pipeline(work, jobs).await;
    }
    work.refused.borrow().clone().map_or(Ok(()), Err)
}

/// Has each sensor go through three stages, in order: its files travel, its command runs, its predictions travel. The
/// memory and the processors of a pod are those of one command, so one runs at a time.
async fn pipeline(work: &Work<'_>, jobs: Vec<SensorJob>) {
    let room = &Arc::new(Semaphore::new(AT_ONCE));
    // There is always room in them, so that files go on travelling while a command runs.
    let (ready, mut to_run) = mpsc::channel(AT_ONCE);
    let (ran, mut to_finish) = mpsc::channel(AT_ONCE);
    let prepare = async move {
        let prepared = futures::stream::iter(jobs).map(|mut job| async move {
            let place = Arc::clone(room).acquire_owned().await;
            let goes_on = !work.context.is_away();
            let local = if goes_on { Some(sensor::prepare(work, &mut job).await) } else { None };
            local.map(|local| (job, local, place))
        });
        let mut prepared = std::pin::pin!(prepared.buffered(AHEAD));
        while let Some(next) = work.unless_stopped(prepared.next()).await.flatten() {
            if let Some(next) = next {
                // Nobody takes more once told to stop.
                let _ = ready.send(next).await;
            }
        }
    };
    let run = async move {
        while let Some((mut job, local, place)) = work.unless_stopped(to_run.recv()).await.flatten() {
            let end = sensor::run(work, &mut job, local).await;
            let _ = ran.send((job, end, place)).await;
        }
    };
    let finish = async move {
        while let Some((job, end, _place)) = to_finish.recv().await {
            if let Some(outcome) = sensor::finish(work, &job, end).await {
                work.ledger.add(outcome);
            }
        }
    };
    tokio::join!(prepare, run, finish);
}

impl Work<'_> {
    /// What a future gives, unless told to stop before it does.
    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let (mut stop, mut refused) = (self.stop.clone(), self.refused.subscribe());
        tokio::select! {
            biased;
            () = stopped(&mut stop) => None,
            _ = refused.wait_for(Option::is_some) => None,
            done = future => Some(done),
        }
    }

    /// Runs a program, no longer than one run of the command may take. What it prints goes to the log.
    async fn run(&self, program: &Program, log: &LogFile) -> Verdict {
        let running = &self.context.running;
        let limit = self.command.timeout_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let late = AtomicBool::new(false);
        let stop = async {
            let time_is_up = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.ends(log) => {}
                () = time_is_up => late.store(true, Ordering::Relaxed),
            }
        };
        let ended = process::run(program, &Ears::new(log, running.echo), running.grace, stop).await;
        match limit.filter(|_| late.load(Ordering::Relaxed)) {
            Some(limit) => verdict::late(program, ended, limit),
            None => verdict::of(program, ended),
        }
    }

    /// Why a command was told to end, where that is why its sensor is not done.
    fn blamed(&self, problem: Problem) -> Problem {
        let refused = || self.refused.borrow().clone();
        if problem.reason == output::STOPPED { refused().unwrap_or(problem) } else { problem }
    }

    /// Waits until a command is to be ended: when told to stop, or when its log cannot be written and that does not pass.
    /// It would print into the void, or wait for its log for ever, and nobody would hear why.
    async fn ends(&self, log: &LogFile) {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stopped(&mut stop) => {}
            error = log.given_up() => {
                tracing::warn!(%error, "the command is told to end: its log cannot be written");
                self.refused.send_replace(Some(Problem::of_store(&error)));
            }
        }
    }
}
