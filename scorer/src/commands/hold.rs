//! `scorer hold`: a pod's place on a node.

use spec::report::exit;

use super::common::{block_on_this_thread, stop_signal};
use crate::stop::stopped;

/// Do nothing until SIGTERM or Ctrl-C: the pod holds its place on a node, for pods that come later.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scorer hold")]
pub struct Args {}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        block_on_this_thread(async {
            let mut stop = stop_signal();
            tracing::info!("hold this place until told to stop");
            stopped(&mut stop).await;
            exit::DONE
        })
    }
}
