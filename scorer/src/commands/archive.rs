//! `scorer archive`: what the archive pod does.

use std::path::PathBuf;

use spec::report::{ArchiveReport, exit};
use spec::request::PodEnds;

use super::common::{PodArgs, block_on, fail, read_json, stop_signal};
use crate::archive::archive;
use crate::context::StepError;
use crate::stop::unless_told;

/// Fold a run's outcomes and pod ends into its record.
///
/// Prints one JSON line: sensors, succeeded, failed, rows, anomalies, podSeconds, record, logs, failures, retention, error.
/// Done twice, it leaves the same record. Then deletes what is older than the schedule's `retention`, once a day, for a
/// minute at most. Exit codes: 0 archived, 64 nothing can help, 69 the store is away, 75 try again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scorer archive --request request.json --ends ends.json")]
pub struct Args {
    #[command(flatten)]
    pod: PodArgs,
    /// How the run's pods ended: JSON of PodEnds.
    #[arg(long, value_name = "FILE")]
    ends: PathBuf,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        block_on(async {
            match self.archive().await {
                Ok(report) => {
                    self.pod.tell(&report);
                    exit::DONE
                }
                Err(error) => {
                    self.pod.tell(&ArchiveReport { error: Some(error.to_failure()), ..ArchiveReport::default() });
                    fail(&error)
                }
            }
        })
    }

    async fn archive(&self) -> Result<ArchiveReport, StepError> {
        let ends: PodEnds = read_json(&self.ends, "pod ends")?;
        let context = self.pod.open()?;
        let (_, report) = unless_told(&mut stop_signal(), "archiving", archive(&context, &ends)).await?;
        tracing::info!(succeeded = report.succeeded, failed = report.failed, record = report.record, "archived");
        Ok(report)
    }
}
