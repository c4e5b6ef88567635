//! What is counted of each pool.

use std::collections::HashMap;
use std::time::Duration;

use crds::ScoringClusterStatus;
use planner::cost::Sums;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::aks::Kind;

/// The label of all of them: the ScoringCluster's name.
const CLUSTER: &str = "cluster";

/// An operation on an agent pool.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// A PUT of the pool.
    Put,
    /// A deleteMachines.
    DeleteMachines,
}

/// What a look decides, by what it has seen.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    /// Which run has how many slots.
    Slots,
    /// What to do about the pool's nodes.
    Nodes,
}

/// The metrics of pools. Cheap to clone: every part is shared.
#[derive(Clone, Debug)]
pub struct PoolMetrics {
    nodes: IntGaugeVec,
    slots: IntGaugeVec,
    decisions: HistogramVec,
    operations: IntCounterVec,
    errors: IntCounterVec,
    node_seconds: IntCounterVec,
    cost: GaugeVec,
}

impl PoolMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// When one of these names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauges = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &[CLUSTER, "state"]);
        // A decision is to take less than 50 ms.
        let seconds = vec![0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0];
        let decision =
            HistogramOpts::new("pool_decision_seconds", "Time of one decision, from the caches to the answer");
        let metrics = Self {
            decisions: HistogramVec::new(decision.buckets(seconds), &[CLUSTER, "decision"])?,
            nodes: gauges("pool_nodes", "Nodes of a pool, by state")?,
            slots: gauges("pool_slots", "Slots of a pool: given to runs, and waited for")?,
            operations: IntCounterVec::new(
                Opts::new("pool_operations_total", "Operations asked of an agent pool, by what was answered"),
                &[CLUSTER, "operation", "result"],
            )?,
            errors: IntCounterVec::new(
                Opts::new("pool_errors_total", "Requests that Azure did not do, and operations that failed, by reason"),
                &[CLUSTER, "reason"],
            )?,
            node_seconds: IntCounterVec::new(
                Opts::new(
                    "pool_node_seconds_total",
                    "Node-seconds of a pool, by whether a pod of a run was on the node",
                ),
                &[CLUSTER, "use"],
            )?,
            cost: GaugeVec::new(
                Opts::new(
                    "pool_month_cost",
                    "What the nodes of a pool cost this month so far, in the currency of its price",
                ),
                &[CLUSTER],
            )?,
        };
        registry.register(Box::new(metrics.node_seconds.clone()))?;
        registry.register(Box::new(metrics.cost.clone()))?;
        registry.register(Box::new(metrics.nodes.clone()))?;
        registry.register(Box::new(metrics.slots.clone()))?;
        registry.register(Box::new(metrics.decisions.clone()))?;
        registry.register(Box::new(metrics.operations.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        Ok(metrics)
    }

    /// Takes over what a look has found.
    pub fn seen(&self, cluster: &str, status: &ScoringClusterStatus) {
        let nodes = &status.nodes;
        for (state, count) in [
            ("desired", nodes.desired),
            ("provisioning", nodes.provisioning),
            ("ready", nodes.ready),
            ("busy", nodes.busy),
            ("idle", nodes.idle),
            ("draining", nodes.draining),
            ("lost", nodes.lost),
        ] {
            self.nodes.with_label_values(&[cluster, state]).set(count.into());
        }
        match status.cost.as_ref().and_then(|told| told.cost) {
            Some(cost) => self.cost.with_label_values(&[cluster]).set(cost.to_f64()),
            // Without a price there is none; that there was none before is no error.
            None => drop(self.cost.remove_label_values(&[cluster])),
        }
        for (state, count) in [("given", status.slots.given), ("waiting", status.slots.waiting)] {
            self.slots.with_label_values(&[cluster, state]).set(count.into());
        }
    }

    /// A decision was made, from what the caches hold, which took so long; nothing was asked of a server meanwhile.
    pub fn decided(&self, cluster: &str, decision: Decision, took: Duration) {
        let decision = match decision {
            Decision::Slots => "Slots",
            Decision::Nodes => "Nodes",
        };
        self.decisions.with_label_values(&[cluster, decision]).observe(took.as_secs_f64());
    }

    /// An operation was asked for: accepted, or refused as this kind.
    pub fn asked(&self, cluster: &str, operation: Operation, refused: Option<Kind>) {
        let operation = match operation {
            Operation::Put => "Put",
            Operation::DeleteMachines => "DeleteMachines",
        };
        let result = refused.map_or("Accepted", Kind::reason);
        self.operations.with_label_values(&[cluster, operation, result]).inc();
    }

    /// Node time was reckoned.
    pub fn spent(&self, cluster: &str, added: Sums) {
        for (used, time) in [("busy", added.all.less(added.idle)), ("idle", added.idle)] {
            self.node_seconds.with_label_values(&[cluster, used]).inc_by(time.as_secs());
        }
    }

    /// Something did not work.
    pub fn failed(&self, cluster: &str, kind: Kind) {
        self.errors.with_label_values(&[cluster, kind.reason()]).inc();
    }

    /// Forgets clusters that are gone, so that their last numbers are not told for ever.
    pub fn retain(&self, clusters: &[&str]) {
        retain(&self.nodes, clusters);
        retain(&self.slots, clusters);
        retain(&self.decisions, clusters);
        retain(&self.operations, clusters);
        retain(&self.errors, clusters);
        retain(&self.node_seconds, clusters);
        retain(&self.cost, clusters);
    }
}

