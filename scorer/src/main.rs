//! `scorer`: see `scorer --help`.

use std::process::ExitCode;

use clap::Parser;
use scorer::stderr::OneLine;

fn main() -> ExitCode {
    let cli = scorer::commands::Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(|| OneLine(std::io::stderr()))
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("SCORING_LOG").unwrap_or_else(|_| "info".into()))
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        // Nobody may be there to read what went wrong; telling that on stderr again would end the program.
        .log_internal_errors(false)
        .init();
    // Two TLS providers are linked in; rustls must be told which one to use. It fails only where one is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ExitCode::from(cli.run())
}
