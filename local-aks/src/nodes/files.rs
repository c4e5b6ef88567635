//! The files that a real node starts from.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::json;

use crate::machines::{Becomes, MachineSpec};
use crate::pki::Authority;
use crate::registry;
use crate::root::{BRIDGE, CGROUP, HOST, KUBELET_PORTS, POD_NETWORK, Root};

/// Where a node sees its own folder, and that with the tools.
pub(crate) const NODE: &str = "/run/local-aks/node";
pub(crate) const BIN: &str = "/run/local-aks/bin";

/// A node's own view of the machine: fresh `/run`, `/var/lib` and `/var/log`, so that what containerd, its shims, the
/// CNI plugins and kubelet leave there goes with the node's last process. `-n`: mount would else make `/run/mount`
/// before `/run` is the node's own. Arguments: node folder, tools' folder.
pub(crate) const ENTER: &str = r#"set -eu
mount -n --make-rshared /
mount -n -t tmpfs -o mode=755 local-aks /run
mkdir -p /run/local-aks/node /run/local-aks/bin /run/lock
mount --bind "$1" /run/local-aks/node
mount --bind "$2" /run/local-aks/bin
mount --bind /run/local-aks/node/var-lib /var/lib
mount --bind /run/local-aks/node/var-log /var/log
exec containerd --config /run/local-aks/node/containerd.toml
"#;

/// What a node may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u64,
}

/// Below this much free memory kubelet evicts pods.
const EVICTION_MIB: u64 = 64;

/// Writes everything below the node's folder. `number` is this node's alone.
pub(crate) fn write(
    root: &Root,
    authority: &Authority,
    machine: &MachineSpec,
    number: u8,
    size: Size,
) -> anyhow::Result<()> {
    let folder = root.node(&machine.name);
    for below in ["var-lib", "var-log", "cni", "certs.d"] {
        fs::create_dir_all(folder.join(below))?;
    }
    fs::write(folder.join("enter.sh"), ENTER)?;
    fs::write(folder.join("containerd.toml"), containerd()?)?;
    // Without a network, kubelet registers its Node and says NotReady for ever.
    if machine.becomes != Becomes::NotReady {
        fs::write(folder.join("cni/10-local-aks.conflist"), serde_json::to_vec_pretty(&cni(number))?)?;
    }
    for address in [registry::address(), registry::other_address()] {
        let hosts = folder.join("certs.d").join(&address);
        fs::create_dir_all(&hosts)?;
        let plain = format!("server = \"http://{address}\"\n\n[host.\"http://{address}\"]\n");
        fs::write(hosts.join("hosts.toml"), plain)?;
    }
    let user = format!("system:node:{}", machine.name);
    let pair = authority.client(&format!("kubelet-{}", machine.name), &user, Some("system:nodes"))?;
    authority.kubeconfig(&folder.join("kubeconfig"), &pair)?;
    let serving = authority.server(&format!("kubelet-{}-serving", machine.name), &[HOST, &machine.name])?;
    fs::copy(serving.certificate, folder.join("kubelet.crt"))?;
    fs::copy(serving.key, folder.join("kubelet.key"))?;
    fs::copy(authority.certificate(), folder.join("ca.crt"))?;
    let config = kubelet(machine, number, reserved(size)?)?;
    fs::write(folder.join("kubelet.json"), serde_json::to_vec_pretty(&config)?)?;
    Ok(())
}

fn containerd() -> anyhow::Result<String> {
    let plugins = crate::packages::cni_plugins().context("the CNI plugins are missing")?;
    let plugins = plugins.display();
    let pause = registry::pause_image();
    // Where CAP_SYS_RESOURCE is missing, as in many containers, a sandbox with a lower OOM score cannot start.
    // The plugins disabled need hardware or file systems that a node here has no use for, or write to /opt.
    Ok(format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{NODE}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{NODE}/certs.d"
"#
    ))
}

