//! Reading CSV against pandas; see README.md.

#[path = "clock/mod.rs"]
mod clock;
#[path = "python/mod.rs"]
mod python;
#[path = "targets/mod.rs"]
mod targets;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clock::thread_seconds;
use scorer::feed::Budget;
use scorer::readings::{Head, Pass, Rows, Selection, Sink, Wanted};
use serde_json::json;
use targets::Targets;

const ROWS: usize = 300_000;
const COLUMNS: usize = 12;
const REPEATS: usize = 9;

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    let folder = python::folder("csv")?;
    let mut worker = python::Worker::start("read_csv.py")?;
    let mut targets = Targets::default();
    println!(
        "{ROWS} rows of {COLUMNS} columns of numbers; the least processor time of {REPEATS} alternating repeats\n"
    );
    println!(
        "numbers     |  file MB | pandas s  ours s | pandas   ours M rows/s | pandas   ours ns/field | times as fast"
    );
    for (name, digits) in [("20.123", Some("%.3f")), ("all digits", None)] {
        let file = folder.join(name);
        let write = json!({"write": file, "rows": ROWS, "columns": COLUMNS, "digits": digits});
        worker.ask(&write)?;
        let (mut pandas, mut ours) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..REPEATS {
            let answer = worker.ask(&json!({"read": file}))?;
            pandas = pandas.min(answer["seconds"].as_f64().ok_or(format!("{answer} has no seconds"))?);
            let began = thread_seconds();
            let sum = read(&file)?;
            ours = ours.min(thread_seconds() - began);
            let theirs = answer["sum"].as_f64().unwrap_or(f64::NAN);
            if (sum - theirs).abs() > 1e-9 * theirs.abs() {
                return Err(format!("the sum of all values is {sum}, pandas says {theirs}"));
            }
        }
        let megabytes = std::fs::metadata(&file).map_err(|e| e.to_string())?.len() as f64 / 1e6;
        let (rows, fields) = (ROWS as f64 / 1e6, (ROWS * COLUMNS) as f64 / 1e9);
        println!(
            "{name:<11} | {megabytes:>8.1} | {pandas:>8.3} {ours:>7.3} | {:>6.2} {:>6.2}          | {:>6.1} {:>6.1}          | {:>6.2}",
            rows / pandas,
            rows / ours,
            pandas / fields,
            ours / fields,
            pandas / ours,
        );
        targets.at_least("pandas / ours, per processor second, at least 1", pandas / ours, 1.0);
    }
    Ok(targets.verdict())
}

/// Reads a file as a pod does, and adds up its values.
fn read(file: &Path) -> Result<f64, String> {
    let mut sum = Sum::default();
    let limits = Budget::share(1, 1).limits();
    let mut pass = Pass::new(Wanted::default(), vec!["readings.csv".to_owned()], limits);
    let input = File::open(file).map_err(|e| e.to_string())?;
    let _ = pass.file(input, &mut sum).map_err(|e| e.to_string())?;
    pass.end(&mut sum).map_err(|e| e.to_string())?;
    if sum.rows == ROWS { Ok(sum.values) } else { Err(format!("{} rows were read", sum.rows)) }
}

#[derive(Default)]
struct Sum {
    head: Option<Arc<Head>>,
    rows: usize,
    values: f64,
}

impl Sink for Sum {
    fn begin(&mut self, head: &Arc<Head>) {
        self.head = Some(Arc::clone(head));
    }

    fn rows(&mut self, _: usize, rows: Rows) -> ControlFlow<()> {
        let Some(head) = &self.head else { return ControlFlow::Break(()) };
        let usable = rows.usable(head, &Selection::all(&head.layout)).rows;
        self.rows += usable.len();
        self.values += usable.values().iter().sum::<f64>();
        ControlFlow::Continue(())
    }
}
