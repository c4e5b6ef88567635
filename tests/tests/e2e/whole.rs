//! Whether a run has ended once and whole: what Kubernetes, the store and the pool have to show for it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use crds::{Condition, ScoringRun, names};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use spec::SensorKeys;
use store::Record;
use store::latest::Success;

use crate::cluster::{Cluster, until};
use crate::observe::Child;

/// How long a run may take on the slowest machine, its nodes and images included.
const RUN_SECONDS: u64 = 600;
/// How long the pool may take to go, from the end of the run on.
const EMPTY_SECONDS: u64 = 90;

/// A run that ended.
pub(crate) struct Ended {
    pub(crate) run: ScoringRun,
    pub(crate) tick: Timestamp,
    pub(crate) record: Record,
    pub(crate) predictions: BTreeMap<String, Vec<u8>>,
    pub(crate) logs: BTreeMap<String, Vec<u8>>,
}

/// A condition of a run.
pub(crate) fn condition<'a>(run: &'a ScoringRun, kind: &str) -> Option<&'a Condition> {
    run.status.iter().flat_map(|status| &status.conditions).find(|condition| condition.type_ == kind)
}

/// Whether a condition has a status.
pub(crate) fn has(run: &ScoringRun, kind: &str, status: &str) -> bool {
    condition(run, kind).is_some_and(|condition| condition.status == status)
}

impl Cluster {
    /// The runs of a namespace.
    pub(crate) fn runs(&self, namespace: &str) -> Api<ScoringRun> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Waits until a run has ended, well or not, is archived, and its Jobs are gone.
    pub(crate) async fn ended(&self, namespace: &str, name: &str) -> Result<ScoringRun> {
        self.ended_within(namespace, name, RUN_SECONDS).await
    }

    /// The same, with a time of its own.
    pub(crate) async fn ended_within(&self, namespace: &str, name: &str, seconds: u64) -> Result<ScoringRun> {
        let runs = self.runs(namespace);
        until(&format!("the end of run {namespace}/{name}"), seconds, async || {
            let run = runs.get(name).await?;
            let over = has(&run, "Complete", "True") || has(&run, "Failed", "True");
            Ok((over && has(&run, "Archived", "True")).then_some(run))
        })
        .await
    }

    /// Waits until the one run of a schedule exists; gives its name.
    pub(crate) async fn run_of(&self, namespace: &str, schedule: &str, seconds: u64) -> Result<String> {
        let runs = self.runs(namespace);
        until(&format!("a run of schedule {namespace}/{schedule}"), seconds, async || {
            let list = runs.list(&ListParams::default()).await?;
            Ok(list.items.into_iter().find(|run| run.spec.schedule_name == schedule).map(|run| run.name_any()))
        })
        .await
    }

    /// Waits until the pool has no node, in Kubernetes and for Azure.
    pub(crate) async fn pool_is_empty(&self) -> Result<()> {
        until("the pool to have no nodes", EMPTY_SECONDS, async || {
            Ok((self.pool_nodes().await? == 0 && self.pool_changes(0).await?.count == 0).then_some(()))
        })
        .await
    }

    /// The record of a run.
    pub(crate) async fn record(&self, namespace: &str, schedule: &str, run: &str) -> Result<Record> {
        let kept = self.blobs.below(&format!("runs/{namespace}/{schedule}/{run}")).await?;
        let record = kept.iter().find(|(path, _)| path.ends_with("/record.json")).map(|(_, record)| record);
        serde_json::from_slice(record.with_context(|| format!("run {run} has no record"))?).context("read the record")
    }

    /// A run that is Complete, with everything that it leaves in the store. `expected` are its sensors.
    pub(crate) async fn complete(&self, namespace: &str, name: &str, expected: &[SensorKeys]) -> Result<Ended> {
        let run = self.ended(namespace, name).await?;
        self.whole(run, expected).await
    }

    /// The same of a run that has ended.
    pub(crate) async fn whole(&self, run: ScoringRun, expected: &[SensorKeys]) -> Result<Ended> {
        let (namespace, name) = (run.namespace().unwrap_or_default(), run.name_any());
        ensure!(has(&run, "Complete", "True") && !has(&run, "Failed", "True"), "not Complete: {:?}", run.status);
        let status = run.status.clone().context("the run has no status")?;
        let tick = status.tick.or(run.spec.tick).context("the run has no tick")?;
        let schedule = &run.spec.schedule_name;
        let kept = self.blobs.below(&format!("runs/{namespace}/{schedule}")).await?;
        let records: Vec<_> = kept.iter().filter(|(path, _)| path.ends_with("/record.json")).collect();
        let [(path, record)] = records.as_slice() else { bail!("not one record but {}", records.len()) };
        ensure!(**path == format!("runs/{namespace}/{schedule}/{name}/record.json"), "the record is at {path}");
        let record: Record = serde_json::from_slice(record).context("read the record")?;
        each_sensor_has_one_final_outcome(&record, expected)?;
        let counts = status.sensors.context("the run counts no sensors")?;
        ensure!(
            (counts.total, counts.succeeded, counts.failed, counts.waiting)
                == (record.totals.sensors, record.totals.succeeded, record.totals.failed, 0),
            "status counts {counts:?}, the record {:?}",
            record.totals
        );
        let written = self.blobs.below(&format!("predictions/{namespace}/{schedule}")).await?;
        is_told(&written, &record)?;
        let predictions = without_hidden(written);
        let logs = self.blobs.below(&format!("logs/{namespace}/{schedule}/{name}")).await?;
        each_attempt_has_a_log_and_each_log_an_end(&logs, &record)?;
        Ok(Ended { run, tick, record, predictions, logs })
    }

