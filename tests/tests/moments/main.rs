//! The operator's controllers, as in production but for the clock, against the real API server: they live through 100
//! virtual minutes in which 20 schedules tick, and die at 100 random moments. What becomes of each tick, and when, is
//! compared with the oracle of `planner/tests/time_travel`, which shares no code with the product.
//!
//! `cargo test -p tests --test moments`; `SEED` gives other schedules and other moments. Needs what `local-aks` needs: where
//! that is missing the test is told as ignored, or as failed with `E2E=required`.

mod diary;
#[allow(dead_code, clippy::unwrap_used, reason = "those of the planner's tests; only cron expressions are diced here")]
#[path = "../../../planner/tests/time_travel/dice.rs"]
mod dice;
mod life;
mod lives;
#[allow(clippy::unwrap_used, reason = "that of the planner's tests")]
#[path = "../../../planner/tests/time_travel/oracle.rs"]
mod oracle;
mod plan;
mod told;
mod trap;
mod world;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Result;
use tests::control_plane::{ControlPlane, workspace};
use tests::harness::{self, Cluster, Suite};

const SUITE: &str = "moments";
/// A port of this machine on which nothing listens.
const NOWHERE: &str = "https://127.0.0.1:9/";

/// The control plane is all that it takes.
struct Shared(ControlPlane);

impl Cluster for Shared {
    const SUITE: &'static str = SUITE;

    async fn up() -> Result<Self> {
        ControlPlane::up(SUITE).await.map(Self)
    }

    async fn down(&self) -> Result<()> {
        self.0.down().await
    }

    async fn diagnose(&self) {
        tell(&format!("what the operator said is in {}", log().display()));
    }
}

fn tell(line: &str) {
    tests::local::tell(SUITE, line);
}

/// Where the operator's log goes.
fn log() -> std::path::PathBuf {
    workspace().join("target/moments/operator.log")
}

/// The operator's log of all its lives, into a file.
fn keep_log() -> Result<()> {
    let path = log();
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    let file = std::fs::File::create(&path)?;
    let filter = tracing_subscriber::EnvFilter::new("warn,operator=debug");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).init();
    Ok(())
}

/// Starts this program anew with an identity that nobody knows, at an authority that nobody serves: the operator in it asks
/// no authority but that. (The environment is a program's own only before it starts.)
fn without_azure() -> Option<std::io::Error> {
    if std::env::var_os("AZURE_AUTHORITY_HOST").is_some_and(|host| host == NOWHERE) {
        return None;
    }
    let mut again = Command::new("/proc/self/exe");
    again.args(std::env::args_os().skip(1)).env("AZURE_AUTHORITY_HOST", NOWHERE);
    again.env("AZURE_FEDERATED_TOKEN_FILE", "/dev/null").env("AZURE_TENANT_ID", "none").env("AZURE_CLIENT_ID", "none");
    Some(again.exec())
}

fn main() -> ExitCode {
    // `up` starts this very program as the daemon that owns the nodes.
    local_aks::serve_if_asked();
    if let Some(error) = without_azure() {
        tell(&format!("cannot start anew: {error}"));
        return ExitCode::FAILURE;
    }
    if let Err(error) = keep_log() {
        tell(&format!("the operator's log is not kept: {error:#}"));
    }
    harness::main(|suite: &Suite<Shared>| {
        vec![suite.test("whenever_the_operator_dies_each_tick_has_one_run_or_is_missed_once", lives::test)]
    })
}
