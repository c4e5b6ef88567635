//! A whole run of ten thousand sensors; see README.md.

#[path = "python/mod.rs"]
mod python;
#[path = "targets/mod.rs"]
mod targets;

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};
use targets::Targets;

const SENSORS: u64 = 10_000;
/// Readings of an hour, one each five seconds.
const ROWS: u64 = 720;
const REPEATS: usize = 3;
/// What a run leaves in the store.
const RESULTS: [&str; 3] = ["runs", "logs", "predictions"];

const MANIFEST: &str = r#"apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {name: hourly, namespace: plant}
spec:
  store: {url: "file://STORE"}
  model: {path: "models/{sensor}.pkl"}
  data: {path: "data/{sensor}.csv"}
  window: {length: 1h}
  packing: {sensorsPerPod: 100}
"#;

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    let store = python::folder("sensors")?;
    let support = plant(&store)?;
    let text = store.to_str().ok_or_else(|| format!("{} is not UTF-8", store.display()))?;
    let manifest = store.join("manifest.yaml");
    std::fs::write(&manifest, MANIFEST.replace("STORE", text)).map_err(|e| e.to_string())?;
    println!(
        "{SENSORS} sensors, each with a pickle of {support} support vectors at least, and {ROWS} readings in a CSV\n"
    );
    println!("                   |        elapsed seconds       | of two processors |     requests to the store");
    println!(
        "repeat | elapsed s |   plan    items    archive |    user    system |     plan     items   archive | most MB"
    );
    let mut worker = python::Worker::start("processes.py")?;
    let scorer = json!([
        env!("CARGO_BIN_EXE_scorer"),
        "run",
        "-f",
        manifest,
        "--at",
        "2026-01-01T01:00:00Z",
        "--output",
        "json"
    ]);
    let mut least = f64::INFINITY;
    for repeat in 1..=REPEATS {
        set_aside(&store)?;
        let began = Timestamp::now();
        let answer = worker.ask(&json!({"run": scorer}))?;
        let ended = Timestamp::now();
        if answer["code"] != 0 {
            return Err(format!("scorer run failed: {answer}"));
        }
        let seconds = answer["seconds"].as_f64().ok_or("no seconds")?;
        least = least.min(seconds);
        Record::read(&store)?.print(repeat, &answer, began, ended)?;
    }
    remove(&store.join("before"))?;
    let mut targets = Targets::default();
    targets.at_most("10,000 sensors in one process, under 10 s", least, 10.0, format!("{least:.1} s"));
    Ok(targets.verdict())
}

/// Makes models and readings, unless they are there from an earlier time; gives the fewest support vectors of a model.
fn plant(store: &Path) -> Result<u64, String> {
    let made = store.join("made");
    if !made.exists() {
        eprintln!("making {SENSORS} models and files of readings in {}", store.display());
        remove(store)?;
        std::fs::create_dir_all(store).map_err(|e| format!("{}: {e}", store.display()))?;
        let folder = store.to_str().ok_or_else(|| format!("{} is not UTF-8", store.display()))?;
        python::run("sensors.py", &[folder, &SENSORS.to_string()])?;
    }
    let text = std::fs::read_to_string(&made).map_err(|e| format!("{}: {e}", made.display()))?;
    text.parse().map_err(|_| format!("{} holds {text:?}", made.display()))
}

/// Puts the results of the run before aside. Removed now, they would cost this run a third of its time: ext4 does not take
/// what was removed within the last seconds for new files, and looks for what it may take one by one.
fn set_aside(store: &Path) -> Result<(), String> {
    let aside = store.join("before").join(Timestamp::now().as_millisecond().to_string());
    std::fs::create_dir_all(&aside).map_err(|e| format!("{}: {e}", aside.display()))?;
    for results in RESULTS {
        match std::fs::rename(store.join(results), aside.join(results)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(format!("{results}: {error}")),
            _ => {}
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}

/// What the run says of itself.
struct Record(Value);

impl Record {
    fn read(store: &Path) -> Result<Self, String> {
        let runs = store.join("runs/plant/hourly");
        let run = std::fs::read_dir(&runs).map_err(|e| format!("{}: {e}", runs.display()))?.flatten().next();
        let file = run.ok_or("there is no run")?.path().join("record.json");
        let text = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let record: Value = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        let totals = &record["totals"];
        if totals["succeeded"] == SENSORS && totals["scored"] == SENSORS * ROWS {
            Ok(Self(record))
        } else {
            Err(format!("the run has not scored all: {totals}; {}", record["failures"]))
        }
    }

    /// Prints where the time went, of a process that ran between two times.
    fn print(&self, repeat: usize, took: &Value, began: Timestamp, ended: Timestamp) -> Result<(), String> {
        let time = |name: &str| -> Result<Timestamp, String> {
            let text = self.0["timings"][name].as_str().ok_or(format!("the record lacks {name}"))?;
            text.parse().map_err(|e| format!("{name}: {e}"))
        };
        let (first, last) = (time("firstStarted")?, time("lastEnded")?);
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let requests = &self.0["storeRequests"];
        let of = |who: &str| {
            ["reads", "writes", "lists"].iter().filter_map(|kind| requests[who][kind].as_u64()).sum::<u64>()
        };
        println!(
            "{repeat:>6} | {:>9.2} | {:>6.2} {:>8.2} {:>10.2} | {:>7.2} {:>9.2} | {:>8} {:>9} {:>9} | {:>7.1}",
            number(&took["seconds"]),
            seconds(began, first),
            seconds(first, last),
            seconds(last, ended),
            number(&took["user"]),
            number(&took["system"]),
            of("plan"),
            of("items"),
            of("archive"),
            number(&took["kilobytes"]) / 1e3,
        );
        Ok(())
    }
}
