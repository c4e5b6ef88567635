//! Fits against scikit-learn's; see README.md.

#[path = "clock/mod.rs"]
mod clock;
#[path = "python/mod.rs"]
mod python;
#[path = "targets/mod.rs"]
mod targets;

use std::path::Path;
use std::process::ExitCode;

use clock::thread_seconds;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scorer::train::{TrainOptions, train};
use serde_json::json;
use targets::Targets;

const REPEATS: usize = 7;

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    let mut worker = python::Worker::start("train.py")?;
    let version = worker.ask(&json!({}))?;
    println!("scikit-learn {}", version["version"].as_str().unwrap_or_default());
    println!("milliseconds of processor time for a fit; {REPEATS} alternating repeats\n");
    println!("                         |   scikit-learn  |      scorer     | times as fast");
    println!("  rows feat.   nu    SVs |  median   least |  median   least |  median  least");
    let folder = python::folder("train")?;
    let mut targets = Targets::default();
    for rows in [1_000, 5_000] {
        for features in [2, 10, 30] {
            for nu in [0.01, 0.1] {
                let times_as_fast = compare(&mut worker, &folder, rows, features, nu)?;
                targets.at_least("scikit-learn / scorer train, medians, at least 1", times_as_fast, 1.0);
            }
        }
    }
    println!("\nat most {} MB in memory", peak_megabytes()?);
    Ok(targets.verdict())
}

/// Prints one line, and gives how many times faster we are.
fn compare(worker: &mut python::Worker, folder: &Path, rows: usize, features: usize, nu: f64) -> Result<f64, String> {
    let values = readings(rows, features);
    let file = folder.join("rows.f64");
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&file, bytes).map_err(|e| format!("{}: {e}", file.display()))?;
    let request = json!({"rows": file, "features": features, "nu": nu});
    let options = TrainOptions { nu, margin: 0.0, max_rows: rows, ..TrainOptions::default() };
    let (mut theirs, mut ours, mut support) = (Vec::new(), Vec::new(), 0);
    for _ in 0..REPEATS {
        let answer = worker.ask(&request)?;
        theirs.push(answer["seconds"].as_f64().ok_or("no time")? * 1e3);
        support = answer["support"].as_u64().ok_or("no support vectors")?;
        let started = thread_seconds();
        let fitted = train(&values, features, &options).map_err(|e| e.to_string())?;
        ours.push((thread_seconds() - started) * 1e3);
        if let Some(why) = fitted.degenerate {
            return Err(why);
        }
    }
    let ((their_median, their_least), (our_median, our_least)) = (median_and_least(theirs), median_and_least(ours));
    let (median, least) = (their_median / our_median, their_least / our_least);
    println!(
        "{rows:>6} {features:>5} {nu:>4} {support:>6} | {their_median:>7.2} {their_least:>7.2} | {our_median:>7.2} \
         {our_least:>7.2} | {median:>7.2} {least:>6.2}"
    );
    Ok(median)
}

/// Readings about a level: sums of four uniform numbers, near enough to normally distributed.
fn readings(rows: usize, features: usize) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(1);
    (0..rows * features).map(|_| (0..4).map(|_| random.random::<f64>()).sum()).collect()
}

fn median_and_least(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

/// The most memory that this process has had.
fn peak_megabytes() -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let peak =
        text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    peak.map(|kilobytes| kilobytes / 1_000).ok_or_else(|| "/proc/self/status has no VmHWM".to_owned())
}