/// All nodes' pods hang on one bridge; each node gives out addresses of its own from the one network.
fn cni(number: u8) -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "local-aks",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "ipam": {
                "type": "host-local",
                "ranges": [[{
                    "subnet": POD_NETWORK,
                    "rangeStart": format!("10.244.{number}.2"),
                    "rangeEnd": format!("10.244.{number}.254"),
                    "gateway": HOST,
                }]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

/// CPUs and KiB of memory that kubelet must set aside so that the node offers its size and no more.
fn reserved(size: Size) -> anyhow::Result<(usize, u64)> {
    let cpus = std::thread::available_parallelism()?.get();
    let text = fs::read_to_string("/proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let total = total.context("no MemTotal in /proc/meminfo")?.parse::<u64>()?;
    let memory = total.saturating_sub((size.memory_mib + EVICTION_MIB) * 1024);
    Ok((cpus.saturating_sub(size.cpus as usize), memory))
}

fn kubelet(machine: &MachineSpec, number: u8, (cpus, memory): (usize, u64)) -> anyhow::Result<serde_json::Value> {
    let taints = machine.taints.iter().map(|taint| parse_taint(taint)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "port": KUBELET_PORTS + u16::from(number),
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{NODE}/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": format!("{NODE}/kubelet.crt"),
        "tlsPrivateKeyFile": format!("{NODE}/kubelet.key"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{CGROUP}/{}", machine.name),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "systemReserved": {"cpu": cpus.to_string(), "memory": format!("{memory}Ki")},
        "makeIPTablesUtilChains": false,
        "registerWithTaints": taints,
        // Nothing serves names here; without this every pod gets a warning.
        "clusterDNS": [HOST],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "serializeImagePulls": false,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "nodeStatusUpdateFrequency": "5s",
        // A developer's disk is fuller than a server's: pods are to run as long as anything is left.
        "evictionHard": {
            "memory.available": format!("{EVICTION_MIB}Mi"),
            "nodefs.available": "256Mi",
            "imagefs.available": "256Mi",
            "nodefs.inodesFree": "1%",
            "imagefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }))
}

/// `key=value:Effect` or `key:Effect`.
pub(crate) fn parse_taint(taint: &str) -> anyhow::Result<serde_json::Value> {
    let Some((name, effect)) = taint.rsplit_once(':') else {
        bail!("the taint `{taint}` has no effect: write key=value:NoSchedule");
    };
    let (key, value) = name.split_once('=').unwrap_or((name, ""));
    Ok(json!({"key": key, "value": value, "effect": effect}))
}

/// Labels as kubelet's flag takes them, the instance type included.
pub(crate) fn labels(machine: &MachineSpec) -> String {
    let mut labels = machine.labels.clone();
    labels.entry("node.kubernetes.io/instance-type".to_owned()).or_insert_with(|| machine.vm_size.clone());
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// Whether containerd of the node with this process listens.
pub(crate) fn containerd_listens(pid: u32) -> bool {
    // The node's own /run, seen from here.
    Path::new(&format!("/proc/{pid}/root/run/containerd/containerd.sock")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taint_is_read_as_aks_writes_it() {
        let taint = parse_taint("batchscoring.dev/pool=cpu:NoSchedule").unwrap();
        assert_eq!(taint, json!({"key": "batchscoring.dev/pool", "value": "cpu", "effect": "NoSchedule"}));
    }

    #[test]
    fn a_taint_needs_no_value() {
        assert_eq!(parse_taint("a:NoExecute").unwrap(), json!({"key": "a", "value": "", "effect": "NoExecute"}));
    }

    #[test]
    fn a_taint_without_effect_is_refused_with_what_to_write() {
        assert!(parse_taint("a=b").unwrap_err().to_string().contains("key=value:NoSchedule"));
    }

    #[test]
    fn nodes_give_out_different_addresses_of_one_network() {
        let start = |number| cni(number)["plugins"][0]["ipam"]["ranges"][0][0]["rangeStart"].clone();
        assert_eq!((start(1), start(2)), (json!("10.244.1.2"), json!("10.244.2.2")));
    }
}
