//! Runs the tests of a suite on one cluster, which comes up with the first and always goes down: one after the other, or in
//! lanes side by side.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::Result;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OnceCell;

use crate::local;
use crate::turns::{Lane, Turns};

tokio::task_local! {
    static LANE: Lane;
}

/// A cluster that the tests of a suite share.
pub trait Cluster: Send + Sync + Sized + 'static {
    /// Before each line that the suite says.
    const SUITE: &'static str;

    /// How many lanes its tests have.
    const LANES: usize = 1;

    /// Brings it up, by [`local::up`].
    fn up() -> impl Future<Output = Result<Self>>;

    /// What a lane's tests see of it.
    fn lane(self: Arc<Self>, lane: usize) -> Arc<Self> {
        let _ = lane;
        self
    }

    /// Takes it down, once.
    fn down(&self) -> impl Future<Output = Result<()>> + Send;

    /// Keeps what helps to understand a failure.
    fn diagnose(&self) -> impl Future<Output = ()>;
}

/// What the tests share.
pub struct Suite<C> {
    runtime: Runtime,
    cluster: OnceCell<Result<Arc<C>, String>>,
    /// Why nothing can run here.
    obstacles: Vec<String>,
    required: bool,
    turns: OnceLock<Turns>,
}

/// A test's body.
pub trait Body<C>: Send + Sync + 'static {
    fn run(&self, cluster: Arc<C>) -> LocalBoxFuture<'static, Result<()>>;
}

impl<C, F, R> Body<C> for F
where
    F: Fn(Arc<C>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + 'static,
{
    fn run(&self, cluster: Arc<C>) -> LocalBoxFuture<'static, Result<()>> {
        Box::pin(self(cluster))
    }
}

/// A test that is yet to be bound to the suite.
pub struct Planned<C> {
    name: &'static str,
    body: Box<dyn Body<C>>,
    lane: Lane,
}

impl<C> Planned<C> {
    /// It runs in this lane instead of the first.
    #[must_use]
    pub fn in_lane(self, lane: usize) -> Self {
        Self { lane: Lane::Number(lane), ..self }
    }

    /// It runs beside no other.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { lane: Lane::Alone, ..self }
    }
}

impl<C: Cluster> Suite<C> {
    /// A test: a name that reads like a sentence, and what it does with the cluster.
    #[allow(clippy::unused_self)]
    pub fn test(&self, name: &'static str, body: impl Body<C>) -> Planned<C> {
        Planned { name, body: Box::new(body), lane: Lane::Number(0) }
    }

    fn trial(self: &Arc<Self>, number: usize, planned: Planned<C>) -> Trial {
        let cannot = !self.obstacles.is_empty();
        let suite = Arc::clone(self);
        let name = planned.name;
        let trial = Trial::test(name, move || {
            if cannot {
                return Err(Failed::from(format!(
                    "E2E=required, but it cannot run here: {}",
                    suite.obstacles.join("; ")
                )));
            }
            let run = || suite.runtime.block_on(LANE.scope(planned.lane, suite.run(name, &planned)));
            let result = suite.turns.get().map_or_else(run, |turns| turns.take(number, run));
            result.map_err(|error| Failed::from(format!("{error:#}")))
        });
        trial.with_ignored_flag(cannot && !self.required)
    }

    async fn run(&self, name: &str, planned: &Planned<C>) -> Result<()> {
        let cluster = self.cluster().await?;
        let cluster = match planned.lane {
            Lane::Number(lane) => cluster.lane(lane),
            Lane::Alone => cluster,
        };
        let suite = speaker(C::SUITE);
        eprintln!("\n{suite}: {name}");
        let started = Instant::now();
        let result = planned.body.run(Arc::clone(&cluster)).await;
        let took = started.elapsed().as_secs();
        match &result {
            Ok(()) => eprintln!("{suite}: took {took} s: {name}"),
            // The runner tells it too, but only after the last test.
            Err(error) => {
                eprintln!("{suite}: failed after {took} s: {name}: {error:#}");
                cluster.diagnose().await;
            }
        }
        result
    }

