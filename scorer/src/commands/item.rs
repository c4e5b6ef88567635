//! `scorer item`: what a scorer pod does.

use spec::report::{DATA_UNAVAILABLE, ItemReport, STORE_UNAVAILABLE, exit};
use store::PodUid;

use super::common::{PodArgs, block_on, fail, stop_signal};
use crate::context::{Context, StepError};
use crate::item::{self, Pod};

/// Score one item of a planned run: read its sensors' models and readings, write predictions, logs and outcomes.
///
/// A sensor that cannot be scored fails alone. Prints one JSON line: index, succeeded, failed, retry, failures. Exit
/// codes: 0 every sensor is done (failed ones included), 64 nothing can help, 69 the store is away, 75 another attempt may
/// help.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scorer item --request request.json --index 0 --pod-uid try-1")]
pub struct Args {
    #[command(flatten)]
    item: ItemArgs,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        block_on(self.item.run(Ok))
    }
}

/// What the commands take that work on an item.
#[derive(Debug, clap::Args)]
pub struct ItemArgs {
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
    /// The image that the pod runs, for the log.
    #[arg(long, env = "SCORING_IMAGE", value_name = "IMAGE", default_value = "")]
    image: String,
}

impl ItemArgs {
    /// Works on the item and tells what became of it. `with` may change how.
    pub async fn run(&self, with: impl FnOnce(Context) -> Result<Context, StepError>) -> u8 {
        match self.item(with).await {
            Ok((report, was_away)) => {
                self.pod.tell(&report);
                for failure in &report.failures {
                    tracing::warn!(reason = failure.reason, "{}", failure.message);
                }
                code(&report, was_away)
            }
            Err(error) => {
                let failure = Some(error.to_failure());
                self.pod.tell(&ItemReport { index: self.index, error: failure, ..ItemReport::default() });
                match (fail(&error), &error) {
                    // A person may help a store that refuses while the item's retries last.
                    (exit::INVALID, StepError::Store(error)) if error.is_of_store() => exit::RETRY,
                    (code, _) => code,
                }
            }
        }
    }

    /// Also gives whether the store was away.
    async fn item(
        &self,
        with: impl FnOnce(Context) -> Result<Context, StepError>,
    ) -> Result<(ItemReport, bool), StepError> {
        let stop = stop_signal();
        let context = with(self.pod.open()?)?;
        let pod = Pod { uid: PodUid::parse(&self.pod_uid)?, node: self.node.clone(), image: self.image.clone() };
        let report = item::run(&context, self.index, &pod, None, stop).await?;
        Ok((report, context.store.was_away()))
    }
}

/// Sensors that wait for a store or database that was away cost no retry, and neither do others that are tried again with them.
fn code(report: &ItemReport, was_away: bool) -> u8 {
    let waits_for = |reason: &str| report.store.as_ref().is_some_and(|why| why.reason == reason);
    match report.retry {
        0 => exit::DONE,
        _ if was_away && waits_for(STORE_UNAVAILABLE) => exit::AWAY,
        _ if waits_for(DATA_UNAVAILABLE) => exit::AWAY,
        _ => exit::RETRY,
    }
}

#[cfg(test)]
mod tests {
    use spec::report::Failure;

    use super::*;

    fn of(retry: u32, reason: &str, was_away: bool) -> u8 {
        let store = Some(Failure { reason: reason.to_owned(), message: String::new() });
        code(&ItemReport { retry, store: store.filter(|_| !reason.is_empty()), ..ItemReport::default() }, was_away)
    }

    #[test]
    fn a_store_that_was_away_costs_no_retry_and_all_else_does() {
        assert_eq!(of(1, STORE_UNAVAILABLE, true), exit::AWAY);
        assert_eq!(of(1, STORE_UNAVAILABLE, false), exit::RETRY, "one file cannot be read, for ever");
        assert_eq!(of(1, DATA_UNAVAILABLE, false), exit::AWAY, "the database was");
        assert_eq!(of(1, "StorageFull", true), exit::RETRY);
        assert_eq!(of(1, "", false), exit::RETRY);
        assert_eq!(of(0, "", true), exit::DONE, "it came back in time");
    }
}
