//! Sixteen demands, from one hourly schedule to a thousand, and what a policy has to make of them.

use planner::capacity::Resources;
use planner::simulate::{Best, Costs, Demand, Dice, Model, Outcome, Setting, Shape, simulate, uses_of};
use planner::warmth::{Policy, Prewarm};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;

/// A demand, and where it lives.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) setting: Setting,
    pub(crate) demand: Demand,
    /// Ticks foretell all of it.
    pub(crate) known: bool,
    /// Hourly runs of up to five minutes: at most half of what the cluster-autoscaler takes.
    pub(crate) hourly: bool,
}

#[expect(clippy::expect_used, reason = "they are written here")]
fn resources(amounts: &[(&str, &str)]) -> Resources {
    Resources::parse(amounts.iter().copied()).expect("quantities")
}

fn shape(cpu: &str, pods: u32, lasts: i64) -> Shape {
    Shape { request: resources(&[("cpu", cpu), ("memory", "1Gi")]), pods, lasts, spread: 10 }
}

/// All of them, for so many seconds, with machines that take this long to come.
pub(crate) fn all(provisioning: f64, length: i64) -> Vec<Workload> {
    let node = resources(&[("cpu", "4"), ("memory", "16Gi"), ("pods", "110")]);
    let setting = |max| Setting::new(node.clone(), max, provisioning);
    let mut workloads = Vec::new();
    let mut add = |name, max, known, hourly, fill: &dyn Fn(&mut Demand, &mut Dice)| {
        let (mut demand, mut dice) = (Demand::lasting(length), Dice::new(7));
        fill(&mut demand, &mut dice);
        workloads.push(Workload { name, setting: setting(max), demand: demand.sorted(), known, hourly });
    };
    let break_even = setting(1).provisioning.p95() + 33;

    add("hourly, 3 min", 50, true, true, &|demand, dice| {
        demand.every(HOUR, HOUR, 0, &shape("1", 40, 3 * MINUTE), dice);
    });
    add("hourly, 5 min", 50, true, true, &|demand, dice| {
        demand.every(HOUR, HOUR, 0, &shape("1", 40, 5 * MINUTE), dice);
    });
    add("every 5 min", 50, true, false, &|demand, dice| {
        demand.every(HOUR, 5 * MINUTE, 0, &shape("1", 8, MINUTE), dice);
    });
    add("1,000 schedules", 400, true, false, &|demand, dice| {
        for number in 0..1_000 {
            let period = match number % 20 {
                0 => 5 * MINUTE,
                1..4 => 15 * MINUTE,
                4..14 => HOUR,
                14..17 => 6 * HOUR,
                _ => DAY,
            };
            let first = HOUR + MINUTE * dice.below(period / MINUTE);
            let pods = u32::try_from(1 + dice.below(3)).unwrap_or(1);
            let lasts = 30 + dice.below(270);
            demand.every(first, period, 0, &shape("1", pods, lasts), dice);
        }
    });
    add("bursts", 110, true, false, &|demand, dice| {
        demand.every(HOUR, HOUR, 0, &shape("1", 4, 2 * MINUTE), dice);
        demand.every(HOUR + 600, 6 * HOUR, 0, &shape("1", 400, 4 * MINUTE), dice);
    });
    add("longer than the period", 50, true, false, &|demand, dice| {
        demand.every(HOUR, 10 * MINUTE, 0, &shape("1", 4, 25 * MINUTE), dice);
    });
    add("by hand, two hours apart", 50, false, false, &|demand, dice| {
        demand.by_hand(7_200.0, &shape("1", 8, 3 * MINUTE), dice);
    });
    add("by hand, break-even apart", 50, false, false, &|demand, dice| {
        demand.by_hand(f64::from(i32::try_from(break_even).unwrap_or(1)) + 180.0, &shape("1", 8, 3 * MINUTE), dice);
    });
    add("hourly and by hand", 50, false, false, &|demand, dice| {
        demand.every(HOUR, HOUR, 0, &shape("1", 16, 3 * MINUTE), dice);
        demand.by_hand(5_400.0, &shape("1", 8, 3 * MINUTE), dice);
    });
    add("pods of several sizes", 50, true, false, &|demand, dice| {
        for (cpu, pods, lasts) in [("500m", 20, 120), ("1", 12, 240), ("3", 5, 180)] {
            demand.every(HOUR, HOUR, 0, &shape(cpu, pods, lasts), dice);
        }
    });
    add("nightly", 60, true, false, &|demand, dice| {
        demand.every(2 * HOUR, DAY, 0, &shape("1", 200, HOUR), dice);
    });
    add("hourly with jitter", 60, true, false, &|demand, dice| {
        for _ in 0..100 {
            demand.every(HOUR, HOUR, 10 * MINUTE, &shape("1", 2, 2 * MINUTE), dice);
        }
    });
    add("two loads near the maximum", 20, true, false, &|demand, dice| {
        demand.every(HOUR, 2 * HOUR, 0, &shape("1", 48, 15 * MINUTE), dice);
        demand.every(HOUR + 600, 2 * HOUR, 0, &shape("1", 40, 15 * MINUTE), dice);
    });
    for (name, percent) in [("gaps of 80 % of break-even", 80), ("gaps of 130 % of break-even", 130)] {
        add(name, 50, true, false, &|demand, dice| {
            demand.every(HOUR, 5 * MINUTE + break_even * percent / 100, 0, &shape("1", 16, 5 * MINUTE), dice);
        });
    }
    add("weekly peaks", 220, true, false, &|demand, dice| {
        demand.every(HOUR, HOUR, 0, &shape("1", 12, 2 * MINUTE), dice);
        demand.every(8 * HOUR, 7 * DAY, 0, &shape("1", 800, 30 * MINUTE), dice);
    });
    workloads
}

