//! What a simulation tells.

use serde::Serialize;

/// What a policy did with a demand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Seconds for which machines were billed, all of them together.
    pub node_seconds: i64,
    /// How long after it was due each run's first pod started, in seconds.
    pub starts: Late,
    /// How long after it would have ended at best each run ended: started when it was due, with all pods at once.
    pub ends: Late,
    /// Operations that took machines in: PUTs of the agent pool. Those that only write the count down do not count.
    pub puts: u32,
    /// Operations that deleted machines.
    pub deletes: u32,
    /// Pods that were killed.
    pub killed: u32,
    /// The most machines there were.
    pub most_nodes: u32,
    /// How many machines were billed from which second on.
    pub nodes: Vec<(i64, u32)>,
    /// How often it was decided.
    pub decisions: u64,
}

impl Outcome {
    /// Node-hours.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 node-seconds are 285 million node-years")]
    pub fn node_hours(&self) -> f64 {
        self.node_seconds as f64 / 3_600.0
    }

    /// What it cost, at this price of a node's hour.
    #[must_use]
    pub fn cost(&self, node_hour: f64) -> f64 {
        self.node_hours() * node_hour
    }
}

/// How late things were, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Late {
    /// Half were no later.
    pub p50: i64,
    /// Nine of ten.
    pub p90: i64,
    /// 95 of a hundred.
    pub p95: i64,
    /// None was later.
    pub most: i64,
}

impl Late {
    /// Of all of these; the nearest rank.
    #[must_use]
    pub fn of(mut all: Vec<i64>) -> Self {
        all.sort_unstable();
        let rank = |percent: usize| all.get((all.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0);
        Self { p50: rank(50), p90: rank(90), p95: rank(95), most: rank(100) }
    }
}
