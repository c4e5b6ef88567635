//! kubelet sets some of the kernel's parameters as it starts. They are noted before the first node, and put back.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

use crate::root::Root;

const CHANGED_BY_KUBELET: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

fn note(root: &Root) -> std::path::PathBuf {
    root.run().join("sysctls.json")
}

/// Writes down how they are.
pub(crate) fn save(root: &Root) -> anyhow::Result<()> {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok().map(|value| value.trim().to_owned());
    let values: BTreeMap<_, _> = CHANGED_BY_KUBELET.iter().filter_map(|name| Some((*name, read(name)?))).collect();
    fs::write(note(root), serde_json::to_vec(&values)?).context("cannot write down the kernel's parameters")
}

/// Puts them back.
pub(crate) fn restore(root: &Root) -> anyhow::Result<()> {
    let Ok(text) = fs::read(note(root)) else { return Ok(()) };
    let values: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
    for (name, value) in values {
        let file = format!("/proc/sys/{name}");
        if fs::read_to_string(&file).is_ok_and(|now| now.trim() != value) {
            fs::write(&file, &value).with_context(|| format!("cannot put {file} back to {value}"))?;
        }
    }
    Ok(())
}
