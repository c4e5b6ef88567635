//! A whole local cluster: what runs on it, and that nothing of it stays.
//!
//! Needs what `local-aks up` needs. Elsewhere the tests are told as ignored, with the reasons; with `E2E=required` that
//! is a failure.

mod agent_pool;
mod host;
mod pods;
mod stories;
#[path = "../trial/mod.rs"]
mod trial;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;
use trial::{required, trial};

/// Asks until there is an answer.
async fn wait<T>(what: &str, limit: Duration, ask: impl AsyncFn() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        anyhow::ensure!(started.elapsed() < limit, "waited {limit:?} for {what} in vain");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn main() -> ExitCode {
    local_aks::serve_if_asked();
    let mut arguments = Arguments::from_args();
    // There can be one cluster at a time.
    arguments.test_threads = Some(1);
    let obstacles = local_aks::obstacles();
    if !obstacles.is_empty() && !required() && !arguments.list {
        eprintln!("The tests of the local cluster do not run here: {}", obstacles.join("; "));
    }
    let trials = vec![
        trial("pods_run_and_reach_everything_and_nothing_stays", &obstacles, stories::real),
        trial("fake_nodes_come_by_the_dozen_and_up_cleans_up_after_a_crash", &obstacles, stories::crash),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
