//! What a cluster could leave behind on a machine, listed, so that before and after can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders outside target/ that parts of a Kubernetes node write to unless they are told otherwise.
const FOLDERS: [&str; 14] = [
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/run/cni",
    "/run/containerd",
    "/run/flannel",
    "/run/k8s.io",
    "/run/kubernetes",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/log/pods",
];

/// Names of things by kind: `mount`, `link`, `firewall rule`, `cgroup`, `process`, `file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<&'static str, BTreeSet<String>>);

impl Snapshot {
    /// Lists what is there now. `root` is the folder under target/ that the cluster's processes live in.
    #[must_use]
    pub fn take(root: &Path) -> Self {
        let mut kinds = BTreeMap::new();
        kinds.insert("mount", mounts());
        kinds.insert("link", entries(Path::new("/sys/class/net")));
        kinds.insert("firewall rule", firewall_rules());
        kinds.insert("cgroup", cgroups());
        kinds.insert("process", processes_of(root));
        kinds.insert("file", FOLDERS.iter().flat_map(|folder| files(Path::new(folder))).chain(home_files()).collect());
        Self(kinds)
    }

    /// What is here and was not in `before`, one line each.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<String> {
        let none = BTreeSet::new();
        let new = |(kind, now): (&&'static str, &BTreeSet<String>)| {
            let was = before.0.get(kind).unwrap_or(&none);
            now.difference(was).map(|name| format!("{kind} {name}")).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(new).collect()
    }
}

fn entries(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn mounts() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect()
}

/// Rules of every table, without counters; chains that a tool has made count too, empty ones of the kernel do not.
fn firewall_rules() -> BTreeSet<String> {
    let Ok(output) = Command::new("iptables-save").output() else { return BTreeSet::new() };
    let mut table = String::new();
    let mut rules = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if line.starts_with("-A") || (line.starts_with(':') && line.contains(" - ")) {
            let rule = line.split(" [").next().unwrap_or(line);
            rules.insert(format!("{table}: {rule}"));
        }
    }
    rules
}

/// Control groups that parts of a Kubernetes node make, by their names; others come and go on a machine.
fn cgroups() -> BTreeSet<String> {
    let ours = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ["local-aks", "kube", "k8s", "pod", "cri-", "containerd", "runc"].iter().any(|start| name.starts_with(start))
    };
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            // A link (`cpu` to `cpu,cpuacct`) is no directory here, so nothing is walked twice.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if ours(&entry.path()) {
                    found.insert(entry.path().display().to_string());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

/// Processes whose program, arguments or working folder are below `root`, this one excepted.
fn processes_of(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let needle = root.display().to_string();
    for pid in entries(Path::new("/proc")).iter().filter_map(|name| name.parse::<u32>().ok()) {
        if pid == std::process::id() {
            continue;
        }
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let link = |name: &str| fs::read_link(folder.join(name)).map(|to| to.display().to_string()).unwrap_or_default();
        let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if [link("exe"), link("cwd"), arguments.clone()].iter().any(|text| text.contains(&needle)) {
            found.insert(format!("{pid} {}", arguments.trim()));
        }
    }
    found
}

/// What tools write into a home folder when they are not told another place.
fn home_files() -> Vec<String> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    [".kube", ".config/helm", ".cache/helm", ".local/share/helm", ".docker"]
        .iter()
        .flat_map(|folder| files(&home.join(folder)))
        .collect()
}

/// A folder and everything in it, itself included; links are not followed.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        found.push(folder.display().to_string());
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_below_the_root_is_found_and_one_that_ended_is_not() {
        let root = tempfile::tempdir().unwrap();
        let before = Snapshot::take(root.path());
        let mut child = Command::new("sleep").arg("60").current_dir(root.path()).spawn().unwrap();
        let left = Snapshot::take(root.path()).since(&before);
        child.kill().unwrap();
        child.wait().unwrap();
        let line = format!("process {} sleep 60", child.id());
        assert!(left.contains(&line), "{left:?}");
        assert!(!Snapshot::take(root.path()).since(&before).contains(&line));
    }

    #[test]
    fn every_file_below_a_folder_is_listed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/c"), "").unwrap();
        let listed = files(root.path());
        assert!(listed.iter().any(|name| name.ends_with("/a/b/c")), "{listed:?}");
        assert_eq!(listed.len(), 4);
    }
}
