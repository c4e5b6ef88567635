//! A replica: the program, as a process.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A replica. It is killed when dropped.
pub(crate) struct Replica {
    child: Child,
}

impl Replica {
    /// Starts one; what it says is added to the log.
    pub(crate) fn start(config: &Path, log: &Path, more: &[(&str, &str)]) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        // Another build of the program, such as an optimised one, may be named.
        let program = std::env::var_os("INGEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_ingest").into());
        let mut command = Command::new(program);
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]).arg(config);
        for (name, value) in more {
            command.arg(name).arg(value);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn()?;
        Ok(Self { child })
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM; it ends by itself, and in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("it has ended")?;
        kill_process(pid, Signal::TERM)?;
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
}
