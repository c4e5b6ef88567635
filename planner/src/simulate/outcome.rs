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
    /// How long after it was due each run had ended: unlike [`Outcome::ends`] also told of pods that differ in length.
    pub done: Late,
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

    /// Up to which second it is billed.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.nodes.last().map_or(0, |(end, _)| *end)
    }

    /// Bills on up to that second: after the last event the nodes that are there stay.
    fn bill_until(&mut self, end: i64) {
        let Some((since, nodes)) = self.nodes.last().copied().filter(|(since, _)| *since < end) else { return };
        self.node_seconds += i64::from(nodes) * (end - since);
        self.nodes.push((end, nodes));
    }

    /// What it cost, at this price of a node's hour.
    #[must_use]
    pub fn cost(&self, node_hour: f64) -> f64 {
        self.node_hours() * node_hour
    }
}

/// Bills all of them up to the latest end of theirs, so that they can be compared. Returns that end.
pub fn to_one_end(outcomes: &mut [Outcome]) -> i64 {
    let end = outcomes.iter().map(Outcome::end).max().unwrap_or(0);
    outcomes.iter_mut().for_each(|outcome| outcome.bill_until(end));
    end
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
