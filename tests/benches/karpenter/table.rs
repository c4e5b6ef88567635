//! What each side took, side by side, and whether ours took no more.

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};

use crate::seen::{Life, SIDES, Side, Start, Told};
use crate::workload::{UNCOUNTED, Workload};

/// What a side took.
struct Taken {
    side: Side,
    node_seconds: f64,
    /// From each tick to the first and the last of its pods, in order.
    first: Vec<f64>,
    last: Vec<f64>,
}

fn words(side: Side) -> &'static str {
    match side {
        Side::Ours => "this project: prewarm Auto, scaleDown BreakEven",
        Side::Quick => "Karpenter: WhenEmpty, consolidateAfter 30 s",
        Side::Slow => "Karpenter: WhenEmpty, consolidateAfter 10 min",
    }
}

impl Taken {
    fn of(
        side: Side,
        workload: &Workload,
        told: &Told,
        first: Timestamp,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Self> {
        // A node is paid for from when it is made, which is so long before it is seen.
        let coming = SignedDuration::try_from(workload.scaled(workload.provisioning))?;
        let within = |life: &Life| {
            let end = life.until.unwrap_or(until).min(until);
            end.duration_since((life.from - coming).max(from)).as_secs_f64().max(0.0)
        };
        let node_seconds = told.nodes.values().filter(|life| life.side == side).map(within).sum();
        let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
        for number in UNCOUNTED..UNCOUNTED + workload.ticks {
            let tick = workload.tick(first, number);
            let late = |start: &Start| start.at.duration_since(tick).as_secs_f64();
            let of_tick = told.starts.values().filter(|start| start.side == side && start.tick == tick);
            let mut late: Vec<f64> = of_tick.map(late).collect();
            late.sort_by(f64::total_cmp);
            let all = usize::try_from(workload.pods)?;
            ensure!(late.len() == all, "{}: {} of {all} pods of {tick} ran", words(side), late.len());
            firsts.extend(late.first());
            lasts.extend(late.last());
        }
        firsts.sort_by(f64::total_cmp);
        lasts.sort_by(f64::total_cmp);
        Ok(Self { side, node_seconds, first: firsts, last: lasts })
    }
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

fn most(sorted: &[f64]) -> f64 {
    sorted.last().copied().unwrap_or(f64::NAN)
}

/// Prints it; returns whether ours took no more node-seconds than either of the others.
pub(crate) fn print(
    workload: &Workload,
    told: &Told,
    first: Timestamp,
    from: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let scale = workload.scale;
    println!(
        "\n{}: every {:?}, {} pods of {:?}, one per node, nodes in {:?}; all times 1/{scale} of that and shown as they were; {} ticks\n",
        workload.name, workload.period, workload.pods, workload.item, workload.provisioning, workload.ticks
    );
    println!(
        "{:<48} | {:>12} {:>8} | {:>9} {:>6} | {:>9} {:>6}",
        "", "node-seconds", "of work", "first p50", "max", "last p50", "max"
    );
    let work = f64::from(workload.pods * workload.ticks) * workload.scaled(workload.item).as_secs_f64();
    let all: Vec<Taken> =
        SIDES.into_iter().map(|side| Taken::of(side, workload, told, first, from, until)).collect::<Result<_>>()?;
    for Taken { side, node_seconds, first, last } in &all {
        println!(
            "{:<48} | {node_seconds:>12.0} {:>8.2} | {:>9.1} {:>6.1} | {:>9.1} {:>6.1}",
            words(*side),
            node_seconds / work,
            middle(first),
            most(first),
            middle(last),
            most(last)
        );
    }
    println!();
    let mut kept = true;
    let Some((ours, others)) = all.split_first() else { return Ok(false) };
    for theirs in others {
        let is_kept = ours.node_seconds <= theirs.node_seconds;
        println!("no more node-seconds than {:<46} | {}", words(theirs.side), if is_kept { "pass" } else { "MISS" });
        kept &= is_kept;
    }
    Ok(kept)
}
