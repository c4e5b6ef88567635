//! A limit on processors, as that of a pod: a control group.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

const MOUNT: &str = "/sys/fs/cgroup";
/// In microseconds.
const PERIOD: u32 = 100_000;

/// A control group; it goes when dropped, and has to be empty then.
pub(crate) struct Share(PathBuf);

impl Share {
    /// Makes a group of this name for so much of a processor.
    pub(crate) fn new(name: &str, share: f64) -> Result<Self> {
        let quota = (f64::from(PERIOD) * share).round();
        // Version 2 has one tree, version 1 one for each controller.
        let is_v2 = Path::new(MOUNT).join("cgroup.controllers").exists();
        let tree = if is_v2 { Path::new(MOUNT).to_owned() } else { Path::new(MOUNT).join("cpu") };
        let files = match is_v2 {
            true => vec![("cpu.max", format!("{quota} {PERIOD}"))],
            false => vec![("cpu.cfs_period_us", PERIOD.to_string()), ("cpu.cfs_quota_us", quota.to_string())],
        };
        let group = Self(tree.join(name));
        let failed = || format!("cannot limit processors by {}", group.0.display());
        fs::create_dir(&group.0).with_context(failed)?;
        for (file, text) in files {
            fs::write(group.0.join(file), text).with_context(failed)?;
        }
        Ok(group)
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(self.0.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // What is left of it holds nothing and limits nobody.
        let _ = fs::remove_dir(&self.0);
    }
}
