//! `operator run`: the controllers of ScoringCluster, ScoringSchedule and ScoringRun.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use operator::settings::Settings;
use tracing_subscriber::EnvFilter;

/// Scores every sensor's model on schedule, on nodes that exist only while there is something to score.
#[derive(Parser)]
#[command(name = "operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the controllers until SIGTERM or Ctrl-C.
    Run(Settings),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_lease_manager=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Two crates bring rustls with different providers in mind; the process has to choose one. Chosen already: fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Command::Run(settings) = Cli::parse().command;
    match operator::start::run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(category = error.category().as_str(), "{error}");
            ExitCode::FAILURE
        }
    }
}
