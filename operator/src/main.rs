//! `operator run`: the controllers of ScoringCluster, ScoringSchedule and ScoringRun. `operator simulate`: what policies would
//! make of manifests.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use operator::settings::Settings;
use operator::simulate::args::{self, Arguments};
use tracing_subscriber::EnvFilter;

/// Scores every sensor's model on schedule, on nodes that exist only while there is something to score.
#[derive(Parser)]
#[command(
    name = "operator",
    version,
    after_help = "Examples:\n  With the cluster that KUBECONFIG names:\n    operator run --namespace batch-scoring --scorer-image REGISTRY/batch-scoring/scorer:TAG\n  Without one:\n    operator simulate -f manifests/"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  On this machine, with the cluster that KUBECONFIG names:
    operator run --namespace batch-scoring --scorer-image REGISTRY/batch-scoring/scorer:TAG \\
      --listen 127.0.0.1:8080
  Several replicas, of which one acts:
    operator run --namespace batch-scoring --scorer-image REGISTRY/batch-scoring/scorer:TAG --leader-elect
  In a sovereign cloud:
    operator run --namespace batch-scoring --scorer-image REGISTRY/batch-scoring/scorer:TAG \\
      --arm-endpoint https://management.usgovcloudapi.net";

#[derive(Subcommand)]
enum Command {
    /// Runs the controllers until SIGTERM or Ctrl-C.
    #[command(after_help = EXAMPLES)]
    Run(Box<Settings>),
    /// Simulates what each policy would make of the schedules in manifests: node-hours, cost, lateness.
    #[command(after_help = args::EXAMPLES)]
    Simulate(Box<Arguments>),
}

/// A controller that panics takes the process with it, which Kubernetes starts again.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

#[tokio::main]
async fn main() -> ExitCode {
    abort_on_panic();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_lease_manager=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Two crates bring rustls with different providers in mind; the process has to choose one. Chosen already: fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = match Cli::parse().command {
        Command::Run(settings) => settings,
        Command::Simulate(arguments) => return operator::simulate::run(&arguments),
    };
    match operator::start::run(*settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(category = error.category().as_str(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn each_help_shows_an_example_that_parses() {
        let help = |command: &clap::Command| command.get_after_help().unwrap().to_string();
        let whole = Cli::command();
        let run = help(whole.find_subcommand("run").unwrap());
        let simulate = help(whole.find_subcommand("simulate").unwrap());
        for text in [help(&whole), run, simulate] {
            let text = text.replace("\\\n", " ");
            let examples: Vec<&str> = text.lines().filter(|line| line.trim().starts_with("operator ")).collect();
            assert!(!examples.is_empty(), "{text}");
            for example in examples {
                assert!(Cli::try_parse_from(example.split_whitespace()).is_ok(), "{example}");
            }
        }
    }
}
