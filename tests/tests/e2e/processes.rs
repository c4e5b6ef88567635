//! Signals to the processes of pods and nodes, which are this machine's.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

/// Sends a signal (`KILL`) to every process that is so, by its folder in `/proc`. Says how many there were.
pub(crate) fn signal(signal: &str, is: impl Fn(&Path) -> bool) -> Result<usize> {
    let mut sent = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_ok() && is(&entry.path()) {
            let status = std::process::Command::new("kill").args([&format!("-{signal}"), name.as_str()]).status()?;
            // One that ended meanwhile needs no signal.
            ensure!(status.success() || !entry.path().exists(), "kill -{signal} {name}: {status}");
            sent += 1;
        }
    }
    Ok(sent)
}

/// Whether the process is in a control group with this in its path: a pod's UID, a node's name.
pub(crate) fn is_in_group(process: &Path, of: &str) -> bool {
    fs::read_to_string(process.join("cgroup")).is_ok_and(|groups| groups.contains(of))
}

/// Whether the process was started for this node: its kubelet, its containerd and what that started.
pub(crate) fn is_of_node(process: &Path, node: &str) -> bool {
    let mark = format!("LOCAL_AKS_NODE={node}");
    fs::read(process.join("environ")).is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
}

/// Kills all that runs in a pod, by its UID, but what holds its network; says whether there was anything.
pub(crate) fn kill_pod(uid: &str) -> Result<bool> {
    let is_pause = |process: &Path| fs::read(process.join("cmdline")).is_ok_and(|line| line.starts_with(b"/pause"));
    Ok(signal("KILL", |process| is_in_group(process, uid) && !is_pause(process))? > 0)
}
