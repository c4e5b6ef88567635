//! Simulations side by side, on all processors, and how far they have come.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crds::Prewarm;
use planner::simulate::{Demand, Dice, Model, Outcome, Setting, simulate_telling, uses_of};
use planner::warmth::Policy;
use spec::Span;

use crate::cluster::prewarm;

/// Who decides on nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decider {
    /// The planner.
    BreakEven(Prewarm),
    /// The planner, with how long idle nodes stay.
    After(Span, Prewarm),
    /// The planner.
    Never(Prewarm),
    /// The Kubernetes cluster-autoscaler.
    ClusterAutoscaler,
    /// Nobody.
    AlwaysOn,
}

impl Decider {
    /// Its name in a table.
    pub(super) fn label(&self) -> String {
        let (name, prewarm) = match self {
            Self::BreakEven(prewarm) => ("BreakEven".to_owned(), prewarm),
            Self::After(after, prewarm) => (format!("After {after}"), prewarm),
            Self::Never(prewarm) => ("Never".to_owned(), prewarm),
            Self::ClusterAutoscaler => return "cluster-autoscaler".to_owned(),
            Self::AlwaysOn => return "always on".to_owned(),
        };
        match prewarm {
            Prewarm::Off => name,
            prewarm => format!("{name}, prewarm {prewarm}"),
        }
    }
}

/// A simulation.
#[derive(Clone, Debug)]
pub(super) struct Job<'a> {
    pub(super) setting: &'a Setting,
    pub(super) demand: &'a Demand,
    pub(super) decider: Decider,
    pub(super) seed: u64,
}

impl Job<'_> {
    fn model(&self) -> Model {
        let ours = |policy, lead| Model::Ours { policy, prewarm: prewarm(lead) };
        match self.decider {
            Decider::BreakEven(lead) => ours(Policy::BreakEven, lead),
            Decider::After(after, lead) => ours(Policy::After(after.to_signed()), lead),
            Decider::Never(lead) => ours(Policy::Never, lead),
            Decider::ClusterAutoscaler => Model::ClusterAutoscaler,
            Decider::AlwaysOn => {
                let peak = u32::try_from(uses_of(self.setting, self.demand).len()).unwrap_or(u32::MAX);
                Model::AlwaysOn(peak.max(self.setting.min_nodes))
            }
        }
    }

    fn run(&self, come: &AtomicI64) -> Outcome {
        let model = self.model();
        let mut tell = |second| come.store(second, Ordering::Relaxed);
        simulate_telling(self.setting, self.demand, model, Dice::new(self.seed), &mut tell)
    }
}

/// Nothing is told before this.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is told on a terminal, and elsewhere.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);

/// Runs all of them. The outcomes are in the order of the jobs, and do not depend on how many processors there are.
pub(super) fn run(jobs: &[Job]) -> Vec<Outcome> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (next, come) = (AtomicUsize::new(0), jobs.iter().map(|_| AtomicI64::new(0)).collect::<Vec<_>>());
    let mut outcomes: Vec<Option<Outcome>> = jobs.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (done, heard) = mpsc::channel();
        for _ in 0..processors.min(jobs.len()) {
            let (done, next, come) = (done.clone(), &next, &come);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((job, come)) = jobs.get(at).zip(come.get(at)) else { return };
                    let _listening = done.send((at, job.run(come)));
                }
            });
        }
        drop(done);
        let mut progress = Progress::new();
        loop {
            match heard.recv_timeout(progress.every) {
                Ok((at, outcome)) => {
                    come[at].store(i64::MAX, Ordering::Relaxed);
                    outcomes[at] = Some(outcome);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            progress.tell(jobs, &come);
        }
        progress.end();
    });
    outcomes.into_iter().flatten().collect()
}

/// On standard error, as long as it takes.
struct Progress {
    begun: Instant,
    told: Option<Instant>,
    every: Duration,
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { begun: Instant::now(), told: None, every: if terminal { OFTEN } else { SELDOM }, terminal }
    }

    fn tell(&mut self, jobs: &[Job], come: &[AtomicI64]) {
        let now = Instant::now();
        if now - self.begun < PATIENCE || self.told.is_some_and(|told| now - told < self.every) {
            return;
        }
        self.told = Some(now);
        let (mut sum, mut all, mut ended) = (0_i128, 0_i128, 0);
        for (job, come) in jobs.iter().zip(come) {
            let (length, come) = (job.demand.end.max(1), come.load(Ordering::Relaxed));
            ended += usize::from(come == i64::MAX);
            all += i128::from(length);
            sum += i128::from(come.min(length));
        }
        let seconds = (now - self.begun).as_secs();
        // What piled up takes longer than there is demand.
        let percent = (100 * sum / all.max(1)).min(if ended < jobs.len() { 99 } else { 100 });
        let line = format!("simulating: {percent} %, {ended} of {} done, {seconds} s", jobs.len());
        let mut out = std::io::stderr();
        let _nobody_reads = match self.terminal {
            true => write!(out, "\r\u{1b}[K{line}").and_then(|()| out.flush()),
            false => writeln!(out, "{line}"),
        };
    }

    fn end(&self) {
        if self.terminal && self.told.is_some() {
            let _nobody_reads = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
