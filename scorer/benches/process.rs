//! A process from its start to its end against the same in Python; see README.md.

#[path = "python/mod.rs"]
mod python;
#[path = "targets/mod.rs"]
mod targets;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use targets::Targets;

const ROWS: &str = "100000";
const FEATURES: &str = "10";
const REPEATS: usize = 7;
/// Of ours within one of those; they are that much shorter.
const OURS: usize = 5;

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    let folder = python::folder("process")?;
    python::run("process.py", &[path(&folder)?, ROWS, FEATURES])?;
    let file = |name: &str| path(&folder.join(name)).map(str::to_owned);
    let (model, readings) = (file("model.pkl")?, file("readings.csv")?);
    let (ours, theirs) = (file("ours.csv")?, file("theirs.csv")?);
    let interpreter = python::interpreter()?;
    let score = python::program("score.py");
    let scikit = json!([interpreter, score, model, readings, theirs]);
    let scorer =
        json!([env!("CARGO_BIN_EXE_scorer"), "score", "--model", model, "--input", readings, "--output", ours]);
    let mut worker = python::Worker::start("processes.py")?;
    let (mut least_theirs, mut least_ours) = (Took::most(), Took::most());
    println!("{ROWS} rows of {FEATURES} features; the least of {REPEATS} alternating repeats\n");
    for _ in 0..REPEATS {
        least_theirs.note(&worker.ask(&json!({"run": scikit}))?)?;
        for _ in 0..OURS {
            least_ours.note(&worker.ask(&json!({"run": scorer}))?)?;
        }
    }
    println!("                |  elapsed s |     user s |   system s | most MB");
    least_theirs.print("Python");
    least_ours.print("scorer score");
    let error = differ(&ours, &theirs)?;
    println!("\nthe largest difference between two scores is {error:.1e}");
    let mut targets = Targets::default();
    targets.at_least("Python / scorer score, elapsed, at least 30", least_theirs.seconds / least_ours.seconds, 30.0);
    let megabytes = least_ours.most_kilobytes / 1e3;
    targets.at_most("memory of scorer score, under 40 MB", megabytes, 40.0, format!("{megabytes:.1} MB"));
    targets.at_most("largest difference from scikit-learn, at most 1e-9", error, 1e-9, format!("{error:.1e}"));
    Ok(targets.verdict())
}

fn path(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// What a process took: the least of all repeats, but the most memory.
struct Took {
    seconds: f64,
    user: f64,
    system: f64,
    most_kilobytes: f64,
}

impl Took {
    fn most() -> Self {
        Self { seconds: f64::INFINITY, user: f64::INFINITY, system: f64::INFINITY, most_kilobytes: 0.0 }
    }

    fn note(&mut self, answer: &Value) -> Result<(), String> {
        if answer["code"] != 0 {
            return Err(format!("a process failed: {answer}"));
        }
        let number = |name: &str| answer[name].as_f64().ok_or(format!("{answer} lacks {name}"));
        self.seconds = self.seconds.min(number("seconds")?);
        self.user = self.user.min(number("user")?);
        self.system = self.system.min(number("system")?);
        self.most_kilobytes = self.most_kilobytes.max(number("kilobytes")?);
        Ok(())
    }

    fn print(&self, name: &str) {
        let Self { seconds, user, system, most_kilobytes } = self;
        println!("{name:<15} | {seconds:>10.3} | {user:>10.3} | {system:>10.3} | {:>7.1}", most_kilobytes / 1e3);
    }
}

/// The largest difference between the scores of two files of predictions, which must have the same rows and verdicts.
fn differ(ours: &str, theirs: &str) -> Result<f64, String> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    if ours.lines().count() != theirs.lines().count() {
        return Err("the two have not predicted the same number of rows".to_owned());
    }
    let mut largest = 0.0_f64;
    for (ours, theirs) in ours.lines().zip(theirs.lines()).skip(1) {
        let last = |line: &str| -> Option<(f64, String)> {
            let (rest, prediction) = line.rsplit_once(',')?;
            Some((rest.rsplit_once(',')?.1.parse().ok()?, prediction.to_owned()))
        };
        let ((ours, verdict), (theirs, other)) = last(ours).zip(last(theirs)).ok_or(format!("{ours}; {theirs}"))?;
        if verdict != other && ours.abs() > 1e-9 {
            return Err(format!("one says {verdict}, the other {other}, of a row with the score {ours}"));
        }
        largest = largest.max((ours - theirs).abs());
    }
    Ok(largest)
}