/// What each model made of a workload.
pub(crate) struct Results {
    pub(crate) ours: Outcome,
    pub(crate) always: Outcome,
    pub(crate) autoscaler: Outcome,
    /// The planner without ticks: nodes are asked for when work waits, and go a minute after it.
    pub(crate) on_demand: Outcome,
    pub(crate) best: Best,
}

impl Workload {
    pub(crate) fn run(&self, seed: u64) -> Results {
        let run = |model| simulate(&self.setting, &self.demand, model, Dice::new(seed));
        let uses = uses_of(&self.setting, &self.demand);
        let peak = u32::try_from(uses.len()).unwrap_or(u32::MAX);
        let after = Policy::After(jiff::SignedDuration::from_secs(60));
        Results {
            ours: run(Model::DEFAULT),
            always: run(Model::AlwaysOn(peak)),
            autoscaler: run(Model::ClusterAutoscaler),
            on_demand: run(Model::Ours { policy: after, prewarm: Prewarm::Off }),
            best: Costs::of(&self.setting).best(&uses),
        }
    }

    /// What does not hold.
    pub(crate) fn misses(&self, results: &Results) -> Vec<String> {
        let Results { ours, always, autoscaler, on_demand, best } = results;
        let mut misses = Vec::new();
        let most = if self.known { 110 } else { 200 };
        let optimum = if self.is_held_up(results) { best.one_at_a_time } else { best.free };
        if ours.node_seconds > optimum * most / 100 {
            misses.push(format!("{} node-seconds are over {most} % of {optimum}", ours.node_seconds));
        }
        if self.known && ours.starts.p90 > always.starts.p90 {
            misses.push(format!("starts are {} s late, not {}", ours.starts.p90, always.starts.p90));
        }
        if self.hourly && !self.half_is_impossible(results) && ours.node_seconds * 2 > autoscaler.node_seconds {
            misses.push(format!("{} node-seconds are over half of {}", ours.node_seconds, autoscaler.node_seconds));
        }
        let killed = ours.killed + on_demand.killed;
        if killed > 0 {
            misses.push(format!("{killed} pods were killed"));
        }
        misses
    }

    /// That operations go one at a time costs so much that 110 % of the optimum without that limit cannot be.
    pub(crate) fn is_held_up(&self, results: &Results) -> bool {
        self.known && results.ours.node_seconds * 10 > results.best.free * 11
    }

    /// Not even the optimum takes half of what the cluster-autoscaler takes.
    pub(crate) fn half_is_impossible(&self, results: &Results) -> bool {
        self.hourly && results.best.free * 2 > results.autoscaler.node_seconds
    }
}
