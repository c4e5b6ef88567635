//! The pool goes from no node to three and back, again and again, while Azure fails in all its ways, pods come onto nodes
//! that are about to go, and operators die in the middle of operations.
//!
//! `CYCLES=50` does so fifty times; `CYCLES_SEED` repeats what an earlier run drew.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::cluster::{Shared, seed, tell, until};
use crate::failover::kill_leader;
use crate::inputs::sensors;
use crate::late::{self, Tally};
use crate::{manifests, pending};

const NAMESPACE: &str = "e2e-cycles";
/// How many cycles there are when the test is not told otherwise.
const SAMPLE: usize = 2;
/// So long a run may take: faults hold it up, and once the bucket is empty each PUT waits a minute.
const SECONDS: u64 = 400;

/// So many seconds machines take to go where an operator dies meanwhile.
const DELETING: u32 = 20;

/// What goes wrong in a cycle. All of it passes.
fn faults(pool: &str) -> [(&'static str, Value); 10] {
    [
        ("nothing", json!({})),
        ("an answer is lost", json!({"requests": [{"method": "PUT", "status": 500, "after": true}]})),
        ("a PUT is refused", json!({"requests": [{"method": "PUT", "status": 503}]})),
        ("requests are throttled", json!({"throttle": {"seconds": 4, "retryAfterSeconds": 2}})),
        ("an operation is preempted", json!({"preempt": [{"count": 1, "afterSeconds": 1, "holdsSeconds": 3}]})),
        ("one machine of several comes", json!({"provisioning": [{"machines": 1}]})),
        ("the quota has room for two", json!({"quota": [{"pool": pool, "machines": 2}]})),
        ("Azure does not answer", json!({"down": {"seconds": 6, "how": "refuse", "what": "arm"}})),
        ("a deletion is refused", json!({"requests": [{"method": "POST", "status": 500}]})),
        ("a deletion's answer is lost", json!({"requests": [{"method": "POST", "status": 500, "after": true}]})),
    ]
}

/// When an operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// While machines are on their way.
    Growing,
    /// While nodes are cordoned.
    Draining,
    /// Once the deletion of machines was asked for.
    Deleting,
}

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let cycles = std::env::var("CYCLES").map_or(Ok(SAMPLE), |text| text.parse()).context("CYCLES is no number")?;
    let seed = seed("CYCLES_SEED")?;
    tell(&format!("{cycles} cycles, CYCLES_SEED={seed}"));
    let mut dice = StdRng::seed_from_u64(seed);
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let mut schedule = cluster.schedule(NAMESPACE, "cycles", "0 0 1 1 *");
    schedule["spec"]["retries"] = json!(0);
    let since = cluster.pool_changes(0).await?.last;
    let over = AtomicBool::new(false);
    let late = late::bind(&cluster, &over, dice.random());
    let cycling = async {
        let cycled = all(&cluster, &mut schedule, cycles, &mut dice).await;
        over.store(true, Ordering::SeqCst);
        cycled.and(cluster.call_off().await)
    };
    let (cycled, late, waits) = tokio::join!(cycling, late, pending::watch(&cluster, NAMESPACE, &over));
    let Tally { survived, too_late } = late.context("pods that come late")?;
    cycled.and(waits).with_context(|| format!("CYCLES_SEED={seed}"))?;
    let (changes, refused) = (cluster.pool_changes(since).await?, cluster.puts_refused(since).await?);
    ensure!(refused == 0, "{refused} PUTs were beyond the bucket");
    tell(&format!(
        "{cycles} cycles: {} PUTs, {} machines deleted by name; {survived} pods were bound between cordon and deletion and \
         none was killed ({too_late} more came after the deletion had been asked for)",
        changes.counts.len(),
        changes.deleted.len(),
    ));
    ensure!(survived >= cycles * 4, "{survived} pods came between cordon and deletion");
    cluster.delete_namespace(NAMESPACE).await
}

async fn all(cluster: &Shared, schedule: &mut Value, cycles: usize, dice: &mut StdRng) -> Result<()> {
    for cycle in 0..cycles {
        let (name, faults) = faults(&cluster.facts.agent_pool).choose(dice).cloned().context("no faults")?;
        let death = [None, Some(Death::Deleting), None, Some(Death::Growing), None, Some(Death::Draining)][cycle % 6];
        let what = format!("cycle {cycle}: {name}, {death:?}");
        one(cluster, schedule, cycle, &faults, death).await.with_context(|| what.clone())?;
        tell(&what);
    }
    Ok(())
}

/// One run, and nothing before and after it. Where an operator dies while machines are being deleted, which takes its time
/// then, a second run comes at that moment: nothing of it may start on them.
async fn one(cluster: &Shared, schedule: &mut Value, cycle: usize, faults: &Value, death: Option<Death>) -> Result<()> {
    cluster.order(faults).await?;
    let before = cluster.pool_changes(0).await?;
    let mut runs = vec![run_now(cluster, schedule, format!("cycle-{cycle}")).await?];
    let deleting = if death == Some(Death::Deleting) { DELETING } else { 2 };
    cluster.set(&json!({"deletingSeconds": deleting})).await?;
    if let Some(death) = death {
        until(&format!("the moment of {death:?}"), SECONDS, async || {
            let now = cluster.pool_changes(before.last).await?;
            Ok(match death {
                // An answer that was lost is no accepted PUT, and machines come all the same.
                Death::Growing => !now.counts.is_empty() || cluster.pool_nodes().await? > 0,
                Death::Draining => !late::draining(cluster).await?.is_empty(),
                Death::Deleting => !now.to_delete.is_empty(),
            }
            .then_some(()))
        })
        .await?;
        if death == Death::Deleting {
            runs.push(run_now(cluster, schedule, format!("cycle-{cycle}-again")).await?);
        }
        kill_leader(cluster).await?;
    }
    for run in runs {
        cluster.ended_within(NAMESPACE, &run, SECONDS).await?;
        let ended = cluster.complete(NAMESPACE, &run, &sensors()).await?;
        // With no retries, a pod that a deletion had taken would be a failed item.
        let once = ended.record.pod_ends.iter().all(|end| end.exit_code == Some(0));
        ensure!(once && ended.record.pod_ends.len() == sensors().len(), "{:?}", ended.record.pod_ends);
    }
    until("the pool to have no nodes", SECONDS, async || {
        Ok((cluster.pool_nodes().await? == 0 && cluster.pool_changes(0).await?.count == 0).then_some(()))
    })
    .await?;
    cluster.call_off().await
}

/// Makes a run, of a schedule of its own so that nothing of one can pass for something of another. Gives its name.
async fn run_now(cluster: &Shared, schedule: &mut Value, name: String) -> Result<String> {
    let run = format!("{name}-now");
    schedule["metadata"]["name"] = json!(name);
    cluster.apply(schedule).await?;
    cluster.apply(&manifests::run_now(NAMESPACE, &run, &name)).await?;
    Ok(run)
}
