//! The bridge that pods hang on, with the host's address on it, and the rules that lead to the API server.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::command::{find, run};
use crate::root::{
    AKS_PORT, API_PORT, API_SERVICE, AUTHORITY_PORT, AZURITE_PORT, BRIDGE, CONTROL_PORT, ETCD_PEER_PORT, ETCD_PORT,
    HOST, POD_NETWORK, REGISTRY_PORT, Root,
};

/// Arguments of iptables that follow `-I` or `-D`, per table. The comment says whose they are.
fn rules() -> [(&'static str, Vec<String>); 3] {
    let words = |rule: String| rule.split_whitespace().map(str::to_owned).collect();
    let comment = "-m comment --comment local-aks";
    [
        // Without kube-proxy, this is the only service address that leads anywhere.
        (
            "nat",
            words(format!(
                "PREROUTING -d {API_SERVICE}/32 -p tcp --dport 443 {comment} -j DNAT --to-destination {HOST}:{API_PORT}"
            )),
        ),
        // A firewall on the host would else keep pods from it, or from each other.
        ("filter", words(format!("INPUT -i {BRIDGE} {comment} -j ACCEPT"))),
        ("filter", words(format!("FORWARD -i {BRIDGE} -o {BRIDGE} {comment} -j ACCEPT"))),
    ]
}

async fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    run(Command::new(find("ip").context("`ip` is missing: install iproute2")?).args(arguments)).await
}

async fn iptables(table: &str, action: &str, rule: &[String]) -> anyhow::Result<String> {
    let program = find("iptables").context("`iptables` is missing: install iptables")?;
    let (chain, rest) = rule.split_first().context("a rule has a chain")?;
    run(Command::new(program).args(["--wait", "10", "-t", table, action, chain]).args(rest)).await
}

/// Makes the bridge and the rules.
pub(crate) async fn make(root: &Root) -> anyhow::Result<()> {
    let addresses = ip(&["-o", "-4", "addr"]).await?;
    if let Some(taken) = addresses.lines().find(|line| line.contains(" 10.244.")) {
        bail!(
            "the addresses {POD_NETWORK} are in use on this machine already ({}); local-aks needs them",
            taken.trim()
        );
    }
    ip(&["link", "add", BRIDGE, "type", "bridge"]).await.with_context(|| format!("cannot make the bridge {BRIDGE}"))?;
    // Whoever finds the bridge after a crash can see where the rest is.
    ip(&["link", "set", BRIDGE, "alias", &root.path().to_string_lossy()]).await?;
    ip(&["addr", "add", &format!("{HOST}/16"), "dev", BRIDGE]).await?;
    ip(&["link", "set", BRIDGE, "up"]).await?;
    for (table, rule) in rules() {
        // In front: the last rule of a firewall may drop everything.
        iptables(table, "-I", &rule).await?;
    }
    Ok(())
}

/// Whether every port that a part will listen on is free. Without this, another's server would pass for the part.
pub(crate) fn check_ports() -> anyhow::Result<()> {
    let local = "127.0.0.1";
    let ports = [
        (HOST, API_PORT),
        (HOST, AKS_PORT),
        (HOST, AUTHORITY_PORT),
        (HOST, CONTROL_PORT),
        (HOST, REGISTRY_PORT),
        (HOST, AZURITE_PORT),
        (local, ETCD_PORT),
        (local, ETCD_PEER_PORT),
    ];
    for (address, port) in ports {
        TcpListener::bind((address, port)).with_context(|| {
            format!("cannot listen on {address}:{port}: another program on this machine does; end it and try again")
        })?;
    }
    Ok(())
}

/// The folder of the cluster that the bridge belongs to.
pub(crate) fn owner() -> Option<std::path::PathBuf> {
    let alias = std::fs::read_to_string(format!("/sys/class/net/{BRIDGE}/ifalias")).ok()?;
    (!alias.trim().is_empty()).then(|| Path::new(alias.trim()).to_owned())
}

/// Removes rules, pods' interfaces and the bridge. Says how many there were.
pub(crate) async fn remove() -> anyhow::Result<usize> {
    let mut removed = 0;
    if find("iptables").is_some() {
        for (table, rule) in rules() {
            // As often as it is there; `-C` fails when it is not.
            while iptables(table, "-C", &rule).await.is_ok() {
                iptables(table, "-D", &rule).await?;
                removed += 1;
            }
        }
    }
    if !Path::new("/sys/class/net").join(BRIDGE).exists() {
        return Ok(removed);
    }
    let below = std::fs::read_dir(format!("/sys/class/net/{BRIDGE}/brif")).into_iter().flatten().flatten();
    for link in below.map(|entry| entry.file_name()) {
        // It goes by itself when the pod's network namespace does; then this finds nothing.
        let _ = ip(&["link", "del", &link.to_string_lossy()]).await;
        removed += 1;
    }
    ip(&["link", "del", BRIDGE]).await?;
    Ok(removed + 1)
}
