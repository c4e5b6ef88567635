//! `scorer run`: a whole run of a ScoringSchedule in this process, without a cluster.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Serialize;
use spec::report::{TrainingTotals, exit};

use super::common::{DatabaseArgs, SecretArgs, block_on, clock, fail, stop_signal};
use super::print;
use super::progress::{bar, count_sensors};
use crate::context::{Context, StepError};
use crate::item::{Echo, Running};
use crate::manifest::Schedule;
use crate::plan::LOCAL;
use crate::run::{Options, Progress, Summary, run};

/// The exit code of a run that is Failed: too many of its sensors failed.
const FAILED: u8 = 1;

/// Run a ScoringSchedule once, here: plan, score (or train) and archive in a row, as the pods do, without a cluster.
///
/// Exit codes: 0 the run is Complete, 1 it is Failed (maxFailedSensors, by default: every sensor failed; or it was stopped
/// before every sensor was scored), 64 it can never work, 69 the store was away. SIGTERM or Ctrl-C stops the scoring and
/// archives what was done; a second one ends at once (75), as the first one does before and after the scoring. A run of the same schedule and minute may be repeated; it writes its predictions
/// and its record anew.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  scorer run -f schedule.yaml\n  scorer run -f schedule.yaml --store file:///tmp/plant \
                        --at 2018-08-29T00:00:00Z -o json"
)]
pub struct Args {
    /// The ScoringSchedule's manifest (YAML).
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Another store than the manifest's, such as file:///tmp/plant.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The tick, which the window and the run's name follow from (RFC 3339). Default: now. At a time that is no tick, a
    /// window without length is that of the last tick before.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How to print the summary on stdout.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The summary as one JSON line: short for --output json.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    databases: DatabaseArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON line.
    Json,
}

#[derive(Serialize)]
struct Line<'a> {
    state: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        block_on(async {
            match self.whole().await {
                Ok((complete, summary)) => {
                    self.print(complete, &summary);
                    if complete { exit::DONE } else { FAILED }
                }
                Err(error) => fail(&error),
            }
        })
    }

    async fn whole(&self) -> Result<(bool, Summary), StepError> {
        let shown = self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file)
            .map_err(|e| StepError::Request(format!("{shown} cannot be read: {e}")))?;
        let schedule = Schedule::parse(&shown, &text).map_err(|e| StepError::Request(e.to_string()))?;
        let clock = clock();
        let now = clock();
        let uid = format!("{LOCAL}{}-{}", now.as_millisecond(), std::process::id());
        let request = schedule
            .request(self.at.unwrap_or(now), uid, self.store.as_deref())
            .map_err(|e| StepError::Request(format!("{shown}, {e}")))?;
        let credentials = self.secret.find()?;
        let context = Context::open(request, &credentials, clock)?;
        // On stdout is the summary.
        let running = Running { echo: Echo::Stderr, env: schedule.env(), ..Running::default() };
        let context = Context { running, databases: self.databases.find(), ..context };
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let options = Options { at_once, retries: schedule.retries() };
        let bar = bar("planning");
        let shown = bar.clone();
        let progress = Arc::new(move |progress| show(&shown, progress));
        let ran = run(&context, &credentials, options, stop_signal(), progress).await;
        bar.finish_and_clear();
        let (_, summary) = ran?;
        let Summary { stopped, report, .. } = &summary;
        // As the operator judges: what was stopped in the middle is Failed, whatever maxFailedSensors allows.
        let complete = if *stopped { report.failed == 0 } else { schedule.tolerates(report.failed, report.sensors) };
        Ok((complete, summary))
    }

    fn print(&self, complete: bool, summary: &Summary) {
        let state = if complete { "Complete" } else { "Failed" };
        if self.json || self.output == Output::Json {
            match serde_json::to_string(&Line { state, summary }) {
                Ok(line) => print::line(line),
                Err(error) => tracing::error!(%error, "the summary cannot be written as JSON"),
            }
            return;
        }
        let report = &summary.report;
        let why = if summary.stopped { ": told to stop" } else { "" };
        print::line(format_args!("run {} is {state} after {:.1} s{why}", summary.run, summary.seconds));
        print::line(format_args!(
            "  sensors      {} ({} succeeded, {} failed)",
            report.sensors, report.succeeded, report.failed
        ));
        match report.training {
            Some(TrainingTotals { trained, promoted, refused }) => print::line(format_args!(
                "  models       {trained} trained ({promoted} promoted), {refused} refused as degenerate"
            )),
            None => {
                print::line(format_args!("  rows         {} ({} anomalies)", report.rows, report.anomalies));
                print::line(format_args!("  predictions  {}", summary.predictions));
            }
        }
        print::line(format_args!("  record       {}", report.record));
        print::line(format_args!("  logs         {}", report.logs));
        print::line(format_args!("  store        {} requests", summary.store_requests));
        if let Some(deleted) = &report.retention {
            print::line(format_args!("  retention    {deleted}"));
        }
        for failure in &report.failures {
            print::line(format_args!("  {:<12} {}", failure.reason, failure.message));
        }
        if let Some(more) =
            report.failed.checked_sub(u32::try_from(report.failures.len()).unwrap_or(0)).filter(|m| *m > 0)
        {
            print::line(format_args!("  and {more} more failed sensors: see the record"));
        }
    }
}

fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Planned { sensors, .. } => count_sensors(bar, u64::from(sensors)),
        Progress::Item { succeeded, failed } => {
            bar.inc(u64::from(succeeded + failed));
            if failed > 0 {
                bar.set_message("some failed");
            }
        }
        Progress::Archiving => bar.set_message("archiving"),
    }
}
