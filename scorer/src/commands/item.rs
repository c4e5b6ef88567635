//! `scorer item`: what a scorer pod does.

use spec::report::{ItemReport, exit};
use store::PodUid;

use super::common::{PodArgs, block_on, fail, stop_signal};
use crate::context::StepError;
use crate::item::{self, Pod};

/// Score one item of a planned run: read its sensors' models and readings, write predictions, logs and outcomes.
///
/// A sensor that cannot be scored fails alone. Prints one JSON line: index, succeeded, failed, retry, failures. Exit
/// codes: 0 every sensor is done (failed ones included), 64 nothing can help, 75 another attempt may help.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scorer item --request request.json --index 0 --pod-uid try-1")]
pub struct Args {
    #[command(flatten)]
    pod: PodArgs,
    /// The item: the pod's completion index.
    #[arg(long, env = "JOB_COMPLETION_INDEX")]
    index: u32,
    /// The pod's UID, which names this attempt's outcomes and logs.
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pod_uid: String,
    /// The node's name, for the record.
    #[arg(long, env = "NODE_NAME", value_name = "NAME", default_value = "")]
    node: String,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        block_on(async {
            match self.item().await {
                Ok(report) => {
                    self.pod.tell(&report);
                    for failure in &report.failures {
                        tracing::warn!(reason = failure.reason, "{}", failure.message);
                    }
                    if report.retry > 0 { exit::RETRY } else { exit::DONE }
                }
                Err(error) => {
                    let failure = Some(error.to_failure());
                    self.pod.tell(&ItemReport { index: self.index, error: failure, ..ItemReport::default() });
                    fail(&error)
                }
            }
        })
    }

    async fn item(&self) -> Result<ItemReport, StepError> {
        let stop = stop_signal();
        let context = self.pod.open()?;
        let pod = Pod { uid: PodUid::parse(&self.pod_uid)?, node: self.node.clone() };
        item::run(&context, self.index, &pod, None, stop).await
    }
}
