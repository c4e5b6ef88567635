//! Python for comparison: an environment made for the purpose under `target`, and programs that run in it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

#[path = "../../tests/common/python.rs"]
mod environment;

use environment::{environment, scratch};

/// A folder for a benchmark's files.
pub(crate) fn folder(name: &str) -> Result<PathBuf, String> {
    let folder = scratch().join(name);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// The folder of these programs.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python")
}

/// The interpreter of the benchmarks' environment.
pub(crate) fn interpreter() -> Result<PathBuf, String> {
    environment("benches", &programs().join("requirements.txt"))
}

/// A program of this folder.
#[allow(dead_code, reason = "not every benchmark starts one by itself")]
pub(crate) fn program(name: &str) -> PathBuf {
    programs().join(name)
}

/// Runs a program of this folder to its end.
#[allow(dead_code, reason = "not every benchmark has one")]
pub(crate) fn run(name: &str, arguments: &[&str]) -> Result<(), String> {
    environment::run(Command::new(interpreter()?).arg(program(name)).args(arguments))
}

/// A program that answers requests, one line of JSON each.
pub(crate) struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a program of this folder.
    pub(crate) fn start(name: &str) -> Result<Self, String> {
        let mut command = Command::new(interpreter()?);
        command.arg(programs().join(name)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
        let requests = child.stdin.take();
        let answers = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { child, requests, answers: BufReader::new(answers) })
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let requests = self.requests.as_mut().ok_or("no standard input")?;
        writeln!(requests, "{request}").map_err(|e| e.to_string())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|e| e.to_string())?;
        serde_json::from_str(&line).map_err(|e| format!("Python answered {line:?} to {request}: {e}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.wait();
    }
}
