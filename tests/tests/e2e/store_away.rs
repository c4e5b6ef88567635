//! A store that is away for two minutes in the middle of a run: the run tells of it, goes on, and ends whole.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use local_aks::azurite::Emulator;
use store::{Record, Status};
use tests::blobs::{Blobs, files_below};

use crate::cluster::{Shared, tell, until};
use crate::inputs::sensors;
use crate::manifests;
use crate::whole::{condition, has, same_files, without_hidden};

const NAMESPACE: &str = "e2e-away";
const SCHEDULE: &str = "patient";
const RUN: &str = "goes-on";
const PORT: u16 = 10_100;
/// The promise: the run tells of it within a minute.
const TOLD: Duration = Duration::from_secs(60);
const AWAY: Duration = Duration::from_secs(120);

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let inputs = cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let folder = tempfile::tempdir()?;
    let mut emulator = Emulator::start(&cluster.root, PORT, folder.path()).await?;
    let blobs = Blobs::new(&emulator.url(), &cluster.facts.store_account, &cluster.facts.store_key);
    for (path, bytes) in files_below(&inputs.folder)? {
        blobs.put(&path, bytes).await?;
    }
    let mut schedule = cluster.schedule(NAMESPACE, SCHEDULE, "0 0 1 1 *");
    schedule["spec"]["store"]["url"] = emulator.url().into();
    // One failure that counts would be the end of an item; and where a pod fills a node, most items have not begun when the
    // first has ended and the store goes.
    schedule["spec"]["retries"] = 0.into();
    schedule["spec"]["scorer"]["resources"] = manifests::whole_node();
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, RUN, SCHEDULE)).await?;

    let predictions = format!("predictions/{NAMESPACE}/{SCHEDULE}");
    until("the first predictions", 180, async || Ok((!blobs.below(&predictions).await?.is_empty()).then_some(())))
        .await?;
    let written = without_hidden(blobs.below(&predictions).await?).len();
    emulator.stop().await?;
    let stopped = Instant::now();
    tell(&format!("the store is stopped; {written} of {} sensors have predictions", sensors().len()));
    ensure!(written < sensors().len(), "the store was stopped too late");
    let runs = cluster.runs(NAMESPACE);
    let message = until("the run to tell that its store is away", TOLD.as_secs() + 30, async || {
        let run = runs.get(RUN).await?;
        let told = condition(&run, "StoreReady").filter(|told| told.status == "False");
        Ok(told.filter(|told| told.reason == "StoreUnavailable").map(|told| told.message.clone()))
    })
    .await?;
    tell(&format!("told after {:.0} s: {message}", stopped.elapsed().as_secs_f64()));
    ensure!(stopped.elapsed() <= TOLD, "that was told after {:?} only", stopped.elapsed());
    ensure!(message.contains(&emulator.url()), "the message does not name the store: {message}");
    ensure!(!has(&runs.get(RUN).await?, "Failed", "True"), "the run gave up");

    until("two minutes to pass", AWAY.as_secs() + 10, async || Ok((stopped.elapsed() >= AWAY).then_some(()))).await?;
    emulator.resume().await?;
    let back = Instant::now();
    let run = cluster.ended(NAMESPACE, RUN).await?;
    tell(&format!("the run ended {:.0} s after the store was back", back.elapsed().as_secs_f64()));
    ensure!(has(&run, "Complete", "True") && !has(&run, "Failed", "True"), "not Complete: {:?}", run.status);
    ensure!(has(&run, "StoreReady", "True"), "the run does not tell that the store is back: {:?}", run.status);

    let kept = blobs.below(&format!("runs/{NAMESPACE}/{SCHEDULE}/{RUN}")).await?;
    let record = kept.iter().find(|(path, _)| path.ends_with("/record.json")).context("there is no record")?;
    let record: Record = serde_json::from_slice(record.1)?;
    ensure!(record.outcomes.len() == sensors().len(), "{} outcomes", record.outcomes.len());
    ensure!(record.outcomes.iter().all(|outcome| outcome.status == Status::Succeeded), "{:?}", record.failures);
    let gave_up = record.pod_ends.iter().filter(|end| end.exit_code == Some(69)).count();
    ensure!(gave_up > 0, "no pod gave up: {:?}", record.pod_ends);
    let tick = run.status.as_ref().and_then(|status| status.tick).context("the run has no tick")?;
    let expected = inputs.scorer_run(&schedule, tick).await?;
    same_files(&without_hidden(blobs.below(&predictions).await?), &expected)?;
    let events = ["get", "events", "-n", NAMESPACE, "-o", "jsonpath={.items[*].reason}"];
    let events = cluster.kubectl(&events).await?;
    ensure!(events.contains("StoreUnavailable") && events.contains("StoreAnswers"), "events: {events}");
    emulator.stop().await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.pool_is_empty().await
}
