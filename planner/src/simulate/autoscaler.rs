//! The Kubernetes cluster-autoscaler at its defaults, as its documentation describes it.
//!
//! Every ten seconds it looks. Pods that no node has room for make it take as many nodes in as they need; nodes that are on
//! their way count. A node that is not needed for ten minutes goes, but none within ten minutes after nodes were taken in.
//! Of nodes below half of their utilisation the pods would be moved; batch pods forbid that (`safe-to-evict: "false"`), so
//! only a node without pods is not needed. It knows nothing of ticks. Unlike AKS' agentPools API it may do several things at
//! a time.

use jiff::Timestamp;

use super::Controller;
use super::cluster::{Cluster, clock};
use crate::need::{Unplaced, need};

/// `--scan-interval`.
const SCAN: i64 = 10;
/// `--scale-down-unneeded-time`.
const UNNEEDED: i64 = 600;
/// `--scale-down-delay-after-add`.
const AFTER_ADD: i64 = 600;
/// `--max-empty-bulk-delete`.
const AT_ONCE: usize = 10;

/// Its state.
#[derive(Debug, Default)]
pub(super) struct Autoscaler {
    added: Option<i64>,
}

impl Controller for Autoscaler {
    fn look(&mut self, cluster: &mut Cluster) -> Option<i64> {
        let now = cluster.now;
        let scan = (now + SCAN - 1) / SCAN * SCAN;
        if scan > now {
            let idle = cluster.machines.iter().any(|m| !m.leaving && m.node.as_ref().is_some_and(|node| !node.busy));
            return (idle || !cluster.pending.is_empty()).then_some(scan);
        }
        if !cluster.pending.is_empty() {
            self.grow(cluster);
        }
        let cool = self.added.map_or(now, |added| added + AFTER_ADD);
        let idle_since = |since: Option<Timestamp>| since.map(|since| since.duration_since(clock(0)).as_secs());
        let mut due: Vec<(i64, String)> = Vec::new();
        for machine in cluster.machines.iter().filter(|machine| !machine.leaving) {
            let since = machine.node.as_ref().filter(|node| !node.busy).and_then(|node| idle_since(node.idle_since));
            due.extend(since.map(|since| ((since + UNNEEDED).max(cool), machine.name.clone())));
        }
        let stay = usize::try_from(cluster.setting.min_nodes).unwrap_or(usize::MAX);
        let may = cluster.machines.iter().filter(|machine| !machine.leaving).count().saturating_sub(stay);
        let next = due.iter().map(|(at, _)| *at).filter(|at| *at > now).min();
        let go: Vec<String> = due.into_iter().filter(|(at, _)| *at <= now).map(|(_, name)| name).collect();
        let more = go.len() > AT_ONCE.min(may);
        let go = &go[..go.len().min(AT_ONCE).min(may)];
        if !go.is_empty() {
            // A node that is deleted takes no pods.
            cluster.cordon(go, true);
            cluster.shrink(go);
        }
        let again = (more && may > AT_ONCE || !cluster.pending.is_empty()).then_some(now + SCAN);
        let next = next.map(|at| (at + SCAN - 1) / SCAN * SCAN);
        [next, again].into_iter().flatten().min()
    }
}

impl Autoscaler {
    fn grow(&mut self, cluster: &mut Cluster) {
        let mut work: Vec<Unplaced> = Vec::new();
        for (kind, pods) in cluster.pending.by_kind() {
            let request = cluster.request(kind);
            match work.iter_mut().find(|work| work.request == *request) {
                Some(work) => work.pods += pods,
                None => work.push(Unplaced { request: request.clone(), pods }),
            }
        }
        // Pods are pending because no node that is there has room: only those on their way have.
        let coming = cluster.machines.iter().filter(|machine| machine.node.is_none() && !machine.leaving).count();
        let capacity = cluster.setting.capacity.clone();
        let (work, room): (Vec<_>, Vec<_>) = (work.iter().collect(), vec![&capacity; coming]);
        let there = u32::try_from(cluster.machines.len()).unwrap_or(u32::MAX);
        let new = need(&work, &room, Some(&capacity), cluster.setting.max_nodes.saturating_sub(there)).new;
        if new > 0 {
            cluster.grow(new);
            self.added = Some(cluster.now);
        }
    }
}
