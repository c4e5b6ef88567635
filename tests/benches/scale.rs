//! Fair shares, decisions and total time with many runs at once on many fake nodes; see README.md.

#[path = "scale/pods.rs"]
mod pods;
#[path = "scale/report.rs"]
mod report;
#[path = "scale/setting.rs"]
mod setting;

use std::process::ExitCode;

use anyhow::{Context, Result};
use crds::ScoringRun;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use local_aks::{NodeKind, Options};
use serde_json::json;
use tests::fleet::{Fleet, NAMESPACE};
use tests::local::tell;

use pods::Pods;
use report::Report;
use setting::Setting;

/// What goes before each line about the cluster.
const NAME: &str = "scale";
/// From the making of the schedules to their tick, at least.
const LEAD: SignedDuration = SignedDuration::from_secs(15);

fn name(run: usize) -> String {
    format!("line-{run:02}")
}

async fn measure(fleet: &Fleet, setting: &Setting) -> Result<bool> {
    fleet.fill_store(setting.sensors).await.context("fill the store")?;
    let operator = fleet.operator.start()?;
    // Nodes stay to the end, so that the end of a run tells nothing of the next one's share.
    fleet.pool(json!({"maxNodes": setting.nodes, "scaleDown": {"policy": "After", "after": "1h"}})).await?;
    let minute = (Timestamp::now() + LEAD).as_second() / 60 + 1;
    let tick = Timestamp::from_second(minute * 60)?;
    let cron = tick.to_zoned(TimeZone::UTC).strftime("%-M %-H %-d %-m *").to_string();
    for run in 0..setting.runs {
        fleet.schedule(&name(run), &cron, 1).await?;
    }
    tell(NAME, &format!("{} schedules are due at {tick}", setting.runs));
    let pods = Pods::watch(fleet.client.clone(), setting, tick).await?;
    let report = Report {
        setting: *setting,
        tick,
        pods,
        nodes: nodes_came(fleet).await?,
        admitted: admitted(fleet).await?,
        metrics: fleet.metrics().await.context("read the operator's metrics")?,
    };
    operator.kill().await;
    report.write(&fleet.folder.join("slots.csv"))?;
    Ok(report.print())
}

/// When each node of the pool was Ready.
async fn nodes_came(fleet: &Fleet) -> Result<Vec<Timestamp>> {
    let nodes: Api<Node> = Api::all(fleet.client.clone());
    let of_pool = ListParams::default().labels(&format!("{}={}", crds::names::AGENT_POOL, fleet.facts.agent_pool));
    let ready = |node: Node| {
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        conditions.into_iter().find(|c| c.type_ == "Ready" && c.status == "True")?.last_transition_time
    };
    Ok(nodes.list(&of_pool).await?.items.into_iter().filter_map(ready).map(|time| time.0).collect())
}

/// When each run was admitted.
async fn admitted(fleet: &Fleet) -> Result<Vec<Timestamp>> {
    let runs: Api<ScoringRun> = Api::namespaced(fleet.client.clone(), NAMESPACE);
    let admitted = |run: ScoringRun| {
        let conditions = run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let admitted = conditions.iter().find(|c| c.type_ == "Admitted" && c.status == "True");
        admitted.map(|c| c.last_transition_time).with_context(|| format!("{} was never admitted", run.name_any()))
    };
    runs.list(&ListParams::default()).await?.items.into_iter().map(admitted).collect()
}

async fn run() -> Result<bool> {
    let setting = Setting::read()?;
    let options = Options {
        nodes: NodeKind::Kwok,
        node_cpus: setting.per_node,
        kwok_pod_duration: setting.item,
        provisioning: setting.provisioning,
        ..Options::default()
    };
    let fleet = Fleet::up(NAME, &options).await?;
    let result = measure(&fleet, &setting).await;
    fleet.down().await?;
    result
}

fn main() -> ExitCode {
    // `up` starts this very program as the daemon that owns the nodes.
    local_aks::serve_if_asked();
    let obstacles = local_aks::obstacles();
    if !obstacles.is_empty() {
        eprintln!("{NAME}: SKIPPED: {}", obstacles.join("; "));
        return ExitCode::SUCCESS;
    }
    let outcome =
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{NAME}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
