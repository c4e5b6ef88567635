//! What a program leaves that is killed while its server runs: this one starts itself once more, and kills it.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Names the folder to the program that is to start a server in it and wait.
const FOLDER: &str = "SERVER_OF";
/// Names the server to it.
const KIND: &str = "SERVER";
const KAFKA: &str = "kafka";
const POSTGRES: &str = "postgres";

pub(crate) fn asked() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

#[tokio::main]
pub(crate) async fn hold(folder: &Path) -> ExitCode {
    if let Err(error) = start(folder).await {
        eprintln!("{error:#}");
    }
    ExitCode::FAILURE
}

/// Returns only where it fails.
async fn start(folder: &Path) -> Result<()> {
    if std::env::var_os(KIND).is_some_and(|kind| kind == KAFKA) {
        let server = super::kafka::broker(folder).await?;
        return wait(folder, server.pid()).await;
    }
    let server = super::postgres::server(folder).await?;
    wait(folder, server.pid()).await
}

async fn wait(folder: &Path, server: Option<u32>) -> Result<()> {
    let made = folder.join("made");
    std::fs::write(&made, server.context("it runs")?.to_string())?;
    std::fs::rename(made, folder.join("started"))?;
    std::future::pending().await
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < Duration::from_secs(180), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

pub(crate) async fn nothing_of_a_database() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = kill_its_program(folder.path(), POSTGRES).await?;
    until("shared memory is freed", || super::postgres::memory(server).is_ok_and(|pieces| pieces == 0)).await
}

pub(crate) async fn nothing_of_a_broker() -> Result<()> {
    let folder = tempfile::tempdir()?;
    kill_its_program(folder.path(), KAFKA).await.map(drop)
}

/// Whether a process runs.
pub(crate) fn lives(process: u32) -> bool {
    // One that has ended and that nobody has taken note of has no command.
    std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|command| !command.is_empty())
}

/// Waits until the server has ended; gives what its number was.
async fn kill_its_program(folder: &Path, kind: &str) -> Result<u32> {
    let mut program = tokio::process::Command::new(std::env::current_exe()?);
    program.env(FOLDER, folder).env(KIND, kind).stdin(Stdio::null()).kill_on_drop(true);
    let mut program = program.spawn()?;
    let file = folder.join("started");
    until("the server of the other program starts", || file.exists()).await?;
    let server: u32 = std::fs::read_to_string(&file)?.parse()?;
    ensure!(lives(server), "it does not run");
    // SIGKILL: it cannot tell anybody.
    program.kill().await.context("kill the other program")?;
    until("it ends with it", || !lives(server)).await?;
    Ok(server)
}
