//! What a program leaves that is killed while its server runs: this one starts itself once more, and kills it.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use local_aks::postgres::Postgres;

/// Names the folder to the program that is to start a server in it and wait.
const FOLDER: &str = "SERVER_OF";

pub(crate) fn asked() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

#[tokio::main]
pub(crate) async fn hold(folder: &Path) -> ExitCode {
    match start(folder).await {
        Ok(_server) => std::future::pending().await,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(folder: &Path) -> Result<Postgres> {
    let server = super::postgres::server(folder).await?;
    let made = folder.join("made");
    std::fs::write(&made, server.pid().unwrap_or_default().to_string())?;
    std::fs::rename(made, folder.join("started"))?;
    Ok(server)
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < Duration::from_secs(180), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

pub(crate) async fn nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut program = tokio::process::Command::new(std::env::current_exe()?);
    program.env(FOLDER, folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let mut program = program.spawn()?;
    let file = folder.path().join("started");
    until("the server of the other program starts", || file.exists()).await?;
    let server: u32 = std::fs::read_to_string(&file)?.parse()?;
    let lives = || {
        // One that has ended and that nobody has taken note of has no command.
        std::fs::read(format!("/proc/{server}/cmdline")).is_ok_and(|command| !command.is_empty())
    };
    ensure!(lives(), "it does not run");
    // SIGKILL: it cannot tell anybody.
    program.kill().await.context("kill the other program")?;
    until("it ends with it", || !lives()).await?;
    until("shared memory is freed", || super::postgres::memory(server).is_ok_and(|pieces| pieces == 0)).await
}