fn retain<T: MetricVecBuilder>(metrics: &MetricVec<T>, clusters: &[&str]) {
    for family in metrics.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> = metric.get_label().iter().map(|l| (l.name(), l.value())).collect();
            if labels.get(CLUSTER).is_some_and(|cluster| !clusters.contains(cluster)) {
                // It was there a moment ago; if somebody else removed it, all the better.
                let _ = metrics.remove(&labels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::cluster::{NodeCounts, SlotCounts};

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_pool_tells_its_nodes_slots_operations_and_errors_until_it_is_gone() {
        let metrics = Metrics::new().unwrap();
        let cost = serde_json::json!({"month": "2026-11", "nodeSeconds": 9, "idleNodeSeconds": 0, "cost": "12.5",
            "asOf": "2026-11-10T00:00:00Z"});
        let cost = serde_json::from_value(cost).unwrap();
        let status = ScoringClusterStatus {
            nodes: NodeCounts { desired: 3, ready: 2, ..NodeCounts::default() },
            slots: SlotCounts { given: 8, waiting: 4, total: Some(8) },
            cost: Some(cost),
            ..ScoringClusterStatus::default()
        };
        metrics.pools.seen("cpu", &status);
        metrics.pools.decided("cpu", Decision::Slots, Duration::from_millis(7));
        metrics.pools.asked("cpu", Operation::Put, None);
        metrics.pools.asked("cpu", Operation::DeleteMachines, Some(Kind::Busy));
        metrics.pools.failed("gpu", Kind::Quota);
        let spent = |secs| planner::cost::NodeTime::from_secs(secs);
        metrics.pools.spent("cpu", Sums { all: spent(90), idle: spent(30) });
        metrics.pools.spent("cpu", Sums { all: spent(10), idle: spent(0) });
        let text = metrics.text().unwrap();
        for line in [
            r#"batchscoring_pool_nodes{cluster="cpu",state="desired"} 3"#,
            r#"batchscoring_pool_nodes{cluster="cpu",state="idle"} 0"#,
            r#"batchscoring_pool_slots{cluster="cpu",state="waiting"} 4"#,
            r#"batchscoring_pool_decision_seconds_bucket{cluster="cpu",decision="Slots",le="0.005"} 0"#,
            r#"batchscoring_pool_decision_seconds_bucket{cluster="cpu",decision="Slots",le="0.01"} 1"#,
            r#"batchscoring_pool_operations_total{cluster="cpu",operation="Put",result="Accepted"} 1"#,
            r#"batchscoring_pool_operations_total{cluster="cpu",operation="DeleteMachines",result="OperationInProgress"} 1"#,
            r#"batchscoring_pool_errors_total{cluster="gpu",reason="QuotaExceeded"} 1"#,
            r#"batchscoring_pool_node_seconds_total{cluster="cpu",use="busy"} 70"#,
            r#"batchscoring_pool_node_seconds_total{cluster="cpu",use="idle"} 30"#,
            r#"batchscoring_pool_month_cost{cluster="cpu"} 12.5"#,
        ] {
            assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
        }
        metrics.pools.retain(&["gpu"]);
        let text = metrics.text().unwrap();
        assert!(!text.contains(r#"cluster="cpu""#) && text.contains(r#"cluster="gpu""#), "{text}");
    }
}
