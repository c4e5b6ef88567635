//! A replica: the program, as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A replica. It is killed when dropped.
pub(crate) struct Replica {
    child: Child,
    log: PathBuf,
}

impl Replica {
    /// Starts one; what it says is added to the log.
    pub(crate) fn start(config: &Path, log: &Path, more: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(config, log, more, &[])
    }

    /// Starts one with more in its environment.
    pub(crate) fn start_in(config: &Path, log: &Path, more: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        // Another build of the program, such as an optimised one, may be named.
        let program = std::env::var_os("INGEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_ingest").into());
        let mut command = Command::new(program);
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]).arg(config);
        for (name, value) in more {
            command.arg(name).arg(value);
        }
        command.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        Ok(Self { child: command.kill_on_drop(true).spawn()?, log: log.to_owned() })
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("it has ended")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGTERM; it ends by itself, and in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "told to stop, it ended with {status}");
        Ok(())
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Result<std::process::ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// The most memory that it had so far, in MiB.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What is in its log, if that is its alone.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns once it has said this, in a log that is its alone.
    pub(crate) async fn says(&self, text: &str, seconds: u64) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !self.said().contains(text) {
            ensure!(Instant::now() < end, "waited {seconds} s in vain for {text:?}:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// A metric's value, summed over all of its labels. None: it does not tell. Its log must be its alone.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let said = self.said();
        let (_, after) = said.rsplit_once("metrics at http://")?;
        let mut stream = TcpStream::connect(after.split_once("/metrics")?.0).await.ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await.ok()?;
        let of = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok()).flatten()
        };
        let values: Vec<f64> = page.lines().filter_map(of).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Returns once a metric is so.
    pub(crate) async fn has(&self, name: &str, seconds: u64, so: impl Fn(f64) -> bool) -> Result<f64> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let value = self.metric(name).await;
            if let Some(value) = value.filter(|value| so(*value)) {
                return Ok(value);
            }
            ensure!(Instant::now() < end, "{name} is {value:?} after {seconds} s:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
