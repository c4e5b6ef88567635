//! The processes of a local cluster. Each carries marks in its environment, so that it is found again whatever
//! happened to the program that started it: there is no list that a crash could leave incomplete.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use crate::root::Root;

/// Marks a process as a local cluster's; the value is the cluster's folder.
const ROOT_MARK: &str = "LOCAL_AKS_PROCESS_OF";
/// What part of the cluster the process is.
const PART_MARK: &str = "LOCAL_AKS_PART";
/// The node that it belongs to, if any.
const NODE_MARK: &str = "LOCAL_AKS_NODE";

/// A process that was started, and the log that tells why it ended.
#[derive(Debug)]
pub(crate) struct Part {
    name: String,
    log: PathBuf,
    child: Child,
}

/// Starts a part of the cluster: in the background, with a log of its own, out of reach of the terminal's Ctrl-C.
pub(crate) fn start(root: &Root, part: &str, node: Option<&str>, command: &mut Command) -> anyhow::Result<Part> {
    let name = node.map_or_else(|| part.to_owned(), |node| format!("{node}.{part}"));
    let log = root.logs().join(format!("{name}.log"));
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    command.env(ROOT_MARK, root.path()).env(PART_MARK, part);
    match node {
        Some(node) => command.env(NODE_MARK, node),
        None => command.env_remove(NODE_MARK),
    };
    let child = command
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    Ok(Part::new(&name, &log, child))
}

/// [`start`] with nothing to read.
pub(crate) fn start_detached(root: &Root, part: &str, command: &mut Command) -> anyhow::Result<Part> {
    start(root, part, None, command.stdin(Stdio::null()))
}

impl Part {
    pub(crate) fn new(name: &str, log: &Path, child: Child) -> Self {
        Self { name: name.to_owned(), log: log.to_owned(), child }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until `ready` answers yes. An error if the process ends first, or if it takes longer than `limit`.
    pub(crate) async fn ready<F>(&mut self, limit: Duration, mut ready: impl FnMut() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = bool>,
    {
        let started = Instant::now();
        while !ready().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}); the end of {}:\n{}", self.name, self.log.display(), tail(&self.log));
            }
            if started.elapsed() > limit {
                bail!(
                    "{} is not ready after {limit:?}; the end of {}:\n{}",
                    self.name,
                    self.log.display(),
                    tail(&self.log)
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn stop(&mut self, signal: Signal, limit: Duration) -> anyhow::Result<()> {
        self.signal(signal);
        let Ok(ended) = tokio::time::timeout(limit, self.child.wait()).await else {
            bail!(
                "{} has not ended after {limit:?}; the end of {}:\n{}",
                self.name,
                self.log.display(),
                tail(&self.log)
            );
        };
        ended.map(drop).with_context(|| format!("cannot wait for {}", self.name))
    }

    /// The same for those who cannot wait otherwise. Dropped, it is killed.
    pub(crate) fn end_before_drop(&mut self, signal: Signal, limit: Duration) {
        self.signal(signal);
        let started = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && started.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        // None: it has ended, and that is known.
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// How the process ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{} ended ({status}); the end of {}:\n{}", self.name, self.log.display(), tail(&self.log)))
    }
}

/// The last lines of a log, from the last error on if there is one among the last sixty.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let [last, earliest] = [15, 60].map(|count| lines.len().saturating_sub(count));
    let error = lines.iter().rposition(|line| ["ERROR", "FATAL"].iter().any(|word| line.contains(word)));
    lines[error.map_or(last, |error| error.clamp(earliest, last))..].join("\n")
}

/// A process that carries the marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) pid: i32,
    pub(crate) root: String,
    pub(crate) part: String,
    pub(crate) node: Option<String>,
}

impl Marked {
    /// The part, or for what a part started itself, such as a container's shim, the program.
    pub(crate) fn name(&self) -> String {
        let program = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        let program = program.trim();
        // The kernel cuts names at 15 characters; the daemon is this very program, under any name.
        if self.part.starts_with(program) || self.part == "daemon" {
            return self.part.clone();
        }
        format!("{} ({program})", self.part)
    }
}

/// Every process with the marks but this one.
pub(crate) fn marked() -> Vec<Marked> {
    let own = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(|pid| *pid != own);
    pids.filter_map(|pid| read_marks(pid.parse().ok()?)).collect()
}

fn read_marks(pid: i32) -> Option<Marked> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |name: &str| {
        let entry = environment
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))?;
        Some(String::from_utf8_lossy(entry).into_owned())
    };
    Some(Marked { pid, root: value(ROOT_MARK)?, part: value(PART_MARK).unwrap_or_default(), node: value(NODE_MARK) })
}

/// Kills a process; one that has ended already is fine.
pub(crate) fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // ESRCH only: the marks or the control group have just said that it is ours.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Whether a process runs: one that has ended and that nobody has taken note of does not.
pub(crate) fn lives(pid: i32) -> bool {
    status(pid).is_some_and(|(state, _)| !state.starts_with('Z'))
}

/// The processes that one has started and that run.
pub(crate) fn children(of: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| status(*pid).is_some_and(|(_, parent)| parent == of)).collect()
}

/// Its state, and who started it.
fn status(pid: i32) -> Option<(String, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Kills until `find` finds none, and says how many there were.
pub(crate) async fn kill_all(limit: Duration, find: impl Fn() -> Vec<i32>) -> anyhow::Result<usize> {
    let started = Instant::now();
    let mut killed = std::collections::BTreeSet::new();
    loop {
        let pids = find();
        if pids.is_empty() {
            return Ok(killed.len());
        }
        if started.elapsed() > limit {
            bail!("these processes do not die: {pids:?}");
        }
        for pid in pids {
            kill(pid);
            killed.insert(pid);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
