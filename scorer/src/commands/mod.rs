//! The command line: one module per command. Each takes its arguments and gives the exit code of the process.

use clap::{Parser, Subcommand};

pub mod archive;
pub mod common;
pub mod exec;
pub mod hold;
pub mod import;
pub mod inspect;
pub mod install;
pub mod item;
mod models;
mod output;
pub mod plan;
mod print;
mod progress;
pub mod promote;
pub mod run;
pub mod score;
pub mod select;
pub mod simulate;
mod stored;
mod tidy;
pub mod train;

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
    Train(train::Args),
    Promote(promote::Args),
    Inspect(inspect::Args),
    Import(import::Args),
    Simulate(simulate::Args),
    Run(run::Args),
    Plan(plan::Args),
    Item(item::Args),
    Exec(exec::Args),
    Install(install::Args),
    Hold(hold::Args),
    Archive(archive::Args),
}

impl Cli {
    /// Runs the command and gives its exit code (`spec::report::exit`).
    #[must_use]
    pub fn run(self) -> u8 {
        match self.command {
            Command::Score(args) => args.run(),
            Command::Train(args) => args.run(),
            Command::Promote(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Simulate(args) => args.run(),
            Command::Run(args) => args.run(),
            Command::Plan(args) => args.run(),
            Command::Item(args) => args.run(),
            Command::Exec(args) => args.run(),
            Command::Install(args) => args.run(),
            Command::Hold(args) => args.run(),
            Command::Archive(args) => args.run(),
        }
    }
}

/// Prints one JSON line on stdout and gives the exit code.
fn print_json(line: &impl serde::Serialize) -> u8 {
    match serde_json::to_string(line) {
        Ok(line) => {
            print::line(line);
            spec::report::exit::DONE
        }
        Err(error) => {
            tracing::error!("cannot write the result as JSON: {error}");
            spec::report::exit::INVALID
        }
    }
}
