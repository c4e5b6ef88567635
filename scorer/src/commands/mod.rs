//! The command line: one module per command. Each takes its arguments and gives the exit code of the process.

use clap::{Parser, Subcommand};

pub mod score;

/// Scores sensor readings with anomaly-detection models.
#[derive(Debug, Parser)]
#[command(name = "scorer", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Score(score::Args),
}

impl Cli {
    /// Runs the command and gives its exit code (`spec::report::exit`).
    #[must_use]
    pub fn run(self) -> u8 {
        match self.command {
            Command::Score(args) => args.run(),
        }
    }
}
