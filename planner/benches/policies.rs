//! What each policy makes of each demand: node-hours, lateness, operations. Ends with an error where the planner misses
//! what it promises.

#[path = "../tests/policies/workloads.rs"]
mod workloads;

use std::process::ExitCode;
use std::time::Instant;

use planner::simulate::Late;
use workloads::{DAY, Results, all};

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let days: i64 = std::env::var("DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(30);
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(42);
    println!("{days} days, seed {seed}; node-hours, and starts and ends in seconds late: p50/p90/p95/max\n");
    println!(
        "| demand | nodes come in | optimum | one at a time | planner | of optimum | of one at a time | autoscaler | on demand | always on \
         | starts | always on | autoscaler | ends | always on | PUTs | deletes | took | |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|---|---|---|--:|--:|--:|---|");
    let mut missed = 0;
    for provisioning in [30.0, 120.0, 300.0, 900.0] {
        for workload in all(provisioning, days * DAY) {
            if !only.is_empty() && !only.iter().any(|only| workload.name.contains(only.as_str())) {
                continue;
            }
            let start = Instant::now();
            let results = workload.run(seed);
            let took = start.elapsed().as_secs_f64();
            let misses = workload.misses(&results);
            let verdict = match misses.is_empty() {
                false => format!("MISS: {}", misses.join("; ")),
                true if workload.is_held_up(&results) => "pass; held up by operations".to_owned(),
                true if workload.half_is_impossible(&results) => "pass; half is impossible".to_owned(),
                true => "pass".to_owned(),
            };
            missed += misses.len();
            println!("{}", row(workload.name, provisioning, &results, took, &verdict));
        }
    }
    println!("\n{missed} missed");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(name: &str, provisioning: f64, results: &Results, took: f64, verdict: &str) -> String {
    let Results { ours, always, autoscaler, on_demand, best } = results;
    let late = |late: Late| format!("{}/{}/{}/{}", late.p50, late.p90, late.p95, late.most);
    let cells = [
        name.to_owned(),
        format!("{provisioning} s"),
        format!("{:.0}", hours(best.free)),
        format!("{:.0}", hours(best.one_at_a_time)),
        format!("{:.0}", ours.node_hours()),
        format!("{:.1} %", 100.0 * ours.node_hours() / hours(best.free)),
        format!("{:.1} %", 100.0 * ours.node_hours() / hours(best.one_at_a_time)),
        format!("{:.0}", autoscaler.node_hours()),
        format!("{:.0}", on_demand.node_hours()),
        format!("{:.0}", always.node_hours()),
        late(ours.starts),
        late(always.starts),
        late(autoscaler.starts),
        late(ours.ends),
        late(always.ends),
        ours.puts.to_string(),
        ours.deletes.to_string(),
        format!("{took:.1} s, {} decisions", ours.decisions),
        verdict.to_owned(),
    ];
    format!("| {} |", cells.join(" | "))
}

#[expect(clippy::cast_precision_loss, reason = "to be read")]
fn hours(seconds: i64) -> f64 {
    seconds as f64 / 3_600.0
}
