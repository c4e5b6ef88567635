//! Runs the tests one after the other on one cluster, which comes up with the first and always goes down.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OnceCell;

use crate::cluster::Cluster;

/// What the tests share.
pub(crate) struct Suite {
    runtime: Runtime,
    cluster: OnceCell<Result<Arc<Cluster>, String>>,
    /// Why nothing can run here.
    obstacles: Vec<String>,
    required: bool,
}

/// A test's body.
pub(crate) trait Body: Send + Sync + 'static {
    fn run(&self, cluster: Arc<Cluster>) -> LocalBoxFuture<'static, Result<()>>;
}

impl<F, R> Body for F
where
    F: Fn(Arc<Cluster>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + 'static,
{
    fn run(&self, cluster: Arc<Cluster>) -> LocalBoxFuture<'static, Result<()>> {
        Box::pin(self(cluster))
    }
}

/// A test that is yet to be bound to the suite.
pub(crate) struct Planned {
    name: &'static str,
    body: Box<dyn Body>,
}

impl Suite {
    /// A test: a name that reads like a sentence, and what it does with the cluster.
    #[allow(clippy::unused_self)]
    pub(crate) fn test(&self, name: &'static str, body: impl Body) -> Planned {
        Planned { name, body: Box::new(body) }
    }

    fn trial(self: &Arc<Self>, planned: Planned) -> Trial {
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
            let result = suite.runtime.block_on(async {
                let cluster = suite.cluster().await?;
                eprintln!("\ne2e: {name}");
                let result = planned.body.run(Arc::clone(&cluster)).await;
                if result.is_err() {
                    cluster.diagnose().await;
                }
                result
            });
            result.map_err(|error| Failed::from(format!("{error:#}")))
        });
        trial.with_ignored_flag(cannot && !self.required)
    }

    /// The cluster, brought up by whoever asks first. One that did not come up is not tried again.
    async fn cluster(&self) -> Result<Arc<Cluster>> {
        let up = async || Cluster::up().await.map(Arc::new).map_err(|error| format!("{error:#}"));
        let cluster = self.cluster.get_or_init(up).await;
        cluster.clone().map_err(|error| anyhow::anyhow!("the cluster did not come up: {error}"))
    }

    /// Takes the cluster down, once.
    async fn take_down(&self) -> Result<()> {
        match self.cluster.get() {
            Some(Ok(cluster)) => cluster.down().await,
            _ => Cluster::down_half_made().await,
        }
    }
}

/// Plans the tests, runs those that the arguments pick, and cleans up whatever happens.
pub(crate) fn main(plan: impl FnOnce(&Suite) -> Vec<Planned>) -> ExitCode {
    let mut args = Arguments::from_args();
    // They share one pool of nodes, and their order is part of the story.
    args.test_threads = Some(1);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("e2e: no async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let required = std::env::var_os("E2E").is_some_and(|value| value == "required");
    let obstacles = if args.list { Vec::new() } else { local_aks::obstacles() };
    let suite = Arc::new(Suite { runtime, cluster: OnceCell::new(), obstacles, required });
    let trials: Vec<Trial> = plan(&suite).into_iter().map(|planned| suite.trial(planned)).collect();
    if !suite.obstacles.is_empty() {
        tell_what_does_not_run(&suite, &args, &trials);
    }
    take_down_when_interrupted(&suite);
    let conclusion = libtest_mimic::run(&args, trials);
    if let Err(error) = suite.runtime.block_on(suite.take_down()) {
        eprintln!("e2e: the cluster did not go down: {error:#}; try `cargo local-aks down`");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn tell_what_does_not_run(suite: &Suite, args: &Arguments, trials: &[Trial]) {
    eprintln!("e2e: these tests do not run:");
    trials.iter().filter(|trial| !args.is_filtered_out(trial)).for_each(|trial| eprintln!("  {}", trial.name()));
    eprintln!("because:");
    suite.obstacles.iter().for_each(|obstacle| eprintln!("  {obstacle}"));
}

/// Ctrl-C and SIGTERM. While the cluster comes up, `local_aks::up` answers them itself.
fn take_down_when_interrupted(suite: &Arc<Suite>) {
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
            if suite.cluster.initialized() || !Cluster::is_coming_up() {
                eprintln!("\ne2e: interrupted: take the cluster down");
                let result = suite.take_down().await;
                if let Err(error) = &result {
                    eprintln!("e2e: {error:#}; try `cargo local-aks down`");
                }
                std::process::exit(130);
            }
        }
    });
}
