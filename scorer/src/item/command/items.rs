//! A command that is run once for all sensors of an item.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use futures::StreamExt;
use serde::Serialize;
use spec::SensorKeys;

use super::files::{Local, no_space};
use super::verdict::Verdict;
use super::{AHEAD, Work, environment, sensor};
use crate::item::job::SensorJob;
use crate::problem::Problem;
use crate::process::{Program, Usage};
use crate::shown;

/// The most bytes of what a command says of a sensor.
const MOST: u64 = 2048;
/// The name of the file in which it says so.
const ERROR: &str = "error.txt";

/// A line of the file that tells a command its sensors.
#[derive(Serialize)]
struct Line<'a> {
    sensor: &'a SensorKeys,
    model: &'a Path,
    input: &'a Path,
    output: &'a Path,
    /// Where to say why there is no output.
    error: &'a Path,
}

/// Scores the sensors of an item by one run of the command.
pub(super) async fn work_on(work: &Work<'_>, jobs: Vec<SensorJob>) {
    let (context, ledger) = (work.context, work.ledger);
    let preparing = async {
        let prepared = futures::stream::iter(jobs).map(|mut job| async move {
            let local = sensor::prepare(work, &mut job).await;
            (job, local)
        });
        let (mut ready, mut prepared) = (Vec::new(), std::pin::pin!(prepared.buffered(AHEAD)));
        while let Some((job, local)) = prepared.next().await {
            match local {
                Ok(local) => ready.push((job, local)),
                Err(problem) => {
                    let outcome = job.end(context, Err(problem), ledger).await;
                    ledger.add(outcome);
                }
            }
        }
        ready
    };
    let Some(ready) = work.unless_stopped(preparing).await else { return };
    if ready.is_empty() {
        return;
    }
    let verdict = match run(work, &ready).await {
        Ok(verdict) => verdict,
        Err(problem) => problem.into(),
    };
    let (exit_code, usage) = match &verdict {
        Verdict::Stopped => return,
        Verdict::Done { usage, .. } => (Some(0), Some(*usage)),
        Verdict::Failed { exit_code, usage, .. } => (*exit_code, *usage),
    };
    // Processor time is one run's: each sensor has its share.
    let share = |usage: &Usage| usage.cpu_seconds / ready.len() as f64;
    let cpu_seconds = usage.as_ref().map(share);
    for (job, local) in ready {
        let done = match &verdict {
            Verdict::Failed { problem, .. } => Err(problem.clone()),
            _ => {
                let said = said(&local.folder.path().join(ERROR));
                let log = ledger.log(job.sensor());
                let told = matches!(verdict, Verdict::Done { told: true, .. });
                sensor::write(work, &job, local, &log, told).await.map_err(|problem| explained(problem, said))
            }
        };
        let mut outcome = job.end(context, done, ledger).await;
        outcome.exit_code = exit_code;
        outcome.cpu_seconds = cpu_seconds;
        outcome.peak_memory_bytes = usage.map(|usage| usage.peak_memory_bytes);
        ledger.add(outcome);
    }
}

/// Runs the command. What it prints is in the log of the first sensor.
async fn run(work: &Work<'_>, ready: &[(SensorJob, Local)]) -> Result<Verdict, Problem> {
    let (context, running) = (work.context, &work.context.running);
    let folder = tempfile::Builder::new().prefix("scoring-item-").tempdir();
    let folder = folder.map_err(|e| no_space(&std::env::temp_dir(), &e))?;
    let items = folder.path().join("items.jsonl");
    write(&items, ready).map_err(|e| no_space(&items, &e))?;
    let variable = |name: &str| match name {
        "items" => items.to_str().map(str::to_owned),
        _ => environment::of_window(context, name),
    };
    let words = work.command.words(variable).map_err(|e| Problem::failed("InvalidRequest", e.to_string()))?;
    let mut env = environment::of_run(context);
    env.insert("SCORING_ITEMS".to_owned(), items.clone().into());
    let program = Program { words, env, without: environment::without(&running.keep_env) };
    let mut logs = ready.iter().map(|(job, _)| work.ledger.log(job.sensor()));
    let Some(log) = logs.next() else { return Err(Problem::internal("running the command", "there is no sensor")) };
    for other in logs {
        other.info(format_args!(
            "the command is run once for {} sensors; what it prints is in {}",
            ready.len(),
            log.uri()
        ));
    }
    let started = (context.clock)();
    let verdict = work.run(&program, &log).await;
    let took = (context.clock)().duration_since(started);
    for (job, _) in ready {
        work.ledger.log(job.sensor()).chunk(&verdict.told(), took);
    }
    Ok(verdict)
}

fn write(to: &Path, ready: &[(SensorJob, Local)]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(to)?);
    for (job, local) in ready {
        let error = local.folder.path().join(ERROR);
        let Local { model, input, output, .. } = local;
        serde_json::to_writer(&mut file, &Line { sensor: job.sensor(), model, input, output, error: &error })?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// What the command said of a sensor.
fn said(file: &Path) -> Option<String> {
    // Asked before it is opened: opening a pipe would wait for somebody to write to it.
    fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file)?;
    let mut text = Vec::new();
    File::open(file).ok()?.take(MOST).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    Some(shown::lines(text.trim())).filter(|text| !text.is_empty())
}

fn explained(problem: Problem, said: Option<String>) -> Problem {
    match said {
        Some(said) if problem.reason == "NoOutput" => {
            Problem::failed("CommandFailed", format!("the command says: {said}"))
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_in_the_place_of_what_a_command_says_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::write(&file, "no readings\n").unwrap();
        assert_eq!(said(&pipe), None);
        assert_eq!(said(&file).as_deref(), Some("no readings"));
    }
}
