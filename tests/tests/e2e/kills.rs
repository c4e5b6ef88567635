//! Kills: the operator dies right after one of the K requests by which it changes anything in a whole run, before the
//! answer reaches it, and is started again. Whichever of the K it is, the run ends once and whole.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::ScoringSchedule;
use jiff::Timestamp;
use kube::Api;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index;
use serde_json::{Value, json};
use spec::SensorKeys;
use tests::harness::Cluster as _;
use tests::host_operator::Running;
use tests::ledger::Change;
use tokio::sync::Mutex;

use crate::cluster::{Cluster, Shared, seed, tell, until};
use crate::inputs::sensor;
use crate::manifests;
use crate::stage::Stage;
use crate::whole::same_files;

const SCHEDULE: &str = "kills";
/// How many of the K a run of the tests tries when it is not told otherwise.
const SAMPLE: usize = 5;
/// Without a change for this long, after all else is done, the operator has nothing more to say.
const QUIET: Duration = Duration::from_secs(2);

/// The run without kills.
pub(crate) struct Measured {
    stage: Stage,
    parked: Mutex<Vec<Parked>>,
    /// How often schedules were parked: what an earlier one of the same name left in the store is not this one's.
    parkings: AtomicUsize,
    changes: Vec<Change>,
    seconds: u64,
}

