//! Our side: replicas of `ingest run` as processes of this machine, until all windows are in their folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use wait4::Wait4;

use crate::events::{DELAY, WINDOW};
use crate::share::Share;
use crate::took::Took;

const LIMIT: Duration = Duration::from_secs(900);
/// How often it is looked whether all is there.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partitions: u64,
    pub(crate) replicas: u64,
    /// The end of the windows that are waited for.
    pub(crate) end: Timestamp,
    /// How many records there are in all partitions.
    pub(crate) records: f64,
    /// How much of a processor each replica may have. None: as much as there is.
    pub(crate) share: Option<f64>,
}

/// Another build, to compare with, or that of this workspace.
fn program() -> String {
    std::env::var("INGEST").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ingest").to_owned())
}

/// A replica; it is killed when dropped.
struct Replica {
    /// None: it has ended, and its number may be another's.
    child: Option<Child>,
    log: PathBuf,
    /// After the child, so that nothing is in it when it goes.
    _share: Option<Share>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Errors say that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs it in a folder of its own below `folder`; returns what it took, and where its files are.
pub(crate) async fn run(folder: &Path, job: &Job<'_>) -> Result<(Took, PathBuf)> {
    let limited = if job.share.is_some() { "-limited" } else { "" };
    let folder = folder.join(format!("ingest-{}{limited}", job.topic));
    let out = folder.join("out");
    fs::create_dir_all(&out)?;
    let config = folder.join("ingest.yaml");
    let group = format!("ingest-{}{limited}", job.topic);
    // YAML has JSON in it.
    fs::write(&config, configuration(job, &group, &out).to_string())?;
    let start = Instant::now();
    let mut replicas = Vec::new();
    for number in 0..job.replicas {
        replicas.push(Replica::start(&folder, &config, number, job.share)?);
    }
    let marks = out.join("data/_watermarks").join(job.topic);
    let mut settled = None;
    loop {
        let found = read_marks(&marks, job)?;
        if all_reach(&found, job)? {
            break;
        }
        if settled.is_none() && owners(&found) == job.replicas {
            settled = Some((Instant::now(), left(&found, job)));
        }
        for replica in &mut replicas {
            replica.lives()?;
        }
        ensure!(start.elapsed() < LIMIT, "ingest is not done after {LIMIT:?}; see {}", folder.display());
        tokio::time::sleep(LOOK).await;
    }
    let settled = settled.map(|(since, left)| (left, since.elapsed().as_secs_f64()));
    let mut took = Took { wall: start.elapsed().as_secs_f64(), cpu: 0.0, peak: 0.0, settled };
    for replica in replicas {
        let (cpu, peak) = replica.end()?;
        took.cpu += cpu;
        took.peak += peak;
    }
    Ok((took, out))
}

fn configuration(job: &Job<'_>, group: &str, out: &Path) -> Value {
    json!({
        "kafka": {"brokers": [job.bootstrap], "topic": job.topic, "group": group},
        "windows": {
            "length": format!("{WINDOW}s"), "aggregates": ["avg", "min", "max", "count"],
            "allowedLateness": format!("{DELAY}s"), "idleAfter": "1d",
        },
        "store": {"url": format!("file://{}", out.display())},
    })
}

/// The marks that there are.
fn read_marks(folder: &Path, job: &Job<'_>) -> Result<Vec<Value>> {
    let mut marks = Vec::new();
    for partition in 0..job.partitions {
        let path = folder.join(format!("{partition}.json"));
        match fs::read(&path) {
            Ok(text) => {
                let mark = serde_json::from_slice(&text).with_context(|| format!("{} is no mark", path.display()))?;
                marks.push(mark);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(marks)
}

/// Whether every partition's windows are there up to the end.
fn all_reach(marks: &[Value], job: &Job<'_>) -> Result<bool> {
    for mark in marks {
        let Some(watermark) = mark["watermark"].as_str() else { return Ok(false) };
        if watermark.parse::<Timestamp>()? < job.end {
            return Ok(false);
        }
    }
    Ok(marks.len() as u64 == job.partitions)
}

/// How many replicas have a partition.
fn owners(marks: &[Value]) -> u64 {
    let metadata = |mark: &Value| serde_json::from_str::<Value>(mark["metadata"].as_str()?).ok();
    // What is behind the point tells partitions of one process apart.
    let owner = |mark: &Value| Some(metadata(mark)?["owner"].as_str()?.rsplit_once('.')?.0.to_owned());
    let owners: BTreeSet<String> = marks.iter().filter_map(owner).collect();
    owners.len() as u64
}

/// Records behind the marks.
fn left(marks: &[Value], job: &Job<'_>) -> f64 {
    let done: f64 = marks.iter().filter_map(|mark| mark["offset"].as_f64()).sum();
    job.records - done
}

impl Replica {
    fn start(folder: &Path, config: &Path, number: u64, share: Option<f64>) -> Result<Self> {
        let log = folder.join(format!("{number}.log"));
        let share = share.map(|of| Share::new(&format!("ingest-bench-{}-{number}", std::process::id()), of));
        let share = share.transpose()?;
        let program = program();
        let mut command = share.as_ref().map_or_else(|| Command::new(&program), |share| share.command(&program));
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]).arg(config);
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child: Some(child), log, _share: share })
    }

    fn lives(&mut self) -> Result<()> {
        match self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
            None => Ok(()),
            Some(status) => bail!("a replica has ended ({status}); see {}", self.log.display()),
        }
    }

    /// Ends it; returns its seconds of processors, and the most memory that it had, in MiB.
    fn end(mut self) -> Result<(f64, f64)> {
        let child = self.child.take().context("it runs")?;
        let peak = peak(child.id())?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("a process has a number")?;
        kill_process(pid, Signal::TERM)?;
        let used = child.wait4()?;
        ensure!(used.status.success(), "a replica did not end well ({}); see {}", used.status, self.log.display());
        Ok(((used.rusage.utime + used.rusage.stime).as_secs_f64(), peak))
    }
}

/// The most memory that a process has had so far, in MiB. What wait4 tells has that of who started it in it.
fn peak(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).context("a process has no VmHWM")?;
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}