    /// The cluster, brought up by whoever asks first. One that did not come up is not tried again.
    async fn cluster(&self) -> Result<Arc<C>> {
        let up = async || C::up().await.map(Arc::new).map_err(|error| format!("{error:#}"));
        let cluster = self.cluster.get_or_init(up).await;
        cluster.clone().map_err(|error| anyhow::anyhow!("the cluster did not come up: {error}"))
    }

    /// Takes the cluster down, once.
    async fn take_down(&self) -> Result<()> {
        match self.cluster.get() {
            Some(Ok(cluster)) => cluster.down().await,
            _ => local::down_half_made(C::SUITE).await,
        }
    }
}

/// Who speaks: the suite, with its lane where there are several.
#[must_use]
pub fn speaker(suite: &str) -> String {
    match LANE.try_with(|lane| *lane) {
        Ok(Lane::Number(lane)) if lane > 0 => format!("{suite}/{lane}"),
        _ => suite.to_owned(),
    }
}

/// Plans the tests, runs those that the arguments pick, and cleans up whatever happens.
pub fn main<C: Cluster>(plan: impl FnOnce(&Suite<C>) -> Vec<Planned<C>>) -> ExitCode {
    let mut args = Arguments::from_args();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{}: no async runtime: {error}", C::SUITE);
            return ExitCode::FAILURE;
        }
    };
    let required = std::env::var_os("E2E").is_some_and(|value| value == "required");
    let obstacles = if args.list { Vec::new() } else { local_aks::obstacles() };
    let suite = Arc::new(Suite { runtime, cluster: OnceCell::new(), obstacles, required, turns: OnceLock::new() });
    let planned = plan(&suite);
    let lanes: Vec<Lane> = planned.iter().map(|planned| planned.lane).collect();
    let trials = planned.into_iter().enumerate().map(|(number, planned)| suite.trial(number, planned));
    let trials: Vec<Trial> = trials.collect();
    // Each has a thread, in which it waits for its turn: their order is part of the story.
    args.test_threads.get_or_insert(trials.len().max(1));
    let turns = lanes.into_iter().zip(&trials).map(|(lane, trial)| (lane, args.is_filtered_out(trial)));
    let _ = suite.turns.set(Turns::new(turns.collect()));
    if !suite.obstacles.is_empty() {
        tell_what_does_not_run(&suite, &args, &trials);
    }
    take_down_when_interrupted(&suite);
    let conclusion = libtest_mimic::run(&args, trials);
    if let Err(error) = suite.runtime.block_on(suite.take_down()) {
        eprintln!("{}: the cluster did not go down: {error:#}; try `cargo local-aks down`", C::SUITE);
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn tell_what_does_not_run<C: Cluster>(suite: &Suite<C>, args: &Arguments, trials: &[Trial]) {
    eprintln!("{}: these tests do not run:", C::SUITE);
    trials.iter().filter(|trial| !args.is_filtered_out(trial)).for_each(|trial| eprintln!("  {}", trial.name()));
    eprintln!("because:");
    suite.obstacles.iter().for_each(|obstacle| eprintln!("  {obstacle}"));
}

/// Ctrl-C and SIGTERM. While the cluster comes up, `local_aks::up` answers them itself.
fn take_down_when_interrupted<C: Cluster>(suite: &Arc<Suite<C>>) {
    let suite = Arc::clone(suite);
    let runtime = suite.runtime.handle().clone();
    runtime.spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if suite.cluster.initialized() || !local::is_coming_up() {
                eprintln!("\n{}: interrupted: take the cluster down", C::SUITE);
                let result = suite.take_down().await;
                if let Err(error) = &result {
                    eprintln!("{}: {error:#}; try `cargo local-aks down`", C::SUITE);
                }
                std::process::exit(130);
            }
        }
    });
}