    /// The run was made once, with one Job of each kind; its pods are those that its items needed; nothing of it but
    /// the run itself is left.
    pub(crate) async fn happened_once(&self, namespace: &str, ended: &Ended) -> Result<()> {
        let name = ended.run.name_any();
        let runs = self.runs(namespace).list(&ListParams::default()).await?.items;
        let same: Vec<_> = runs.iter().filter(|run| run.spec.schedule_name == ended.run.spec.schedule_name).collect();
        ensure!(same.len() == 1, "the schedule has {} runs", same.len());
        until("the run's Jobs, pods and ConfigMaps to go", 60, async || {
            let pods = self.left::<Job>(namespace, &name).await? + self.left::<Pod>(namespace, &name).await?;
            Ok((pods + self.left::<ConfigMap>(namespace, &name).await? == 0).then_some(()))
        })
        .await?;
        let seen = self.observer.seen();
        let jobs = seen.jobs_of(namespace, &name);
        for role in ["plan", "item", "archive"] {
            let of_role: Vec<_> = jobs.iter().filter(|job| job.role == role).collect();
            ensure!(of_role.len() == 1, "{} Jobs for {role}: {of_role:?}", of_role.len());
        }
        let pods = seen.pods_of(namespace, &name);
        let items: Vec<&Child> = pods.iter().filter(|pod| pod.role == "item").collect();
        let indexes: BTreeSet<_> = items.iter().map(|pod| &pod.index).collect();
        ensure!(
            indexes.len() == items.len() && items.len() == ended.record.totals.items as usize,
            "{} items had these pods: {items:?}",
            ended.record.totals.items
        );
        ensure!(
            ended.record.pod_ends.len() == items.len(),
            "{} pods ended, the record tells of {}",
            items.len(),
            ended.record.pod_ends.len()
        );
        Ok(())
    }

    /// The number of objects of a kind that belong to a run.
    async fn left<K>(&self, namespace: &str, run: &str) -> Result<usize>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let of_run = ListParams::default().labels(&format!("{}={run}", names::RUN));
        Ok(api.list(&of_run).await?.items.len())
    }

    /// Deletes a run, which its finalizer may hold no longer.
    pub(crate) async fn deletes(&self, namespace: &str, run: &str) -> Result<()> {
        let runs = self.runs(namespace);
        runs.delete(run, &kube::api::DeleteParams::default()).await?;
        until("the deleted run to go", 30, async || Ok(runs.get_opt(run).await?.is_none().then_some(()))).await
    }
}

/// The files of predictions themselves: without what stands in folders that Spark takes for hidden.
pub(crate) fn without_hidden(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.retain(|path, _| !path.split('/').any(|segment| segment.starts_with('_')));
    files
}

/// `_SUCCESS` and `latest.json` tell of the schedule's only run, with the record's counts.
fn is_told(written: &BTreeMap<String, Vec<u8>>, record: &Record) -> Result<()> {
    let told: Vec<_> = written.iter().filter(|(path, _)| path.contains("/_runs/")).collect();
    let [(success, first), (latest, second)] = told.as_slice() else { bail!("told by {:?}", written.keys()) };
    ensure!(success.ends_with("/_SUCCESS") && latest.ends_with("/_runs/latest.json"), "{success}, {latest}");
    ensure!(first == second, "{success} and {latest} differ");
    let told: Success = serde_json::from_slice(second).context("read latest.json")?;
    let totals = &record.totals;
    ensure!(told.run == record.run && told.sensors == totals.sensors, "latest.json tells {told:?}");
    ensure!((told.succeeded, told.failed, told.rows) == (totals.succeeded, totals.failed, totals.scored), "{told:?}");
    Ok(())
}

fn each_sensor_has_one_final_outcome(record: &Record, expected: &[SensorKeys]) -> Result<()> {
    let told: Vec<_> = record.outcomes.iter().map(|outcome| outcome.sensor.clone()).collect();
    let distinct: BTreeSet<_> = told.iter().collect();
    ensure!(distinct.len() == told.len(), "a sensor has two outcomes: {told:?}");
    ensure!(distinct == expected.iter().collect(), "outcomes for {told:?} instead of {expected:?}");
    let open: Vec<_> = record.outcomes.iter().filter(|outcome| !outcome.status.is_final()).collect();
    ensure!(open.is_empty(), "not final: {open:?}");
    Ok(())
}

fn each_attempt_has_a_log_and_each_log_an_end(logs: &BTreeMap<String, Vec<u8>>, record: &Record) -> Result<()> {
    for end in &record.pod_ends {
        ensure!(logs.keys().any(|path| path.contains(&end.uid)), "no log of {end:?} among {:?}", logs.keys());
    }
    let open: Vec<_> = logs.iter().filter(|(_, log)| !store::log::is_ended(log)).map(|(path, _)| path).collect();
    ensure!(open.is_empty(), "logs without an end: {open:?}");
    Ok(())
}

/// Fails with the first path at which two sets of files differ.
pub(crate) fn same_files(ours: &BTreeMap<String, Vec<u8>>, theirs: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let (here, there): (Vec<_>, Vec<_>) = (ours.keys().collect(), theirs.keys().collect());
    ensure!(here == there, "other files:\n{here:#?}\ninstead of\n{there:#?}");
    for (path, bytes) in ours {
        ensure!(theirs.get(path) == Some(bytes), "{path} differs");
    }
    Ok(())
}
