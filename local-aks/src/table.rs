//! `local-aks status` for people.

use std::fmt::Write;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

use crate::facts::Facts;
use crate::nodes::real::is_ready;
use crate::{control_plane, processes};

/// Where everything is, which nodes there are, and which processes.
pub async fn table(facts: &Facts) -> anyhow::Result<String> {
    let mut text = String::new();
    let lines = [
        ("KUBECONFIG", facts.kubeconfig.display().to_string()),
        ("agentPools API", facts.arm_endpoint.clone()),
        ("token endpoint", facts.authority_host.clone()),
        ("control", facts.control_endpoint.clone()),
        ("CA bundle", facts.ca_bundle.display().to_string()),
        ("registry", facts.registry.clone()),
        ("Blob Storage", facts.store_url.clone()),
        ("tools", facts.bin_dir.display().to_string()),
    ];
    for (name, value) in lines {
        writeln!(text, "{name:<16}{value}")?;
    }
    let client = control_plane::client(&facts.kubeconfig).await?;
    writeln!(text, "\n{:<40}{:<12}READY", "NODE", "POOL")?;
    for node in Api::<Node>::all(client).list(&ListParams::default()).await? {
        let labels = node.metadata.labels.as_ref();
        let pool = labels.and_then(|labels| labels.get("kubernetes.azure.com/agentpool")).map_or("", String::as_str);
        let name = node.metadata.name.as_deref().unwrap_or_default();
        writeln!(text, "{name:<40}{pool:<12}{}", if is_ready(&node) { "yes" } else { "no" })?;
    }
    writeln!(text, "\n{:<28}{:<8}NODE", "PROCESS", "PID")?;
    let mut processes = processes::marked();
    processes.sort_by(|a, b| (&a.node, a.pid).cmp(&(&b.node, b.pid)));
    for process in processes {
        writeln!(text, "{:<28}{:<8}{}", process.name(), process.pid, process.node.as_deref().unwrap_or("-"))?;
    }
    Ok(text)
}
