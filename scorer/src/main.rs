//! `scorer`: see `scorer --help`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = scorer::commands::Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("SCORING_LOG").unwrap_or_else(|_| "info".into()))
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
    ExitCode::from(cli.run())
}
