//! Karpenter and this project side by side, on one control plane, at the same ticks; see README.md.

#[path = "karpenter/process.rs"]
mod process;
#[path = "karpenter/seen.rs"]
mod seen;
#[path = "karpenter/table.rs"]
mod table;
#[path = "karpenter/workload.rs"]
mod workload;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use local_aks::{NodeKind, Options};
use serde_json::json;
use tests::fleet::Fleet;
use tests::local::tell;

use process::Karpenter;
use seen::{SIDES, Seen, Side};
use workload::{UNCOUNTED, Workload, all};

/// What goes before each line about the cluster.
const NAME: &str = "karpenter";
/// The schedule on this project's side.
const SCHEDULE: &str = "line";

async fn measure(fleet: &Fleet, workload: &Workload) -> Result<bool> {
    fleet.fill_store(workload.pods).await.context("fill the store")?;
    let operator = fleet.operator.start()?;
    fleet.pool(json!({"maxNodes": workload.pods, "prewarm": "Auto", "scaleDown": {"policy": "BreakEven"}})).await?;
    let karpenter = Karpenter::start(fleet, workload).await.context("start Karpenter")?;
    let seen = Seen::watch(fleet);
    let first = workload.first_tick(Timestamp::now() + SignedDuration::from_secs(15))?;
    fleet.schedule(SCHEDULE, &workload.cron(), 1).await?;
    ensure!(Timestamp::now() < first, "the schedule is not made before its tick");
    let ticks = UNCOUNTED + workload.ticks;
    for number in 0..ticks {
        let tick = workload.tick(first, number);
        sleep_until(tick).await;
        for side in SIDES.into_iter().filter(|side| *side != Side::Ours) {
            karpenter.job(fleet, side, tick, workload.pods).await?;
        }
        tell(NAME, &format!("{}: tick {} of {ticks} was at {tick}", workload.name, number + 1));
    }
    // The nodes of the last tick count up to where those of the next one would.
    let (from, until) = workload.counted(first);
    sleep_until(until).await;
    karpenter.stop().await;
    operator.kill().await;
    table::print(workload, &seen.told(), first, from, until)
}

async fn sleep_until(moment: Timestamp) {
    let wait = moment.duration_since(Timestamp::now());
    tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
}

async fn run(workload: &Workload) -> Result<bool> {
    let options = Options {
        nodes: NodeKind::Kwok,
        node_cpus: 1,
        kwok_pod_duration: workload.scaled(workload.item).into(),
        provisioning: workload.scaled(workload.provisioning).into(),
        ..Options::default()
    };
    let fleet = Fleet::up(NAME, &options).await?;
    let result = measure(&fleet, workload).await;
    fleet.down().await?;
    result
}

/// Those with a word of the command line in their name, or all.
async fn run_all() -> Result<bool> {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut kept = true;
    for workload in all()? {
        if only.is_empty() || only.iter().any(|only| workload.name.contains(only.as_str())) {
            kept &= run(&workload).await?;
        }
    }
    Ok(kept)
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
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run_all()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{NAME}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
