//! Kills: the operator dies right after one of the K requests by which it changes anything in a whole run, before the
//! answer reaches it, and is started again. Whichever of the K it is, the run ends once and whole.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index;
use spec::SensorKeys;
use tests::host_operator::Running;
use tests::ledger::Change;

use crate::cluster::{Cluster, Shared, tell};
use crate::first_run::CLUSTER;
use crate::inputs::sensor;
use crate::manifests;
use crate::stage::Stage;
use crate::whole::same_files;

const SCHEDULE: &str = "kills";
/// How many of the K a run of the tests tries when it is not told otherwise.
const SAMPLE: usize = 8;
/// Without a change for this long, after all else is done, the operator has nothing more to say.
const QUIET: Duration = Duration::from_secs(2);

/// The run without kills.
pub(crate) struct Measured {
    stage: Stage,
    changes: Vec<Change>,
    seconds: u64,
}

async fn measured(cluster: &Cluster) -> Result<&Measured> {
    let measure = || async {
        let stage = Stage::set(cluster).await?;
        let began = Instant::now();
        let changes = one_run(cluster, &stage, None).await.context("the run without kills")?.changes;
        Ok(Measured { stage, changes, seconds: began.elapsed().as_secs() })
    };
    cluster.measured.get_or_try_init(measure).await
}

/// Counts, and prints what is counted.
pub(crate) async fn counted(cluster: Shared) -> Result<()> {
    let measured = measured(&cluster).await?;
    let k = measured.changes.len();
    tell(&format!("K = {k}: a run without kills took {k} changes and {} s", measured.seconds));
    measured.changes.iter().enumerate().for_each(|(number, change)| tell(&format!("  {:3} {change}", number + 1)));
    // Plan, item and archive Job, request and ends, the pool up and down, and what is told of each.
    ensure!(k >= 8, "only {k} changes: the proxy does not see them all");
    Ok(())
}

/// Kills at a sample of the K, or at all.
pub(crate) async fn sampled(cluster: Shared) -> Result<()> {
    let measured = measured(&cluster).await?;
    let all = measured.changes.len();
    let chosen = choose(all)?;
    let mut failures = Vec::new();
    for k in &chosen {
        let began = Instant::now();
        let result = one_run(&cluster, &measured.stage, Some(*k)).await;
        let took = began.elapsed().as_secs();
        match result {
            Ok(Trial { sprung: Some(change), .. }) => {
                tell(&format!("kill {k} of {all}, after {change}: whole, {took} s"));
            }
            Ok(trial) => tell(&format!(
                "kill {k} of {all}: this run took only {} changes, so nothing was killed; whole, {took} s",
                trial.changes.len()
            )),
            Err(error) => {
                let at = measured.stage.ledger.sprung();
                let at = at.map_or_else(|| "never came".to_owned(), |change| format!("after {change}"));
                tell(&format!("kill {k} of {all}, {at}: NOT whole, {took} s: {error:#}"));
                tell(&format!("the operator's last words:\n{}", measured.stage.operator.log_tail(40)));
                cluster.diagnose().await;
                failures.push(format!("kill {k}, {at}: {error:#}"));
            }
        }
    }
    ensure!(failures.is_empty(), "{} of {} kills:\n  {}", failures.len(), chosen.len(), failures.join("\n  "));
    tell(&format!("{} kills of {all}: every run ended once and whole", chosen.len()));
    Ok(())
}

/// `KILLS=all`, `KILLS=3,17`, or by default a sample that `KILLS_SEED` repeats.
fn choose(all: usize) -> Result<BTreeSet<usize>> {
    match std::env::var("KILLS").ok().as_deref() {
        Some("all") => return Ok((1..=all).collect()),
        Some(list) if !list.is_empty() => {
            let numbers = list.split(',').map(|number| number.trim().parse::<usize>());
            let chosen: BTreeSet<_> = numbers.collect::<Result<_, _>>().context("KILLS is `all` or numbers: 3,17")?;
            ensure!(chosen.iter().all(|k| (1..=all).contains(k)), "KILLS={list}: numbers from 1 to K={all}");
            return Ok(chosen);
        }
        _ => {}
    }
    let seed = match std::env::var("KILLS_SEED") {
        Ok(seed) => seed.parse().context("KILLS_SEED is a number")?,
        Err(_) => u64::try_from(Timestamp::now().as_second()).unwrap_or_default(),
    };
    tell(&format!("a sample of {SAMPLE} of {all} kills; KILLS_SEED={seed} repeats it, KILLS=all tries all"));
    let mut rng = StdRng::seed_from_u64(seed);
    Ok(index::sample(&mut rng, all, SAMPLE.min(all)).iter().map(|at| at + 1).collect())
}

