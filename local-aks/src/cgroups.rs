//! A control group of its own for each node, below one parent: two kubelets on one root take each other's pods for
//! orphans and kill them. Version 1 has a tree per controller, version 2 one tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::root::CGROUP;

const MOUNT: &str = "/sys/fs/cgroup";
/// What kubelet needs; a controller that the kernel lacks is left to kubelet to complain about.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// The trees: one in version 2, one per controller in version 1.
fn trees() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    if is_v2() {
        return vec![mount.to_owned()];
    }
    let folders = fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    // Aliases such as cpu,cpuacct are links to one another.
    let real: BTreeSet<_> = folders.filter_map(|path| path.canonicalize().ok()).collect();
    real.into_iter().filter(|path| path.join("cgroup.procs").exists()).collect()
}

fn is_v2() -> bool {
    Path::new(MOUNT).join("cgroup.controllers").exists()
}

/// Makes the group of a node under every controller.
pub(crate) fn make(node: &str) -> anyhow::Result<()> {
    for tree in trees() {
        let parent = tree.join(CGROUP);
        let group = parent.join(node);
        fs::create_dir_all(&group).with_context(|| format!("cannot make the control group {}", group.display()))?;
        if is_v2() {
            delegate(&tree)?;
            delegate(&parent)?;
            delegate(&group)?;
        } else {
            // A new cpuset is empty, and nothing can run in an empty one.
            for (above, below) in [(&tree, &parent), (&parent, &group)] {
                for file in ["cpuset.cpus", "cpuset.mems"].map(|name| (above.join(name), below.join(name))) {
                    if file.1.exists() && fs::read_to_string(&file.1)?.trim().is_empty() {
                        fs::write(&file.1, fs::read_to_string(&file.0)?.trim())
                            .with_context(|| format!("cannot set {}", file.1.display()))?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Version 2: hands the controllers down to the groups below.
fn delegate(group: &Path) -> anyhow::Result<()> {
    let available = fs::read_to_string(group.join("cgroup.controllers"))?;
    for controller in available.split_whitespace().filter(|name| CONTROLLERS.contains(name)) {
        let file = group.join("cgroup.subtree_control");
        fs::write(&file, format!("+{controller}"))
            .with_context(|| format!("cannot hand {controller} down in {}", file.display()))?;
    }
    Ok(())
}

/// Every process in the groups of a node, or of all nodes.
pub(crate) fn processes(node: Option<&str>) -> Vec<i32> {
    let mut pids = BTreeSet::new();
    for group in groups(node) {
        let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        pids.extend(procs.lines().filter_map(|pid| pid.parse::<i32>().ok()).filter(|pid| !is_zombie(*pid)));
    }
    pids.into_iter().collect()
}

/// A zombie is dead already, and stays in its group until its parent looks.
fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z')))
        .unwrap_or(true)
}

/// The groups of a node, or all, each after those below it.
fn groups(node: Option<&str>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for tree in trees() {
        let parent = tree.join(CGROUP);
        collect(&node.map_or_else(|| parent.clone(), |node| parent.join(node)), &mut found);
    }
    found
}

fn collect(group: &Path, found: &mut Vec<PathBuf>) {
    if !group.is_dir() {
        return;
    }
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
    found.push(group.to_owned());
}

/// Removes the groups of a node, or all; they must be empty. Says how many there were.
pub(crate) fn remove(node: Option<&str>) -> anyhow::Result<usize> {
    let groups = groups(node);
    for group in &groups {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove the control group {}", group.display()));
            }
            _ => {}
        }
    }
    Ok(groups.len())
}
