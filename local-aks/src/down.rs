//! Takes the cluster down, and says whether it is up.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::clean::{Cleaned, clean};
use crate::facts::Facts;
use crate::lock::{Holder, Lock, holder};
use crate::processes;
use crate::progress::Progress;
use crate::root::Root;

/// [`crate::down`].
pub(crate) async fn down(root: &Path, progress: &Progress) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("local-aks removes interfaces, mounts and control groups: run it as root");
    }
    let root = Root::new(root)?;
    let _lock = end_daemon(&root).await?;
    progress.step("taking the cluster down");
    let cleaned: Cleaned = clean(&root).await?;
    progress.step(if cleaned.is_nothing() { "nothing was up".to_owned() } else { format!("down: {cleaned}") });
    Ok(())
}

/// Ends this folder's daemon, which holds the lock, and takes it.
async fn end_daemon(root: &Root) -> anyhow::Result<Lock> {
    let started = Instant::now();
    loop {
        if let Some(lock) = Lock::take()? {
            return Ok(lock);
        }
        match holder()? {
            Holder::Daemon(other) if other != root.path() => bail!(
                "the local cluster on this machine has another folder, {}: run `local-aks down` from there, or with \
                 LOCAL_AKS_ROOT set to it",
                other.display()
            ),
            Holder::Daemon(_) => {
                let shown = root.path().to_string_lossy();
                let daemons = processes::marked().into_iter();
                let daemons = daemons.filter(|process| process.part == "daemon" && process.root == shown);
                daemons.for_each(|process| processes::kill(process.pid));
            }
            Holder::Busy if started.elapsed() > Duration::from_secs(10) => {
                bail!("a local cluster is being brought up or taken down on this machine: wait for it, or end that");
            }
            Holder::Busy | Holder::Nobody => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// [`crate::status`].
pub(crate) fn status(root: &Path) -> anyhow::Result<Option<Facts>> {
    let root = Root::new(root)?;
    if holder()? != Holder::Daemon(root.path().to_owned()) {
        return Ok(None);
    }
    match fs::read(root.state()) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(_) => Ok(None),
    }
}
