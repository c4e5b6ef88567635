//! One sensor that a command scores.

use spec::work::Columns;
use store::{LogFile, Outcome};

use super::files::{Local, Readings};
use super::output::{self, Written};
use super::verdict::Verdict;
use super::{Work, environment};
use crate::engine::{Counts, Tally, Totals};
use crate::item::job::SensorJob;
use crate::item::sensor::Done;
use crate::problem::Problem;
use crate::process::{Program, Usage};

/// Makes the sensor's files, and begins its log in the store: where its command kills the pod, it is there.
pub(super) async fn prepare(work: &Work<'_>, job: &mut SensorJob) -> Result<Local, Problem> {
    job.start(work.context, work.ledger);
    let log = work.ledger.log(job.sensor());
    let (local, begun) = tokio::join!(Local::make(work, job), log.flush());
    job.waits(work.context);
    let local = local?;
    begun.map_err(|error| Problem::of_store(&error))?;
    Ok(local)
}

/// What became of a sensor's command; of one whose files could not be made there was none.
pub(super) enum End {
    Done { local: Box<Local>, usage: Usage, told: bool },
    Failed { problem: Problem, exit_code: Option<i32>, usage: Option<Usage> },
    Stopped,
}

/// Runs the command for a sensor.
pub(super) async fn run(work: &Work<'_>, job: &mut SensorJob, local: Result<Local, Problem>) -> End {
    let local = match local {
        Ok(local) => local,
        Err(problem) => return End::Failed { problem, exit_code: None, usage: None },
    };
    job.goes_on(work.context);
    match run_with(work, job, &local).await {
        Verdict::Done { usage, told } => End::Done { local: Box::new(local), usage, told },
        Verdict::Failed { problem, exit_code, usage } => End::Failed { problem, exit_code, usage },
        Verdict::Stopped => End::Stopped,
    }
}

/// Says what became of a sensor: nothing, where it was stopped before it was done.
pub(super) async fn finish(work: &Work<'_>, job: &SensorJob, end: End) -> Option<Outcome> {
    let (context, ledger) = (work.context, work.ledger);
    let (done, exit_code, usage) = match end {
        End::Stopped => return None,
        End::Done { local, usage, told } => {
            (write(work, job, *local, &ledger.log(job.sensor()), told).await, Some(0), Some(usage))
        }
        End::Failed { problem, exit_code, usage } => (Err(problem), exit_code, usage),
    };
    let mut outcome = job.end(context, done, ledger).await;
    outcome.exit_code = exit_code;
    outcome.cpu_seconds = usage.map(|usage| usage.cpu_seconds);
    outcome.peak_memory_bytes = usage.map(|usage| usage.peak_memory_bytes);
    Some(outcome)
}

async fn run_with(work: &Work<'_>, job: &SensorJob, local: &Local) -> Verdict {
    let log = work.ledger.log(job.sensor());
    let (context, running) = (work.context, &work.context.running);
    let words = match work.command.words(|name| environment::variable(context, job.sensor(), local, name)) {
        Ok(words) => words,
        Err(error) => return Problem::failed("InvalidRequest", error.to_string()).into(),
    };
    let mut env = environment::of_run(context);
    env.extend(environment::of_sensor(job.sensor(), local));
    let program = Program { words, env, without: environment::without(&running.keep_env) };
    let started = (context.clock)();
    let verdict = work.run(&program, &log).await;
    log.chunk(&verdict.told(), (context.clock)().duration_since(started));
    verdict
}

/// Makes the command's output the sensor's predictions. One that had been told to end may have left a part of it.
pub(super) async fn write(
    work: &Work<'_>,
    job: &SensorJob,
    local: Local,
    log: &LogFile,
    told: bool,
) -> Result<Done, Problem> {
    let (context, started) = (work.context, (work.context.clock)());
    let path = context.paths.prediction(work.ledger.index, job.sensor());
    let rows = local.readings.as_ref().map(|readings| readings.expected.clone());
    let Written { bytes, scored, anomalies, warnings: of_output, .. } =
        output::upload(context, &local.output, &path, rows, told).await.map_err(|problem| work.blamed(problem))?;
    let what = format!("writing {bytes} bytes to {}", context.store.uri(&path));
    log.chunk(&what, (context.clock)().duration_since(started));
    let Local { model_hash, mut warnings, readings, .. } = local;
    warnings.extend(of_output);
    let (counts, columns, totals, inputs) = match readings {
        Some(Readings { counts, columns, totals, inputs, .. }) => (counts, columns, totals, inputs),
        None => (Counts::default(), Columns::default(), Totals::default().into(), Vec::new()),
    };
    let tally = Tally { scored, anomalies, inputs, ..Tally::default() };
    Ok(job.done((tally, counts), columns, (model_hash, None), warnings, &totals, log))
}
