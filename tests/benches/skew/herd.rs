//! A thousand schedules that are due once, at the same minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::{ScoringRun, ScoringSchedule};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::control_plane::{ControlPlane, NAMESPACE, POOL};

/// From the making of the schedules to their tick.
const LEAD: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct Herd {
    /// In seconds.
    pub(crate) jitter: i64,
    pub(crate) schedules: usize,
}

fn name(number: usize) -> String {
    format!("line-{number}")
}

impl Herd {
    /// How long after it was to be made each run was seen by a watch.
    pub(crate) async fn skews(&self, on: &ControlPlane) -> Result<Vec<f64>> {
        let minute = (Timestamp::now() + LEAD).as_second() / 60 + 1;
        let tick = Timestamp::from_second(minute * 60)?;
        let seen = tokio::spawn(seen(Api::namespaced(on.client.clone(), NAMESPACE), self.schedules));
        self.make(on, tick).await.context("make the schedules")?;
        ensure!(Timestamp::now() < tick, "the schedules are not known before their tick");
        let seen = tokio::time::timeout(Duration::from_secs(300), seen).await.context("not every run came")???;
        let jitter = SignedDuration::from_secs(self.jitter);
        let skew = |(name, at): (String, Timestamp)| {
            let after = planner::ticks::jitter(NAMESPACE, &name, jitter);
            at.duration_since(tick).saturating_sub(after).as_secs_f64()
        };
        Ok(seen.into_iter().map(skew).collect())
    }

    /// Makes them, and waits until the operator knows when they are due.
    async fn make(&self, on: &ControlPlane, tick: Timestamp) -> Result<()> {
        let schedules: Api<ScoringSchedule> = Api::namespaced(on.client.clone(), NAMESPACE);
        let cron = tick.to_zoned(TimeZone::UTC).strftime("%-M %-H %-d %-m *").to_string();
        stream::iter(0..self.schedules)
            .map(|number| {
                let schedules = schedules.clone();
                let manifest = json!({
                    "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
                    "metadata": {"name": name(number)},
                    "spec": {
                        "clusterRef": {"name": POOL}, "schedule": cron, "jitter": format!("{}s", self.jitter),
                        "store": {"url": "az://models"}, "model": {"path": "models/{device}"}, "data": {"path": "readings.csv"},
                    },
                });
                async move {
                    schedules.create(&PostParams::default(), &serde_json::from_value(manifest)?).await?;
                    anyhow::Ok(())
                }
            })
            .buffer_unordered(16)
            .try_collect::<()>()
            .await?;
        loop {
            let all = schedules.list(&ListParams::default()).await?.items;
            let knows =
                |schedule: &ScoringSchedule| schedule.status.as_ref().is_some_and(|s| s.next_tick == Some(tick));
            if all.len() == self.schedules && all.iter().all(knows) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Deletes them and waits until their runs are gone, too.
    pub(crate) async fn leave(&self, on: &ControlPlane) -> Result<()> {
        let schedules: Api<ScoringSchedule> = Api::namespaced(on.client.clone(), NAMESPACE);
        let runs: Api<ScoringRun> = Api::namespaced(on.client.clone(), NAMESPACE);
        schedules.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        let began = Instant::now();
        // A connection that the API server has closed meanwhile is no reason to give up.
        while !runs.list_metadata(&ListParams::default()).await.is_ok_and(|left| left.items.is_empty()) {
            ensure!(began.elapsed() < Duration::from_secs(300), "the runs do not go");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }
}

/// When the runs of so many schedules came, by this machine's clock.
async fn seen(runs: Api<ScoringRun>, number: usize) -> Result<BTreeMap<String, Timestamp>> {
    let mut seen = BTreeMap::new();
    let mut events = std::pin::pin!(watch(runs, watcher::Config::default()).default_backoff());
    while seen.len() < number {
        if let Event::Apply(run) = events.try_next().await?.context("the watch ended")? {
            let now = Timestamp::now();
            seen.entry(run.spec.schedule_name.clone()).or_insert(now);
        }
    }
    Ok(seen)
}

/// What the API server itself takes for the same runs: when each create was answered, from the start of all.
pub(crate) async fn plain_creates(on: &ControlPlane, number: usize, at_once: usize) -> Result<Vec<f64>> {
    let runs: Api<ScoringRun> = Api::namespaced(on.client.clone(), NAMESPACE);
    let began = Instant::now();
    let created: Vec<(String, f64)> = stream::iter(0..number)
        .map(|number| {
            let runs = runs.clone();
            async move {
                let run = json!({
                    "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
                    "metadata": {"name": format!("{}-1", name(number)), "labels": {crds::names::SCHEDULE: name(number)}},
                    "spec": {"scheduleName": name(number), "tick": "2026-01-01T00:00:00Z"},
                });
                let made: ScoringRun = runs.create(&PostParams::default(), &serde_json::from_value(run)?).await?;
                anyhow::Ok((made.name_any(), began.elapsed().as_secs_f64()))
            }
        })
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    runs.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
    Ok(created.into_iter().map(|(_, at)| at).collect())
}
