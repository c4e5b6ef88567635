//! `scorer exec`: what a pod of the user's image does.

use std::time::Duration;

use super::common::block_on_this_thread;
use super::item::ItemArgs;
use crate::context::{Context, StepError};
use crate::item::Running;

/// Score one item of a planned run by the command of its schedule: for each sensor, fetch model and readings to local
/// files, run the command, write its output as the sensor's predictions.
///
/// The command finds its task in the environment: SCORING_MODEL, SCORING_INPUT, SCORING_OUTPUT, SCORING_KEY_<NAME>,
/// SCORING_WINDOW_START, SCORING_WINDOW_END and others (docs/containers.md). Exit code 0 of the command: SCORING_OUTPUT is
/// the sensor's predictions; 75, or a signal: the sensor is tried again; any other: it has failed. SIGTERM and Ctrl-C are
/// passed on to the command. Prints and exits as `scorer item` does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  scorer exec --request request.json --index 0 --pod-uid try-1
  scorer run -f schedule.yaml                                     # plan, exec and archive in a row, on this machine")]
pub struct Args {
    #[command(flatten)]
    item: ItemArgs,
    /// How long the command may take to end after it was told to, before it is killed.
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    grace: u64,
    /// Environment variables that the command is given though their names are those of a store's credential (AZURE_…,
    /// AWS_…, GOOGLE_…), which are kept from it else.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    keep_env: Vec<String>,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let Self { item, grace, keep_env } = self;
        let with = |context: Context| {
            if context.request.work.command.is_none() {
                let why = "the request has no command: its schedule has no scorer.command; use scorer item";
                return Err(StepError::Request(why.to_owned()));
            }
            let running = Running { grace: Duration::from_secs(grace), keep_env, ..Running::default() };
            Ok(Context { running, ..context })
        };
        block_on_this_thread(item.run(with))
    }
}
