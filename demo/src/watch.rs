//! Watches the pool's nodes and the schedule's runs until both are at their end.

use std::time::Duration;

use anyhow::Context;
use crds::ScoringRun;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use local_aks::Facts;
use tokio::time::MissedTickBehavior;

use crate::install::{self, NAMESPACE, SCHEDULE};
use crate::story::{NodeView, RunView, Snapshot, Story};
use crate::ui::Stage;

/// How often the screen follows what is seen.
const LOOK: Duration = Duration::from_millis(250);
/// Far longer than any machine needs; then the demo has failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// A client of the local cluster.
pub(crate) async fn client(facts: &Facts) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(&facts.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("making a client of the local cluster")
}

/// Shows what happens until so many runs have ended and the pool is empty, and gives the whole story. Calls `suspended` when
/// the last of them has begun.
pub(crate) async fn until_over(
    facts: &Facts,
    stage: &Stage,
    wanted: usize,
    suspended: impl Fn(),
) -> anyhow::Result<Story> {
    let client = client(facts).await?;
    let pool = watcher::Config::default().labels(&format!("{}={}", crds::names::AGENT_POOL, facts.agent_pool));
    let nodes = follow(Api::<Node>::all(client.clone()), pool);
    let runs = follow(Api::<ScoringRun>::namespaced(client, NAMESPACE), watcher::Config::default());
    let mut story = Story::new(Timestamp::now());
    let mut is_suspended = false;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = &mut patience => anyhow::bail!(
                "after {} s not {wanted} runs have ended with the pool back at zero: {}", PATIENCE.as_secs(), story.now()
            ),
        }
        let seen = Snapshot {
            nodes: nodes.state().iter().map(|node| node_view(node)).collect(),
            runs: runs
                .state()
                .iter()
                .filter(|run| run.spec.schedule_name == SCHEDULE)
                .map(|run| run_view(run))
                .collect(),
        };
        for event in story.observe(Timestamp::now(), seen) {
            stage.event(&event);
        }
        if !is_suspended && story.runs().len() >= wanted {
            install::suspend(facts).await?;
            let all = if wanted == 2 { "two".to_owned() } else { wanted.to_string() };
            stage.event(&format!("{all} runs have begun: the schedule is suspended, so that the pool can go"));
            is_suspended = true;
            suspended();
        }
        let (done, of) = story.progress();
        stage.progress(done, of, &story.now());
        if story.is_over(wanted) {
            return Ok(story);
        }
    }
}

/// A cache that follows an API; the watch ends with the runtime.
fn follow<K>(api: Api<K>, config: watcher::Config) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + serde::de::DeserializeOwned + 'static,
{
    let (store, writer) = reflector::store();
    let stream = watcher(api, config).default_backoff().reflect(writer).applied_objects();
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(stream);
        while let Some(seen) = stream.next().await {
            if let Err(error) = seen {
                tracing::debug!("watching {}: {error}", K::kind(&()));
            }
        }
    });
    store
}

fn node_view(node: &Node) -> NodeView {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True");
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    NodeView { name: node.name_any(), ready, cordoned }
}

fn run_view(run: &ScoringRun) -> RunView {
    let status = run.status.clone().unwrap_or_default();
    let sensors = status.sensors.unwrap_or_default();
    let uris = status.uris.unwrap_or_default();
    RunView {
        name: run.name_any(),
        tick: status.tick.or(run.spec.tick),
        started: status.started,
        ended: status.ended,
        state: status.state.unwrap_or_default(),
        sensors: sensors.total,
        succeeded: sensors.succeeded,
        failed: sensors.failed,
        rows: status.rows.unwrap_or_default(),
        anomalies: status.anomalies.unwrap_or_default(),
        record: uris.record,
        logs: uris.logs,
    }
}
