//! An end without a farewell, and what it leaves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal};
use tokio::process::Command;

use crate::command::{find, run};
use crate::processes::{children, kill_all, lives};

/// Kills a server's processes, of which the first is given, and waits until there are none: those who live on for a moment
/// would write what the next server reads.
pub(super) async fn kill(pid: i32, limit: Duration) -> anyhow::Result<()> {
    // It would start others while these are looked for.
    let first = Pid::from_raw(pid).context("no process")?;
    rustix::process::kill_process(first, Signal::STOP)?;
    let all = [vec![pid], children(pid)].concat();
    kill_all(limit, || all.iter().copied().filter(|pid| lives(*pid)).collect()).await.map(drop)
}

/// Frees the piece of shared memory by which servers notice each other, and that a killed one leaves: the file that names
/// it has key and number in its seventh line.
pub(super) async fn free_memory(data: &Path) -> anyhow::Result<()> {
    let Some(number) = fs::read_to_string(data.join("postmaster.pid")).ok().and_then(|text| memory(&text)) else {
        return Ok(());
    };
    let mut ipcrm = Command::new(find("ipcrm").context("ipcrm is missing: install util-linux")?);
    run(ipcrm.args(["--shmem-id", &number.to_string()])).await.map(drop)
}

fn memory(text: &str) -> Option<u32> {
    text.lines().nth(6)?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_named_in_the_seventh_line() {
        let text = "4711\n/tmp/data\n1795000000\n24001\n\n127.0.0.1\n  5374042     65538\nready   \n";
        assert_eq!(memory(text), Some(65_538));
        assert_eq!(memory("4711\n/tmp/data\n"), None, "it was killed before it had any");
    }
}