struct Trial {
    changes: Vec<Change>,
    sprung: Option<Change>,
}

/// The sensors of these runs: two nodes' worth.
fn some_sensors() -> Vec<SensorKeys> {
    vec![sensor(1, 1), sensor(1, 2), sensor(2, 1), sensor(2, 2)]
}

/// A namespace, a cluster, a schedule that is due once; everything until the pool is empty again; all gone.
async fn one_run(cluster: &Cluster, stage: &Stage, kill_after: Option<usize>) -> Result<Trial> {
    let namespace = kill_after.map_or_else(|| "kills-none".to_owned(), |k| format!("kills-{k}"));
    cluster.pool_is_empty().await.context("before the run")?;
    cluster.namespace(&namespace).await?;
    let _ = cluster.kubectl(&["delete", "scoringcluster", CLUSTER, "--ignore-not-found", "--wait=true"]).await?;
    let mut operator = stage.start(cluster, kill_after).await?;
    let outcome = whole_run(cluster, stage, &namespace, &mut operator).await;
    // Whatever came of it: the next run starts from nothing, with the operator there to release its finalizers.
    if operator.has_ended().await {
        operator = stage.operator.start()?;
    }
    let cleaned = cluster.delete_namespace(&namespace).await;
    operator.kill().await;
    let trial = outcome?;
    cleaned?;
    Ok(trial)
}

async fn whole_run(cluster: &Cluster, stage: &Stage, namespace: &str, operator: &mut Running) -> Result<Trial> {
    let since = cluster.pool_changes(0).await?.last;
    let nodes_before = cluster.observer.seen().nodes;
    let tick = manifests::next_minute(Timestamp::now());
    let schedule = manifests::schedule(&cluster.facts, namespace, SCHEDULE, CLUSTER, &manifests::once_at(tick));
    let mut schedule = manifests::with_sensors(schedule, &some_sensors());
    schedule["spec"]["scorer"]["resources"]["requests"]["cpu"] = "900m".into();
    cluster.apply(&manifests::cluster(&cluster.facts, CLUSTER, "1s")).await?;
    cluster.apply(&schedule).await?;
    let name = format!("{SCHEDULE}-{}", tick.as_second() / 60);
    let ended = {
        let run = async {
            cluster.run_of(namespace, SCHEDULE, 90).await?;
            let ended = cluster.complete(namespace, &name, &some_sensors()).await?;
            cluster.happened_once(namespace, &ended).await?;
            cluster.pool_is_empty().await?;
            quiet(stage).await;
            Ok::<_, anyhow::Error>(ended)
        };
        let keep = keep_alive(stage, operator);
        tokio::select! {
            ended = run => ended?,
            error = keep => return Err(error),
        }
    };
    let expected = cluster.inputs.scorer_run(&schedule, ended.tick).await?;
    same_files(&ended.predictions, &expected)?;
    let changes = cluster.pool_changes(since).await?;
    ensure!(changes.lowered.is_empty(), "the count was lowered: {:?}", changes.lowered);
    let made: BTreeSet<_> = cluster.observer.seen().nodes.difference(&nodes_before).cloned().collect();
    let deleted: BTreeSet<_> = changes.deleted.into_iter().collect();
    ensure!(made == deleted, "made {made:?}, deleted by name {deleted:?}");
    Ok(Trial { changes: stage.ledger.changes(), sprung: stage.ledger.sprung() })
}

/// Starts the operator again once the trap has killed it. Ends, with an error, when it ends for another reason.
async fn keep_alive(stage: &Stage, operator: &mut Running) -> anyhow::Error {
    let mut killed = false;
    let ended = async |operator: &Running| {
        while !operator.has_ended().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    loop {
        ended(operator).await;
        if killed || stage.ledger.sprung().is_none() {
            return anyhow::anyhow!("the operator ended by itself:\n{}", stage.operator.log_tail(20));
        }
        killed = true;
        match stage.operator.start() {
            Ok(again) => *operator = again,
            Err(error) => return error,
        }
    }
}

async fn quiet(stage: &Stage) {
    loop {
        let before = stage.ledger.changes().len();
        tokio::time::sleep(QUIET).await;
        if stage.ledger.changes().len() == before {
            return;
        }
    }
}
