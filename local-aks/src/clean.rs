//! Takes everything down, after a good life or a crash. What is there is found by what it carries (marks, names,
//! places), never by a list, so that a crash at any moment leaves nothing unfound.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::nodes::real::retry;
use crate::root::Root;
use crate::{cgroups, network, processes, sysctls};

/// What was found and removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleaned {
    processes: usize,
    cgroups: usize,
    network: usize,
    mounts: usize,
}

impl Cleaned {
    /// Whether there was anything that runs or hangs on the machine.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Cleaned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processes, cgroups, network, mounts } = self;
        write!(f, "{processes} processes, {network} interfaces and rules, {cgroups} control groups, {mounts} mounts")
    }
}

/// How long each kind may take to go.
const LIMIT: Duration = Duration::from_secs(30);

/// Removes every trace of this folder's cluster, and of another folder's that crashed. The caller holds the lock, so
/// that nothing of what is found is in use.
pub(crate) async fn clean(root: &Root) -> anyhow::Result<Cleaned> {
    // The daemon first: it would start nodes again. Kubelets next: they would start containers again.
    for part in ["daemon", "kubelet"] {
        processes::kill_all(LIMIT, || pids(|process| process.part == part)).await?;
    }
    let mut roots: BTreeSet<_> = processes::marked().into_iter().map(|process| process.root.into()).collect();
    roots.extend(network::owner());
    roots.insert(root.path().to_owned());
    let mut cleaned = Cleaned {
        processes: processes::kill_all(LIMIT, || [pids(|_| true), cgroups::processes(None)].concat()).await?,
        ..Cleaned::default()
    };
    // The kernel lets go of a dead process' group a moment later.
    retry(LIMIT, || {
        cleaned.cgroups = cleaned.cgroups.max(cgroups::remove(None)?);
        Ok(())
    })
    .await?;
    cleaned.network = network::remove().await?;
    for path in roots {
        let root = Root::new(&path)?;
        sysctls::restore(&root)?;
        cleaned.mounts += unmount_below(&root.run())?;
        remove(&root).await?;
    }
    Ok(cleaned)
}

fn pids(which: impl Fn(&processes::Marked) -> bool) -> Vec<i32> {
    processes::marked().into_iter().filter(|process| which(process)).map(|process| process.pid).collect()
}

/// Nodes mount in a view of their own, which ends with them; this is for what should not be there.
fn unmount_below(folder: &Path) -> anyhow::Result<usize> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // Mounts come in the order they were made in; the last goes first.
    let points = table
        .lines()
        .rev()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| Path::new(point).starts_with(folder));
    let mut count = 0;
    for point in points {
        rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {point}"))?;
        count += 1;
    }
    Ok(count)
}

async fn remove(root: &Root) -> anyhow::Result<()> {
    let _ = fs::remove_file(root.state());
    let run = root.run();
    retry(LIMIT, || match fs::remove_dir_all(&run) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    })
    .await
    .with_context(|| format!("cannot remove {}", run.display()))
}
