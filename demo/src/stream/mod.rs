//! `cargo demo --stream`: from event to prediction, live. Sensors send to Kafka, ingest makes windows of what they send, runs
//! score these as soon as they are complete, and files and a database have all of it.

mod live;
mod plan;
mod producer;
mod results;
mod sensors;
mod sent;
mod servers;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use local_aks::images::{Binaries, Images};
use local_aks::{Facts, Progress};

use self::plan::Plan;
use self::sensors::Sensors;
pub(crate) use self::servers::Servers;
use self::servers::{PARTITIONS, TOPIC};
pub(crate) use self::summary::Summary;
use crate::install::{self, NAMESPACE, OPERATOR};
use crate::results::Results;
use crate::ui::Ui;
use crate::watch;
use crate::workload::{SENSORS, Workload};

/// Runs that it waits for.
pub(crate) const RUNS: usize = 3;
/// How long sensors go on once the last run has begun.
const GO_ON: Duration = Duration::from_secs(20);
/// The Secret with the database.
const PLANT: &str = "plant";

const INGEST: &str = include_str!("../../manifests/stream/ingest.yaml");
const SCHEDULE: &str = include_str!("../../manifests/stream/schedule.yaml");

/// Where everything is.
pub(crate) struct Demo<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) binaries: &'a Binaries,
    pub(crate) workspace: &'a Path,
    /// What is to be kept goes there.
    pub(crate) folder: &'a Path,
    /// Where Kafka is kept.
    pub(crate) root: &'a Path,
    pub(crate) ui: &'a Ui,
}

/// Everything between the cluster's coming up and its going down. The servers go on.
pub(crate) async fn show(demo: &Demo<'_>) -> anyhow::Result<(Summary, Servers)> {
    let Demo { facts, binaries, folder, root, ui, .. } = demo;
    let began = Instant::now();
    let pushed = install::images(facts, binaries, folder, ui).await?;

    let stage = ui.stage("Kafka and PostgreSQL");
    let noted = stage.clone();
    let servers = Servers::start(facts, root, &Progress::new(move |step| noted.note(step))).await?;
    stage.done(&format!("a topic of {PARTITIONS} partitions at {}, and an empty database", servers.broker()));
    match Box::pin(demo.stream(&pushed, &servers, began)).await {
        Ok(summary) => Ok((summary, servers)),
        Err(error) => {
            servers.keep_logs(folder);
            Err(error)
        }
    }
}

impl Demo<'_> {
    async fn stream(&self, pushed: &Images, servers: &Servers, began: Instant) -> anyhow::Result<Summary> {
        let Self { facts, folder, ui, .. } = self;
        let plan = Arc::new(self.prepare().await?);
        let stage = ui.stage("Operator and ingest");
        self.install(pushed, servers).await?;
        stage.done("the chart is installed, the operator and two replicas of ingest are ready");

        let client = watch::client(facts).await?;
        let stage = ui.stage("Stream");
        let mut sensors = Sensors::start(plan.clone(), &servers.broker(), TOPIC)?;
        stage.event(&format!("{SENSORS} sensors send to the topic {TOPIC}"));
        let scoring = ui.stage("Scoring");
        let story = {
            let scored = async {
                self.apply().await?;
                scoring.event("one ScoringCluster (0 to 3 nodes) and one ScoringSchedule (every minute) are applied");
                watch::until_over(facts, &scoring, RUNS, || sensors.stop_after(GO_ON)).await
            };
            tokio::select! {
                story = Box::pin(scored) => story?,
                () = live::follow(&client, servers, &sensors, &stage) => {
                    sensors.join()?;
                    bail!("the sensors have ended early");
                }
            }
        };
        scoring.done(&format!("{} runs, and the pool is back at zero", story.runs().len()));
        sensors.stop_after(Duration::ZERO);
        let sent = self.end(&mut sensors).await?;
        stage.note("the sensors are silent; the last windows are awaited");
        let results = Results::open(facts)?;
        results::until_complete(&results, &sent).await?;
        stage.done(&format!("{} events were sent, and are in windows", sent.events));

        let stage = ui.stage("Results");
        let copy = folder.join("store");
        let found = results::find(&results, servers, &sent).await?;
        let (runs, example) = results::judge(&results, &story, &plan, &sent).await?;
        results.copy(&copy).await?;
        stage.done("read back from Blob Storage and PostgreSQL, and compared with what was sent");
        let verdict = summary::total(&runs);
        Ok(Summary {
            stream: summary::Stream::of(&sent),
            found,
            runs,
            precision: verdict.precision(),
            recall: verdict.recall(),
            verdict,
            nodes: story.counts().to_vec(),
            machines: story.machines(),
            stages: ui.times(),
            seconds_from_control_plane: began.elapsed().as_secs_f64(),
            example,
            copy,
        })
    }

    /// Makes readings and models, and decides what sensors are to send.
    async fn prepare(&self) -> anyhow::Result<Plan> {
        let Self { facts, binaries, folder, ui, .. } = self;
        let stage = ui.stage("Models");
        let workload = Workload::new(facts, binaries.scorer()?, folder)?;
        let now = Timestamp::now();
        workload.simulate(now).await?;
        workload.train().await?;
        let start = Timestamp::from_second(now.as_second().div_euclid(plan::WINDOW) * plan::WINDOW)?;
        let live = folder.join("live");
        workload.foretell(start, &live).await?;
        let labels = live.join("data/labels.csv");
        let text = std::fs::read_to_string(&labels).with_context(|| format!("reading {}", labels.display()))?;
        let plan = Plan::parse(&text)?;
        stage.done(&format!("one trained for each of {SENSORS} sensors on two hours of readings"));
        Ok(plan)
    }

    async fn install(&self, pushed: &Images, servers: &Servers) -> anyhow::Result<()> {
        let Self { facts, workspace, .. } = self;
        install::namespaces(facts).await?;
        install::store_secret(facts, OPERATOR).await?;
        for namespace in [OPERATOR, NAMESPACE] {
            install::secret(facts, namespace, PLANT, &servers.secret()).await?;
        }
        let values = self.values(pushed, servers)?;
        install::chart(facts, pushed, workspace, Some(&values)).await
    }

    /// The file of the chart's values.
    fn values(&self, pushed: &Images, servers: &Servers) -> anyhow::Result<PathBuf> {
        let image = pushed.ingest.as_deref().context("the image of ingest was not built")?;
        let text =
            install::filled(INGEST, self.facts).replace("${INGEST}", image).replace("${BROKER}", &servers.broker());
        let path = self.folder.join("ingest.yaml");
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Applies the schedule once the stream has begun: the first run's window is not to be empty.
    async fn apply(&self) -> anyhow::Result<()> {
        let second = Timestamp::now().as_second().rem_euclid(60);
        // The first events are up to 5 s away.
        if second > 50 {
            tokio::time::sleep(Duration::from_secs((61 - second).unsigned_abs())).await;
        }
        install::manifests(self.facts, self.folder, SCHEDULE).await
    }

    /// Waits until the sensors have ended, and gives what they sent.
    async fn end(&self, sensors: &mut Sensors) -> anyhow::Result<sent::Sent> {
        while !sensors.have_ended() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sensors.join()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_what_the_custom_resource_takes() {
        let schedule: crds::ScoringSchedule = serde_saphyr::from_str(SCHEDULE).unwrap();
        assert_eq!(schedule.metadata.name.as_deref(), Some(install::SCHEDULE));
        assert_eq!(schedule.metadata.namespace.as_deref(), Some(NAMESPACE));
    }
}
