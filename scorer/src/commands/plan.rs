//! `scorer plan`: what the plan pod does.

use spec::report::{PlanReport, exit};

use super::common::{PodArgs, block_on, fail, stop_signal};
use crate::context::StepError;
use crate::plan::{plan, report};
use crate::stop::unless_told;

/// Plan a run: find the sensors, freeze their models, claim the tick, write the manifest.
///
/// Prints one JSON line: sensors, items, manifest, error. A retry of the same run finds its own manifest. Exit codes:
/// 0 planned, 64 the request can never work, 69 the store is away, 75 try again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scorer plan --request /etc/batchscoring/request.json")]
pub struct Args {
    #[command(flatten)]
    pod: PodArgs,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        block_on(async {
            match self.plan().await {
                Ok(report) => {
                    self.pod.tell(&report);
                    exit::DONE
                }
                Err(error) => {
                    self.pod.tell(&PlanReport { error: Some(error.to_failure()), ..PlanReport::default() });
                    fail(&error)
                }
            }
        })
    }

    async fn plan(&self) -> Result<PlanReport, StepError> {
        let context = self.pod.open()?;
        let index = unless_told(&mut stop_signal(), "planning", plan(&context)).await?;
        tracing::info!(sensors = index.sensors, items = index.items, "planned");
        Ok(report(&context, &index))
    }
}
