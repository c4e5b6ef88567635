//! What a cluster could leave on the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Words in the names of what Kubernetes, its runtime and local-aks make.
const OURS: [&str; 9] = ["local-aks", "containerd", "kube", "cni", "netns", "runc", "etcd", "azurite", "pods"];

/// Everything that a test compares before and after, one line per thing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host(BTreeSet<String>);

impl Host {
    pub(crate) fn look() -> Self {
        let mut things = BTreeSet::new();
        let mut add =
            |kind: &str, lines: Vec<String>| things.extend(lines.into_iter().map(|line| format!("{kind}: {line}")));
        add("mount", fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines().map(str::to_owned).collect());
        add("interface", names("/sys/class/net"));
        add("rule", rules());
        add("control group", below(Path::new("/sys/fs/cgroup"), 6));
        for folder in ["/run", "/var/lib", "/var/log", "/etc", "/opt"] {
            add("file", below(Path::new(folder), 4));
        }
        add("process", processes());
        add("parameter", parameters());
        Self(things)
    }

    /// What `after` has that this has not, and what it lacks.
    pub(crate) fn difference(&self, after: &Self) -> Vec<String> {
        let more = after.0.difference(&self.0).map(|thing| format!("new: {thing}"));
        // Others may end what they run.
        let gone = self
            .0
            .difference(&after.0)
            .filter(|thing| !thing.starts_with("process: "))
            .map(|thing| format!("gone: {thing}"));
        more.chain(gone).collect()
    }
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The rules that are ours; a bare table that looking made is nothing.
fn rules() -> Vec<String> {
    let Ok(output) = Command::new("iptables-save").output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.starts_with("-A") && is_ours(line)).map(str::to_owned).collect()
}

/// Paths of ours; a living system makes and removes others all the time.
fn below(folder: &Path, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_ours(&path.to_string_lossy()) {
            found.push(path.display().to_string());
        }
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&path, depth - 1));
        }
    }
    found
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|word| name.contains(word))
}

/// Programs that a cluster consists of. One that is dead and waits for its parent to notice does not count.
fn processes() -> Vec<String> {
    let programs = ["etcd", "kube", "containerd", "kwok", "crane", "pause", "local-aks"];
    let pids = names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
    let lines = pids.filter_map(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
        let program = line.split(' ').next()?.rsplit('/').next()?;
        let is_one = programs.iter().any(|name| program.starts_with(name)) || line.contains("azurite/dist");
        is_one.then(|| format!("{pid} {line}"))
    });
    lines.collect()
}

fn parameters() -> Vec<String> {
    let names = [
        "net/ipv4/ip_forward",
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
    ];
    let read = |name| Some(format!("{name} = {}", fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim()));
    names.into_iter().filter_map(read).collect()
}
