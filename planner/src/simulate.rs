//! What a policy would do with a demand, before anyone pays for it: the planner's own decisions under a virtual clock.
//!
//! Everything that is not decided by the planner is a small model of its own: machines that take as long to come as drawn,
//! an agent pool with one operation at a time, a scheduler, pods. It goes from event to event, so that a month of a thousand
//! schedules takes seconds. The same seed gives the same outcome.

mod autoscaler;
mod backlog;
mod cluster;
pub mod compare;
mod delimited;
mod demand;
mod dice;
mod optimum;
mod ours;
mod outcome;
pub mod plot;
mod recurring;
pub mod report;
mod requests;
pub mod trace;
pub mod vm;

use cluster::Cluster;

pub use demand::{Demand, Job, Shape};
pub use dice::{Dice, Spread};
pub use optimum::{Best, Costs, uses_of};
pub use outcome::{Late, Outcome, to_one_end};
pub use recurring::{MAX_RUNS, Recurring, Ticked, TooManyRuns};
pub use requests::{RequestPrice, StoreRequests, StoreUse};

use crate::capacity::Resources;
use crate::warmth::{Policy, Prewarm};

/// From when on a machine is billed. It is until it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    /// From the PUT that asked for it.
    FromPut,
    /// From when its node is Ready.
    FromReady,
}

/// The world that all policies live in. Times are seconds.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What an empty node has for pods.
    pub capacity: Resources,
    /// The most nodes.
    pub max_nodes: u32,
    /// Nodes that are always there.
    pub min_nodes: u32,
    /// How long machines take to come.
    pub provisioning: Spread,
    /// How long a deletion takes.
    pub deletion: i64,
    /// From when on machines are billed.
    pub billed: Billed,
    /// The agent pool's count falls by itself after a deletion.
    pub count_falls: bool,
    /// From the tick to the run's slots: planning.
    pub planning: i64,
    /// From a pod's node to its first work.
    pub pod_start: i64,
}

impl Setting {
    /// Nodes with this capacity that take this long to come, half of them, and up to 1.28 times as long, 95 of a hundred.
    #[must_use]
    pub fn new(capacity: Resources, max_nodes: u32, provisioning: f64) -> Self {
        Self {
            capacity,
            max_nodes,
            min_nodes: 0,
            provisioning: Spread { median: provisioning, sigma: 0.15 },
            deletion: 30,
            billed: Billed::FromPut,
            count_falls: false,
            planning: 5,
            pod_start: 2,
        }
    }
}

/// Who decides on the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// [`crate::pool::decide`].
    Ours {
        /// When idle nodes go.
        policy: Policy,
        /// How long before ticks nodes are asked for.
        prewarm: Prewarm,
    },
    /// So many nodes are always there.
    AlwaysOn(u32),
    /// The Kubernetes cluster-autoscaler at its defaults.
    ClusterAutoscaler,
}

impl Model {
    /// What is done where nothing else is said.
    pub const DEFAULT: Self = Self::Ours { policy: Policy::BreakEven, prewarm: Prewarm::Auto };
}

/// Looks at the cluster and acts.
trait Controller {
    /// Looks, and says when to look again if nothing happens before.
    fn look(&mut self, cluster: &mut Cluster) -> Option<i64>;
}

/// Lives through all of the demand and tells what became of it. The jobs are in the order of time.
#[must_use]
pub fn simulate(setting: &Setting, demand: &Demand, model: Model, dice: Dice) -> Outcome {
    live(setting, demand, model, dice, &mut |_| {}).0
}

/// The same, and tells each second up to which it has come.
#[must_use]
pub fn simulate_telling(
    setting: &Setting,
    demand: &Demand,
    model: Model,
    dice: Dice,
    tell: &mut dyn FnMut(i64),
) -> Outcome {
    live(setting, demand, model, dice, tell).0
}

fn live(
    setting: &Setting,
    demand: &Demand,
    model: Model,
    dice: Dice,
    tell: &mut dyn FnMut(i64),
) -> (Outcome, Vec<(u32, i64, i64)>) {
    let mut cluster = Cluster::new(setting.clone(), demand, dice);
    cluster.start_with(if let Model::AlwaysOn(nodes) = model { nodes } else { setting.min_nodes });
    let mut controller: Box<dyn Controller> = match model {
        Model::Ours { policy, prewarm } => Box::new(ours::Ours::new(setting, demand, policy, prewarm)),
        Model::AlwaysOn(_) => Box::new(Idle),
        Model::ClusterAutoscaler => Box::new(autoscaler::Autoscaler::default()),
    };
    let mut jobs = demand.jobs.iter().peekable();
    let mut look = Some(0);
    let mut decisions = 0_u64;
    let mut now = 0;
    loop {
        let due = jobs.peek().map(|job| job.at + setting.planning);
        let Some(next) = [due, cluster.next(), look].into_iter().flatten().min() else { break };
        now = next.max(now);
        tell(now);
        let mut matters = cluster.happen(now) || look.is_some_and(|at| at <= now);
        while let Some(job) = jobs.next_if(|job| job.at + setting.planning <= now) {
            cluster.admit(*job);
            matters = true;
        }
        cluster.schedule();
        if matters {
            decisions += 1;
            look = controller.look(&mut cluster).map(|at| at.max(now + 1));
            // A node that takes pods again does so at once.
            cluster.schedule();
        }
    }
    let (mut outcome, uses) = cluster.outcome(demand.end.max(now));
    outcome.decisions = decisions;
    (outcome, uses)
}

/// Nobody decides anything.
struct Idle;

impl Controller for Idle {
    fn look(&mut self, _: &mut Cluster) -> Option<i64> {
        None
    }
}

#[cfg(test)]
mod tests;
