//! Containers killed, kubelets stopped and machines deleted at random while a user's own command scores: whatever dies, each
//! sensor's predictions are there once and whole, and every attempt left a log and an outcome or the reason why not.
//!
//! `CHAOS=200` does so 200 times, over as many runs as that takes; `CHAOS_SEED` repeats what an earlier run drew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crds::names;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use store::Status;

use crate::cluster::{Cluster, Shared, seed, tell};
use crate::inputs::sensors;
use crate::pods::phase;
use crate::processes::{is_of_node, kill_pod, signal};
use crate::whole::{Ended, has, same_files};
use crate::{manifests, python};

const NAMESPACE: &str = "e2e-chaos";
/// How many deaths the test brings when it is not told otherwise, and how many one ScoringRun sees.
const SAMPLE: usize = 12;
/// How many runs score at a time, at most, so that many deaths do not take hours.
const AT_ONCE: usize = 4;
/// How often one item is killed: its Job waits 10 s after the first failure, and twice as long after each further one.
const OF_ONE: u32 = 2;
/// So slow that deaths come in the middle, and talkative, so that logs have something to lose.
const PROGRAM: &str = r#"
import os, time
for step in range(6):
    print("step", step, "of", os.environ["SCORING_KEY_DEVICE"], os.environ["SCORING_KEY_TAG"], flush=True)
    time.sleep(0.3)
with open(os.environ["SCORING_INPUT"]) as readings, open(os.environ["SCORING_OUTPUT"], "w") as predictions:
    print(next(readings).rstrip("\n") + ",prediction", file=predictions)
    for reading in readings:
        print(reading.rstrip("\n") + ",0", file=predictions)
"#;

/// What dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    /// SIGKILL for all of a container.
    Container,
    /// A kubelet that answers no more, for some seconds.
    Kubelet,
    /// A Node, deleted by somebody while pods are on it.
    Node,
}

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let deaths = std::env::var("CHAOS").map_or(Ok(SAMPLE), |text| text.parse()).context("CHAOS is no number")?;
    let seed = seed("CHAOS_SEED")?;
    tell(&format!("chaos: {deaths} deaths, CHAOS_SEED={seed}"));
    cluster.inputs().await?;
    let image = python::image(&cluster).await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let mut schedule = cluster.schedule(NAMESPACE, "chaos", "0 0 1 1 *");
    // A container that is killed uses up a retry, whoever killed it.
    schedule["spec"]["retries"] = json!(100);
    schedule["spec"]["packing"] = json!({"sensorsPerPod": 2});
    schedule["spec"]["scorer"] = json!({
        "image": image, "command": ["python3", "-c", PROGRAM],
        "resources": {"requests": {"cpu": "400m", "memory": "64Mi"}},
    });

    let mut chaos = Chaos { cluster: &cluster, dice: StdRng::seed_from_u64(seed), died: BTreeMap::new() };
    let (mut runs, mut attempts) = (0, 0);
    let mut undisturbed: Option<BTreeMap<String, Vec<u8>>> = None;
    // The first run is left alone: what it writes is what the others have to.
    while undisturbed.is_none() || chaos.count() < deaths {
        let left = deaths.saturating_sub(chaos.count());
        let more = if undisturbed.is_none() { 1 } else { left.div_ceil(SAMPLE).min(AT_ONCE) };
        let names: Vec<String> = (runs..runs + more).map(|number| format!("chaos-{number}-now")).collect();
        for (number, name) in (runs..).zip(&names) {
            // A schedule for each run, so that nothing of one can pass for something of another.
            schedule["metadata"]["name"] = json!(format!("chaos-{number}"));
            cluster.apply(&schedule).await?;
            cluster.apply(&manifests::run_now(NAMESPACE, name, &format!("chaos-{number}"))).await?;
        }
        if undisturbed.is_some() {
            let enough = deaths.min(chaos.count() + SAMPLE * more);
            chaos.rage(&names, enough).await?;
        }
        for name in &names {
            let ended = whole(&cluster, name).await.with_context(|| format!("run {name}, CHAOS_SEED={seed}"))?;
            attempts += ended.record.pod_ends.len();
            let count = chaos.count();
            tell(&format!("chaos: {name} is whole after {count} of {deaths} deaths, {attempts} attempts so far"));
            let predictions = by_sensor(&ended)?;
            match &undisturbed {
                None => undisturbed = Some(predictions),
                Some(expected) => same_files(&predictions, expected)?,
            }
        }
        runs += more;
    }
    let died = chaos.died;
    cluster.pool_is_empty().await?;
    tell(&format!(
        "chaos: {died:?} in {runs} runs with {attempts} attempts: each sensor once, each attempt with its log"
    ));
    Ok(())
}