async fn measured(cluster: &Cluster) -> Result<&Measured> {
    let measure = || async {
        cluster.inputs().await?;
        let stage = Stage::set(cluster).await?;
        let mut parked = park(cluster, &stage, 0, 1 + likely()).await.context("park schedules")?;
        let first = parked.pop().context("nothing was parked")?;
        let began = Instant::now();
        let changes = one_run(cluster, &stage, first, None).await.context("the run without kills")?.changes;
        Ok(Measured {
            stage,
            parked: Mutex::new(parked),
            parkings: AtomicUsize::new(1),
            changes,
            seconds: began.elapsed().as_secs(),
        })
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
    let mut tried = choose(all)?;
    let mut waiting: Vec<usize> = tried.iter().copied().rev().collect();
    let (mut killed, mut failures) = (0, Vec::new());
    while let Some(k) = waiting.pop() {
        let began = Instant::now();
        let parked = measured.next(&cluster, waiting.len() + 1).await.context("park schedules")?;
        let result = one_run(&cluster, &measured.stage, parked, Some(k)).await;
        let took = began.elapsed().as_secs();
        match result {
            Ok(Trial { sprung: Some(change), .. }) => {
                killed += 1;
                tell(&format!("kill {k} of {all}, after {change}: whole, {took} s"));
            }
            Ok(trial) => {
                // Writes of status vary by one or two. The last change that is yet untried takes the place of this one.
                let changes = trial.changes.len();
                tell(&format!("kill {k} of {all} never came: this run took {changes} changes; whole, {took} s"));
                if let Some(other) = (1..=changes.min(all)).rev().find(|k| tried.insert(*k)) {
                    waiting.push(other);
                }
            }
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
    ensure!(failures.is_empty(), "{} of {} kills:\n  {}", failures.len(), tried.len(), failures.join("\n  "));
    ensure!(killed > 0, "nothing was killed");
    tell(&format!("{killed} kills of {all}: every run ended once and whole"));
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
    let seed = seed("KILLS_SEED")?;
    tell(&format!("a sample of {SAMPLE} of {all} kills; KILLS_SEED={seed} repeats it, KILLS=all tries all"));
    let mut rng = StdRng::seed_from_u64(seed);
    Ok(index::sample(&mut rng, all, SAMPLE.min(all)).iter().map(|at| at + 1).collect())
}

/// About how many kills there will be, before K is known: parking takes a minute whatever the number.
fn likely() -> usize {
    match std::env::var("KILLS").ok().as_deref() {
        Some("all") => 50,
        Some(list) if !list.is_empty() => list.split(',').count(),
        _ => SAMPLE,
    }
}

struct Trial {
    changes: Vec<Change>,
    sprung: Option<Change>,
}

/// The sensors of these runs: two nodes' worth.
fn some_sensors() -> Vec<SensorKeys> {
    vec![sensor(1, 1), sensor(1, 2), sensor(2, 1), sensor(2, 2)]
}

/// The label of the one namespace whose turn it is.
const TURN: &str = "e2e.batchscoring.dev/turn";

/// A pool that only the namespace whose turn it is may use. Its capacity is given, so that nothing has to be learned.
fn pool(cluster: &Cluster) -> Value {
    let mut pool = cluster.pool("1s");
    pool["spec"]["namespaceSelector"] = json!({"matchLabels": {TURN: "now"}});
    pool["spec"]["nodeCapacity"] = json!({"cpu": "1900m", "memory": "1500Mi"});
    pool
}

/// A schedule that has been due for a while and runs the moment its namespace may use the pool: no run waits for the
/// next full minute.
struct Parked {
    namespace: String,
    schedule: Value,
}

/// Parks schedules: made while nobody may use the pool, told so by the operator, and due by the time this returns.
async fn park(cluster: &Cluster, stage: &Stage, first: usize, number: usize) -> Result<Vec<Parked>> {
    cluster.apply(&pool(cluster)).await?;
    let namespaces: Vec<_> = (first..first + number).map(|number| format!("kills-{number}")).collect();
    for namespace in &namespaces {
        cluster.namespace(namespace).await?;
    }
    let lead = 20 + 2 * u64::try_from(number)?;
    let tick = manifests::next_minute(Timestamp::now() + Duration::from_secs(lead));
    let cron = manifests::once_at(tick);
    let mut parked = Vec::new();
    for namespace in namespaces {
        let schedule = cluster.schedule(&namespace, SCHEDULE, &cron);
        let mut schedule = manifests::with_sensors(schedule, &some_sensors());
        schedule["spec"]["scorer"]["resources"]["requests"]["cpu"] = "900m".into();
        schedule["spec"]["startingDeadlineSeconds"] = 86_400.into();
        cluster.apply(&schedule).await?;
        parked.push(Parked { namespace, schedule });
    }
    let operator = stage.start(cluster, None).await?;
    for Parked { namespace, .. } in &parked {
        let schedules: Api<ScoringSchedule> = Api::namespaced(cluster.client.clone(), namespace);
        until("a schedule to be told that the pool is not for it", 60, async || {
            let status = schedules.get(SCHEDULE).await?.status.unwrap_or_default();
            Ok(status.conditions.iter().any(|c| c.type_ == "Valid" && c.status == "False").then_some(()))
        })
        .await?;
    }
    quiet(stage).await;
    operator.kill().await;
    until("the parked schedules to be due", lead + 90, async || Ok((Timestamp::now() > tick).then_some(()))).await?;
    Ok(parked)
}

impl Measured {
    /// The next parked schedule; parks as many as are still needed when there is none.
    async fn next(&self, cluster: &Cluster, needed: usize) -> Result<Parked> {
        let mut parked = self.parked.lock().await;
        if parked.is_empty() {
            let first = self.parkings.fetch_add(1, Ordering::Relaxed) * 1_000;
            *parked = park(cluster, &self.stage, first, needed).await?;
        }
        parked.pop().context("nothing was parked")
    }
}

/// A cluster and a schedule that is due; everything until the pool is empty again; all gone.
async fn one_run(cluster: &Cluster, stage: &Stage, parked: Parked, kill_after: Option<usize>) -> Result<Trial> {
    let namespace = &parked.namespace;
    cluster.pool_is_empty().await.context("before the run")?;
    // A new pool each time, so that what is told of it counts too.
    cluster
        .kubectl(&[
            "delete",
            "scoringcluster",
            cluster.scoring_cluster,
            "--ignore-not-found",
            "--wait=true",
            "--timeout=30s",
        ])
        .await?;
    cluster.apply(&pool(cluster)).await?;
    cluster.kubectl(&["label", "namespace", namespace, &format!("{TURN}=now")]).await?;
    let mut operator = stage.start(cluster, kill_after).await?;
    let outcome = whole_run(cluster, stage, &parked, &mut operator).await;
    // Whatever came of it: the next run starts from nothing, with the operator there to release its finalizers.
    if operator.has_ended().await {
        operator = stage.operator.start()?;
    }
    let cleaned = async {
        cluster.delete_namespace(namespace).await?;
        cluster.pool_is_empty().await
    };
    let cleaned = cleaned.await;
    operator.kill().await;
    let trial = outcome?;
    cleaned?;
    Ok(trial)
}

async fn whole_run(cluster: &Cluster, stage: &Stage, parked: &Parked, operator: &mut Running) -> Result<Trial> {
    let Parked { namespace, schedule } = parked;
    let since = cluster.pool_changes(0).await?.last;
    let nodes_before = cluster.observer.seen().nodes;
    let ended = {
        let run = async {
            let name = cluster.run_of(namespace, SCHEDULE, 60).await?;
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
    let counted = (stage.ledger.changes(), stage.ledger.sprung());
    let expected = cluster.inputs().await?.scorer_run(schedule, ended.tick).await?;
    same_files(&ended.predictions, &expected)?;
    let changes = cluster.pool_changes(since).await?;
    ensure!(changes.lowered.is_empty(), "the count was lowered: {:?}", changes.lowered);
    let made: BTreeSet<_> = cluster.observer.seen().nodes.difference(&nodes_before).cloned().collect();
    let deleted: BTreeSet<_> = changes.deleted.into_iter().collect();
    ensure!(!made.is_empty() && made == deleted, "made {made:?}, deleted by name {deleted:?}");
    Ok(Trial { changes: counted.0, sprung: counted.1 })
}

/// Starts the operator again once the trap has killed it, and whenever it lost its lease, as Kubernetes does: on a machine
/// that stands still for a while, that is right. Ends, with an error, when it ends for another reason.
async fn keep_alive(stage: &Stage, operator: &mut Running) -> anyhow::Error {
    let mut killed = false;
    let ended = async |operator: &Running| {
        while !operator.has_ended().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    loop {
        ended(operator).await;
        if operator.has_lost_its_lease().await {
            tell("the operator lost its lease and is started again");
        } else if killed || stage.ledger.sprung().is_none() {
            return anyhow::anyhow!("the operator ended by itself:\n{}", stage.operator.log_tail(20));
        } else {
            killed = true;
        }
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
