//! What `scorer exec` costs beside the command that it runs; see README.md.

#[path = "targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use targets::Targets;

const DEVICES: u32 = 20;
const TAGS: u32 = 10;
const ALL_SENSORS: u32 = DEVICES * TAGS;
/// Sensors of an item whose memory has a target.
const SOME: u32 = 24;
const REPEATS: usize = 5;
const START: &str = "2026-01-01T00:00:00Z";
const TICK: &str = "2026-01-01T12:00:00Z";
const END: &str = "2026-01-01T12:00:00Z";
/// Where the window of an hourly schedule starts, and one of all readings.
const HOUR: (&str, &str) = ("2026-01-01T11:00:00Z", "1h");
const ALL: (&str, &str) = (START, "12h");

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scorer/exec");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let bench = Bench {
        scorer: std::env::var_os("SCORER").map_or_else(|| env!("CARGO_BIN_EXE_scorer").into(), PathBuf::from),
        store: std::env::var("STORE").unwrap_or_else(|_| format!("file://{}", folder.join("store").display())),
        folder,
    };
    bench.plant()?;
    let sensors = f64::from(ALL_SENSORS);
    println!("{sensors} sensors of one item, the last of 12 hours in one file of all; {REPEATS} alternating repeats\n");
    println!("       | milliseconds for each sensor, the whole process included");
    println!("repeat | the command alone   scorer exec   beyond the command");
    let mut least = f64::INFINITY;
    let copy = json!(["cp", "{input}", "{output}"]);
    for repeat in 0..REPEATS {
        let alone = bench.alone()? / sensors;
        let exec = bench.exec(&format!("copy-{repeat}"), &copy, HOUR, ALL_SENSORS)? / sensors;
        least = least.min(exec - alone);
        println!("{repeat:>6} | {:>17.2} {:>13.2} {:>20.2}", alone * 1e3, exec * 1e3, (exec - alone) * 1e3);
    }
    let some = bench.memory("some", HOUR, SOME)?;
    println!("\nmemory of scorer exec while a command runs, at most");
    println!("an item of one sensor: {:.1} MB", bench.memory("one", HOUR, 1)?);
    println!("an item of {SOME} sensors: {some:.1} MB");
    println!("an item of {ALL_SENSORS} sensors: {:.1} MB", bench.memory("hour", HOUR, ALL_SENSORS)?);
    println!("and all of their readings, 60 MB: {:.1} MB", bench.memory("all", ALL, ALL_SENSORS)?);
    let mut targets = Targets::default();
    targets.at_most("beyond the command, for each sensor, under 20 ms", least, 0.02, format!("{:.2} ms", least * 1e3));
    targets.at_most("memory while a command runs, under 15 MB", some, 15.0, format!("{some:.1} MB"));
    Ok(targets.verdict())
}

struct Bench {
    scorer: PathBuf,
    store: String,
    folder: PathBuf,
}

impl Bench {
    /// Makes readings and models.
    fn plant(&self) -> Result<(), String> {
        let (devices, tags) = (DEVICES.to_string(), TAGS.to_string());
        let simulate = ["simulate", "--start", START, "--length", "12h", "--devices", &devices, "--tags", &tags];
        self.scorer(&[&simulate[..], &["--store", &self.store]].concat())?;
        let train = ["train", "--data", "data/sensor_data.csv", "--models", "models/model_{device}_{tag}"];
        self.scorer(&[&train[..], &["--store", &self.store]].concat())?;
        std::fs::write(self.folder.join("readings.csv"), vec![b'1'; 40_000]).map_err(|e| e.to_string())
    }

    fn scorer(&self, args: &[&str]) -> Result<f64, String> {
        let mut command = Command::new(&self.scorer);
        // As in pods.
        command.env("MALLOC_ARENA_MAX", "2");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let output = command.output().map_err(|e| format!("{}: {e}", self.scorer.display()))?;
        let took = started.elapsed().as_secs_f64();
        match output.status.success() {
            true => Ok(took),
            false => Err(format!("scorer {args:?}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Runs the command as often as there are sensors, on files as large as theirs.
    fn alone(&self) -> Result<f64, String> {
        let (from, to) = (self.folder.join("readings.csv"), self.folder.join("copy.csv"));
        let started = Instant::now();
        for _ in 0..ALL_SENSORS {
            let status = Command::new("cp").args([&from, &to]).stdin(Stdio::null()).status();
            if !status.is_ok_and(|status| status.success()) {
                return Err("cp failed".to_owned());
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// The most that `scorer exec` has in memory while one of its commands runs, in MB.
    fn memory(&self, run: &str, window: (&str, &str), sensors: u32) -> Result<f64, String> {
        let said = self.folder.join(run);
        let script = format!("grep VmRSS /proc/$PPID/status >> {}; echo prediction > $SCORING_OUTPUT", said.display());
        self.exec(run, &json!(["sh", "-c", script]), window, sensors)?;
        Ok(most(&said)? * 1024.0 / 1e6)
    }

    /// Runs it for each sensor of an item by `scorer exec`, in a run of its own.
    fn exec(&self, run: &str, command: &Value, (start, length): (&str, &str), sensors: u32) -> Result<f64, String> {
        let request = json!({
            "namespace": "bench", "schedule": "exec", "run": run, "runUid": run, "tick": TICK,
            "window": {"start": start, "end": END},
            "work": {
                "store": {"url": self.store}, "model": {"path": "models/model_{device}_{tag}"},
                "data": {"path": "data/sensor_data.csv"}, "window": {"length": length},
                "packing": {"sensorsPerPod": sensors}, "command": {"command": command},
            },
        });
        let file = self.folder.join("request.json");
        std::fs::write(&file, request.to_string()).map_err(|e| format!("{}: {e}", file.display()))?;
        let request = file.to_str().ok_or_else(|| format!("{} is not UTF-8", file.display()))?;
        self.scorer(&["plan", "--request", request])?;
        let report = self.folder.join("report.json");
        let told = report.to_str().ok_or_else(|| format!("{} is not UTF-8", report.display()))?;
        let args = ["exec", "--request", request, "--index", "0", "--pod-uid", "bench", "--report", told];
        let took = self.scorer(&args)?;
        let text = std::fs::read_to_string(&report).map_err(|e| format!("{}: {e}", report.display()))?;
        let report: Value = serde_json::from_str(&text).map_err(|e| format!("{text}: {e}"))?;
        match report["succeeded"] == sensors {
            true => Ok(took),
            false => Err(format!("not all sensors were scored: {report}")),
        }
    }
}

/// The most of what was said, in KiB.
fn most(file: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let numbers = text.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse().ok());
    Ok(numbers.fold(0.0, f64::max))
}