struct Chaos<'a> {
    cluster: &'a Cluster,
    dice: StdRng,
    died: BTreeMap<Death, usize>,
}

impl Chaos<'_> {
    fn count(&self) -> usize {
        self.died.values().sum()
    }

    /// Lets things die until the runs have ended, or enough have died.
    async fn rage(&mut self, runs: &[String], deaths: usize) -> Result<()> {
        while self.count() < deaths {
            tokio::time::sleep(Duration::from_millis(self.dice.random_range(500..3_000))).await;
            let mut goes_on = false;
            for run in runs {
                let run = self.cluster.runs(NAMESPACE).get(run).await?;
                goes_on |= !has(&run, "Complete", "True") && !has(&run, "Failed", "True");
            }
            if !goes_on {
                return Ok(());
            }
            let mut pods = running(self.cluster, runs).await?;
            pods.retain(|pod| failures(pod) < OF_ONE);
            let Some(pod) = pods.choose(&mut self.dice) else { continue };
            let death = match self.dice.random_range(0..10) {
                0 => Death::Node,
                1 => Death::Kubelet,
                _ => Death::Container,
            };
            if self.dies(death, pod).await? {
                *self.died.entry(death).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Whether there was something to die.
    async fn dies(&mut self, death: Death, pod: &Pod) -> Result<bool> {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("a pod that runs has a node")?;
        match death {
            Death::Container => kill_pod(&pod.uid().context("a pod has a UID")?),
            Death::Kubelet => {
                let is_kubelet = |process: &std::path::Path| {
                    let name = std::fs::read_to_string(process.join("comm"));
                    is_of_node(process, &node) && name.is_ok_and(|name| name.trim() == "kubelet")
                };
                let stopped = signal("STOP", is_kubelet)?;
                tokio::time::sleep(Duration::from_millis(self.dice.random_range(2_000..15_000))).await;
                signal("CONT", is_kubelet)?;
                Ok(stopped > 0)
            }
            Death::Node => {
                let nodes: Api<Node> = Api::all(self.cluster.client.clone());
                Ok(nodes.delete(&node, &DeleteParams::default()).await.is_ok())
            }
        }
    }
}

/// How many pods of the same item have failed.
fn failures(pod: &Pod) -> u32 {
    let count = pod.annotations().get("batch.kubernetes.io/job-index-failure-count");
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// The item pods of these runs that run.
async fn running(cluster: &Cluster, runs: &[String]) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let items = ListParams::default().labels(&format!("{} in ({}),{}=item", names::RUN, runs.join(","), names::ROLE));
    let mut pods = pods.list(&items).await?.items;
    pods.retain(|pod| phase(pod) == "Running");
    Ok(pods)
}

/// The run is Complete with every sensor, and every attempt at an item has its log, and an outcome or a reason.
async fn whole(cluster: &Cluster, run: &str) -> Result<Ended> {
    let ended = cluster.ended_within(NAMESPACE, run, 900).await?;
    let ended = cluster.whole(ended, &sensors()).await?;
    for outcome in &ended.record.outcomes {
        ensure!(outcome.status == Status::Succeeded, "{outcome:?}");
    }
    let finished: BTreeSet<&str> = ended.record.outcomes.iter().map(|outcome| outcome.pod_uid.as_str()).collect();
    for end in &ended.record.pod_ends {
        ensure!(finished.contains(end.uid.as_str()) || !end.reason.is_empty(), "no outcome and no reason: {end:?}");
        let has_log = ended.logs.keys().any(|path| path.contains(&format!(".{}.", end.uid)));
        ensure!(has_log, "attempt {end:?} left no log: {:?}", ended.logs.keys());
    }
    Ok(ended)
}

/// The run's predictions, by sensor: one file each.
fn by_sensor(ended: &Ended) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for (path, bytes) in &ended.predictions {
        let sensor = path.split('/').rev().nth(1).context("a sensor has a folder")?.to_owned();
        if found.insert(sensor, bytes.clone()).is_some() {
            bail!("two files of predictions: {path}");
        }
    }
    ensure!(found.len() == sensors().len(), "predictions of {:?}", found.keys());
    Ok(found)
}
