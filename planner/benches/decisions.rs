//! How long it takes to decide who gets slots and what becomes of the nodes; see README.md.

#[path = "../../scorer/benches/clock/mod.rs"]
mod clock;
#[path = "scenes/mod.rs"]
mod scenes;
#[path = "../../scorer/benches/targets/mod.rs"]
mod targets;

use std::process::ExitCode;

use clock::thread_seconds;
use planner::need::{Unplaced, need};
use planner::pool::decide;
use planner::slots::grant;
use planner::warmth::Waiting;
use scenes::{Scene, Shape};
use targets::Targets;

/// Nodes, and items in all runs together.
const SIZES: [(u32, u32); 4] = [(100, 1_000), (200, 10_000), (1_000, 10_000), (10_000, 100_000)];
const RUNS: [u32; 2] = [20, 1_000];
/// Different scenes of each kind, and how often each is decided upon.
const SEEDS: u64 = 20;
const REPEATS: usize = 10;
/// Seconds that a decision may take.
const LIMIT: f64 = 0.05;
const USUAL: &str = "p99 with 200 nodes, 20 runs of 500 items, at most 50 ms";
const SLOTS: &str = "p99 of grant alone, at most 50 ms";
const OTHERS: &str = "p99 with up to 1,000 nodes, at most 50 ms";
/// The same with 10,000 nodes and 100,000 items.
const LARGEST_LIMIT: f64 = 0.2;
const LARGEST: &str = "p99 with 10,000 nodes, at most 200 ms";
/// How much longer it may take than n log n says, for ten times the nodes; what is quadratic would come to 7.5. It is more
/// than 1 since ten thousand nodes with their pods do not fit into the processor's cache.
const GROWTH: f64 = 3.0;
const GROWS: &str = "time / (n log n), 10,000 nodes over 1,000, at most 3";

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    println!("milliseconds of processor time; {} decisions in each row\n", SEEDS as usize * REPEATS);
    println!(
        "             nodes   items  runs | grant p50    p99 | need p50    p99 | decide p50    p99 | all p50    p99"
    );
    let mut targets = Targets::default();
    for shape in Shape::ALL {
        for runs in RUNS {
            let mut before: Option<f64> = None;
            for (nodes, items) in SIZES {
                let times = Times::of(shape, nodes, items, runs)?;
                println!(
                    "{:<10} {nodes:>7} {items:>7} {runs:>5} | {} | {} | {} | {}",
                    shape.name(),
                    row(&times.grant, 9),
                    row(&times.need, 8),
                    row(&times.decide, 10),
                    row(&times.all, 7),
                );
                let p99 = percentile(&times.all, 99);
                let shown = format!("{:.2} ms", p99 * 1e3);
                match (nodes, runs) {
                    (200, 20) => targets.at_most(USUAL, p99, LIMIT, shown),
                    (10_000, _) => targets.at_most(LARGEST, p99, LARGEST_LIMIT, shown),
                    _ => targets.at_most(OTHERS, p99, LIMIT, shown),
                }
                let granted = percentile(&times.grant, 99);
                targets.at_most(SLOTS, granted, LIMIT, format!("{:.2} ms", granted * 1e3));
                let per_n_log_n = percentile(&times.all, 50) / (f64::from(nodes) * f64::from(nodes).log2());
                if let Some(before) = before.filter(|_| nodes == 10_000) {
                    let growth = per_n_log_n / before;
                    targets.at_most(GROWS, growth, GROWTH, format!("{growth:.2}x"));
                }
                before = Some(per_n_log_n);
            }
        }
    }
    Ok(targets.verdict())
}

/// Seconds of each decision, in order of length.
#[derive(Default)]
struct Times {
    grant: Vec<f64>,
    need: Vec<f64>,
    decide: Vec<f64>,
    all: Vec<f64>,
}

impl Times {
    fn of(shape: Shape, nodes: u32, items: u32, runs: u32) -> Result<Self, String> {
        let mut times = Self::default();
        for seed in 0..SEEDS {
            let mut scene = Scene::new(shape, nodes, items, runs, seed)?;
            for _ in 0..REPEATS {
                times.measure(&mut scene);
            }
        }
        for times in [&mut times.grant, &mut times.need, &mut times.decide, &mut times.all] {
            times.sort_by(f64::total_cmp);
        }
        Ok(times)
    }

    fn measure(&mut self, scene: &mut Scene) {
        let began = thread_seconds();
        let grants = grant(&scene.demands, &scene.room);
        let granted = thread_seconds();
        let waiting = scene.demands.iter().map(|demand| {
            let slots = grants.slots.get(&demand.run).copied().unwrap_or_default();
            let pods = Unplaced { request: demand.request.clone(), pods: demand.unplaced(slots) };
            Waiting { pods, lasts: None }
        });
        scene.view.work = waiting.filter(|work| work.pods.pods > 0).collect();
        let work: Vec<_> = scene.view.work.iter().map(|work| &work.pods).collect();
        let nodes = scene.view.machines.iter().filter_map(|machine| machine.node.as_ref());
        let free: Vec<_> = nodes.map(|node| &node.free).collect();
        let prepared = thread_seconds();
        let needed = need(&work, &free, scene.room.capacity.as_ref(), scene.room.max_nodes);
        let asked = thread_seconds();
        let decision = decide(&scene.view);
        let decided = thread_seconds();
        std::hint::black_box((needed, decision));
        self.grant.push(granted - began);
        self.need.push(asked - prepared);
        self.decide.push(decided - asked);
        // The pool asks for the need itself.
        self.all.push(granted - began + decided - asked);
    }
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn row(sorted: &[f64], width: usize) -> String {
    format!("{:>width$.3} {:>6.2}", percentile(sorted, 50) * 1e3, percentile(sorted, 99) * 1e3)
}
