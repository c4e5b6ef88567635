//! What the agentPools API was asked, as it tells it itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use crds::names;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use serde::Deserialize;

use crate::cluster::Cluster;

#[derive(Deserialize)]
struct Log {
    requests: Vec<Asked>,
    counters: Counters,
}

#[derive(Deserialize)]
struct Counters {
    /// How many nodes each pool is to have now, by its name.
    counts: BTreeMap<String, u64>,
}

/// An answered request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    /// Counts from 1 over the life of the API.
    number: u64,
    method: String,
    path: String,
    status: u16,
    /// A PUT of an agent pool: the count that it asks for.
    #[serde(default)]
    count: Option<u64>,
    /// What it was by then.
    #[serde(default)]
    was: Option<u64>,
    /// A deleteMachines: the machines that it names.
    #[serde(default)]
    machines: Vec<String>,
    /// Azure's code of a refusal.
    #[serde(default)]
    code: Option<String>,
}

/// The changes to the pool of the tests that the API accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// The counts that were asked for by PUT, in order.
    pub(crate) counts: Vec<u64>,
    /// The machines that were deleted by name, in order.
    pub(crate) deleted: Vec<String>,
    /// The machines whose deletion was asked for, whatever was answered: an answer that is lost is none of an accepted change.
    pub(crate) to_delete: Vec<String>,
    /// PUTs that asked for fewer nodes than there were: the API would choose who goes.
    pub(crate) lowered: Vec<String>,
    /// The count that the pool has now: what was asked for in vain is none of it.
    pub(crate) count: u64,
    /// The number of the last request.
    pub(crate) last: u64,
}

impl Cluster {
    /// What the pool was asked to become since a request of a number (0: from the start).
    pub(crate) async fn pool_changes(&self, since: u64) -> Result<Changes> {
        let log: Log = serde_json::from_str(&self.control_get("/control/log").await?).context("read the log")?;
        let pool = format!("/agentPools/{}", self.facts.agent_pool).to_ascii_lowercase();
        let count =
            log.counters.counts.get(&self.facts.agent_pool).copied().context("the log does not count the pool")?;
        let mut changes = Changes { count, ..Changes::default() };
        for request in log.requests {
            let path = request.path.to_ascii_lowercase();
            let path = path.split('?').next().unwrap_or_default();
            let accepted = (200..300).contains(&request.status);
            let new = request.number > since;
            changes.last = request.number;
            let deletes = path.ends_with(&format!("{pool}/deletemachines"));
            if new && deletes {
                changes.to_delete.extend(request.machines.iter().cloned());
            }
            if !accepted || !new {
                continue;
            }
            if request.method == "PUT" && path.ends_with(&pool) {
                let Some(count) = request.count else { continue };
                changes.counts.push(count);
                if let Some(was) = request.was.filter(|was| count < *was) {
                    changes.lowered.push(format!("request {} from {was} to {count}", request.number));
                }
            } else if deletes {
                changes.deleted.extend(request.machines);
            }
        }
        Ok(changes)
    }

    /// The nodes of the pool that Kubernetes knows.
    pub(crate) async fn nodes_of_pool(&self) -> Result<Vec<Node>> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let of_pool = ListParams::default().labels(&format!("{}={}", names::AGENT_POOL, self.facts.agent_pool));
        Ok(nodes.list(&of_pool).await?.items)
    }

    /// How many they are.
    pub(crate) async fn pool_nodes(&self) -> Result<usize> {
        Ok(self.nodes_of_pool().await?.len())
    }

    /// How many PUTs of the pool were refused since a request, since its bucket was empty.
    pub(crate) async fn puts_refused(&self, since: u64) -> Result<usize> {
        let log: Log = serde_json::from_str(&self.control_get("/control/log").await?).context("read the log")?;
        let refused = |asked: &&Asked| {
            asked.number > since
                && asked.method == "PUT"
                && asked.status == 429
                && asked.code.as_deref() == Some("Throttled")
        };
        Ok(log.requests.iter().filter(refused).count())
    }

    /// Orders faults of the stand-in for Azure.
    pub(crate) async fn order(&self, faults: &serde_json::Value) -> Result<()> {
        let request = axum::http::Request::post("/control/faults").header("content-type", "application/json");
        let answer = self.control.request_text(request.body(serde_json::to_vec(faults)?)?).await;
        answer.map(drop).with_context(|| format!("order {faults}"))
    }

    /// Calls off what stands of them.
    pub(crate) async fn call_off(&self) -> Result<()> {
        let request = axum::http::Request::delete("/control/faults").body(Vec::new())?;
        self.control.request_text(request).await.map(drop).context("call off the faults")
    }

    /// Changes settings of the stand-in for Azure.
    pub(crate) async fn set(&self, settings: &serde_json::Value) -> Result<()> {
        let request = axum::http::Request::put("/control/settings").body(serde_json::to_vec(settings)?)?;
        self.control.request_text(request).await.map(drop).with_context(|| format!("set {settings}"))
    }

    async fn control_get(&self, path: &str) -> Result<String> {
        let request = axum::http::Request::get(path).body(Vec::new())?;
        let text = self.control.request_text(request).await;
        text.with_context(|| format!("GET {}{path}", self.facts.control_endpoint))
    }
}

/// Whether the node's kubelet says that it is Ready.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
