//! What people see of a pool whose nodes are somebody else's.

use jiff::SignedDuration;
use planner::capacity::Resources;
use planner::pool::{Lost, Machine, Node, PoolDecision, PoolView};

use super::hold;
use crate::cluster::cost::EXCEEDED;
use crate::cluster::report::{NODES_LOST, Report};
use crate::cluster::{PoolNodes, too_large};
use crate::conditions::Conditions;

/// How long work waits without any node until the pool is not ready: whoever scales it needs some minutes for the first.
const NOBODY_COMES: SignedDuration = SignedDuration::from_mins(5);
/// The selector matches no node.
const NO_NODES: &str = "NoNodes";

/// Sets `Ready`, `Scaling` and `Degraded`.
pub(in crate::cluster) fn conditions(report: &Report<'_>, conditions: &mut Conditions) {
    let told = report.pool.map(|(view, decision)| Told { report, view, decision, pool: PoolNodes::of(report.cluster) });
    let Some(told) = told else {
        if let Some(refusal) = report.refusal {
            conditions.set("Ready", false, refusal.reason, refusal.message.clone());
            conditions.set("Degraded", true, refusal.reason, refusal.message.clone());
        }
        conditions.set("Scaling", false, "NotKnown", "the pool is not looked at");
        return;
    };
    let (is, reason, message) = told.ready();
    conditions.set("Ready", is, reason, message);
    let (is, reason, message) = told.scaling();
    conditions.set("Scaling", is, reason, message);
    match told.degraded() {
        Some((reason, message)) => conditions.set("Degraded", true, reason, message),
        None => conditions.set("Degraded", false, "AsExpected", ""),
    };
}

struct Told<'a> {
    report: &'a Report<'a>,
    view: &'a PoolView,
    decision: &'a PoolDecision,
    pool: PoolNodes,
}

impl Told<'_> {
    fn ready(&self) -> (bool, &'static str, String) {
        let spec = &self.report.cluster.spec;
        if hold::deleted(self.report.cluster).is_some() {
            return (false, "Deleting", "no run gets more slots; nodes are left to whose they are".to_owned());
        }
        let since = self.report.memory.external.without_nodes;
        if since.is_some_and(|since| self.view.now.duration_since(since) >= NOBODY_COMES) {
            return (false, NO_NODES, self.no_nodes());
        }
        if spec.paused {
            return (true, "Paused", "no new slots are given while spec.paused is true".to_owned());
        }
        if self.report.memory.cost.paused(self.report.cluster, self.report.now) {
            return (true, "Paused", "no new slots are given; see Degraded".to_owned());
        }
        let message =
            format!("up to {} nodes with {} are used; adding and removing them is not ours", spec.max_nodes, self.pool);
        (true, "PoolReady", message)
    }

    fn scaling(&self) -> (bool, &'static str, String) {
        let unplaced: u32 = self.view.work.iter().map(|work| work.pods.pods).sum();
        let nodes = self.view.machines.iter().filter_map(|machine| machine.node.as_ref());
        let nodes: Vec<&Node> = nodes.filter(|node| node.ready.is_ready() && !node.cordoned).collect();
        let (ready, desired) = (nodes.len(), self.decision.desired);
        let room = |pod: &Resources| nodes.iter().fold(0_u32, |room, node| room.saturating_add(node.free.fits(pod)));
        let short = self.view.work.iter().any(|work| work.pods.pods > room(&work.pods.request));
        match () {
            () if self.report.memory.external.without_nodes.is_some() => (true, NO_NODES, self.no_nodes()),
            () if short => {
                let message = format!(
                    "{unplaced} pods wait, for which {ready} nodes have no room: there is work for {desired}. Whoever owns \
                     them is to add some; where nobody does, set maxNodes to how many there are"
                );
                (true, "WaitingForNodes", message)
            }
            () => (false, "NotOurs", format!("there is work for {desired} nodes, and {ready} take pods")),
        }
    }

    fn degraded(&self) -> Option<(&'static str, String)> {
        let has_pods = |machine: &&&Machine| machine.node.as_ref().is_some_and(|node| node.busy);
        let lost = Lost::of(self.view);
        let lost: Vec<&str> = lost.machines.iter().filter(has_pods).map(|machine| machine.name.as_str()).collect();
        if let Some(name) = lost.first() {
            let more = if lost.len() > 1 { format!(", and {} more", lost.len() - 1) } else { String::new() };
            let message = format!(
                "node {name}{more}: not Ready for so long that its pods should be elsewhere. It is not ours to give up: \
                 they are replaced when it is Ready again, or when its Node is gone. If its machine is gone for good: \
                 kubectl delete node {name}"
            );
            return Some((NODES_LOST, message));
        }
        if let Some(spent) = self.report.memory.cost.exceeded(self.report.cluster, self.report.now) {
            return Some((EXCEEDED, spent.message));
        }
        if let Some(run) = self.report.grants.too_large.first() {
            return Some((too_large::REASON, too_large::sentence(run)));
        }
        self.report.memory.external.refused.clone().map(|why| ("PlaceholdersRefused", why))
    }

    fn no_nodes(&self) -> String {
        format!(
            "work waits, and no node that scorer pods may be on has the labels {}. Where cluster-autoscaler or Karpenter own \
             the nodes, look whether a node group or NodePool makes such nodes; else label some: kubectl label node NAME {}",
            self.pool,
            self.pool.to_string().replace(',', " ")
        )
    }
}

#[cfg(test)]
mod tests {
    use crds::{Condition, ScoringCluster};
    use jiff::Timestamp;
    use planner::bucket::{Bucket, Rate};
    use planner::need::Unplaced;
    use planner::pool::{LATER, Readiness};
    use planner::provisioning::Measured;
    use planner::slots::Grants;
    use planner::warmth::{Policy, Prewarm, Waiting};
    use serde_json::json;

    use super::*;
    use crate::cluster::memory::Memory;
    use crate::cluster::report::Refusal;
    use crate::conditions::find;

    fn cpu(cores: &str) -> Resources {
        Resources::parse([("cpu", cores)]).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn machine(name: &str, ready: Readiness, busy: bool) -> Machine {
        let node = Node {
            ready,
            since: at(-600),
            joining: false,
            out_of_service: None,
            cordoned: false,
            draining_since: None,
            busy,
            busy_until: None,
            ends: Vec::new(),
            idle_since: None,
            unforeseen: false,
            free: cpu("2"),
        };
        let (name, node) = (name.to_owned(), Some(node));
        Machine { name, listed: true, seen: at(-600), leaving: false, node, node_gone: None }
    }

    /// Six pods wait.
    fn view(machines: Vec<Machine>) -> PoolView {
        let pods = Unplaced { request: cpu("1"), pods: 6 };
        PoolView {
            now: at(0),
            min: 0,
            max: 3,
            paused: false,
            policy: Policy::Never,
            prewarm: Prewarm::Off,
            measured: Measured::default(),
            expected: Vec::new(),
            count: 0,
            running: false,
            tainted: true,
            machines,
            capacity: None,
            work: vec![Waiting { pods, lasts: None }],
            puts: Bucket::full(Rate::PUT, at(0)),
            back_off: planner::pool::BackOff::default(),
        }
    }

    /// The conditions of a cluster that has been without nodes for so many seconds while there is work for three.
    fn told(view: &PoolView, without_nodes: Option<i64>, refusal: Option<&Refusal>) -> Vec<Condition> {
        let cluster: ScoringCluster = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": { "name": "cpu" },
            "spec": { "maxNodes": 3, "nodePool": { "external": { "nodeSelector": { "disk": "ssd", "team": "plant" } } } },
        }))
        .unwrap();
        let mut memory = Memory::restore(None, at(0));
        memory.external.without_nodes = without_nodes.map(|seconds| at(-seconds));
        let decision = PoolDecision { desired: 3, action: None, wait: None, requeue: LATER, next: None };
        let pool = refusal.is_none().then_some((view, &decision));
        let grants = Grants::default();
        let (cluster, memory, grants) = (&cluster, &memory, &grants);
        let report = Report { cluster, memory, pool, grants, next: None, learned: None, refusal, now: at(0) };
        crate::cluster::report::status(&report).conditions
    }

    fn condition<'a>(all: &'a [Condition], type_: &str) -> (&'a str, &'a str, &'a str) {
        let condition = find(all, type_).unwrap();
        (&condition.status, &condition.reason, &condition.message)
    }

    #[test]
    fn work_without_any_node_says_at_once_what_to_do_and_makes_the_pool_unready_after_five_minutes() {
        let soon = told(&view(vec![]), Some(299), None);
        let (is, reason, message) = condition(&soon, "Scaling");
        assert_eq!((is, reason), ("True", "NoNodes"));
        assert!(message.ends_with("kubectl label node NAME disk=ssd team=plant"), "{message}");
        assert_eq!(condition(&soon, "Ready").0, "True");
        let late = told(&view(vec![]), Some(300), None);
        assert_eq!((condition(&late, "Ready").0, condition(&late, "Ready").1), ("False", "NoNodes"));
    }

    #[test]
    fn pods_that_wait_for_nodes_tell_whose_turn_it_is() {
        let few = told(&view(vec![machine("a", Readiness::Ready, true)]), None, None);
        let (is, reason, message) = condition(&few, "Scaling");
        assert_eq!((is, reason), ("True", "WaitingForNodes"));
        assert!(message.starts_with("6 pods wait, for which 1 nodes have no room: there is work for 3."), "{message}");
        let enough = ["a", "b", "c"].map(|name| machine(name, Readiness::Ready, true)).to_vec();
        assert_eq!(condition(&told(&view(enough), None, None), "Scaling").1, "NotOurs");
    }

    #[test]
    fn a_lost_node_with_pods_is_left_to_its_owner_who_is_told() {
        let lost = view(vec![machine("a", Readiness::Silent, true), machine("b", Readiness::Silent, false)]);
        let all = told(&lost, None, None);
        let (is, reason, message) = condition(&all, "Degraded");
        assert_eq!((is, reason), ("True", "NodesLost"));
        assert!(message.starts_with("node a: not Ready") && message.ends_with("kubectl delete node a"), "{message}");
    }

    #[test]
    fn a_pool_that_is_claimed_says_so() {
        let refusal = Refusal { reason: "PoolClaimed", message: "it is another's".to_owned() };
        let all = told(&view(vec![]), None, Some(&refusal));
        assert_eq!(condition(&all, "Ready"), ("False", "PoolClaimed", "it is another's"));
        assert_eq!(condition(&all, "Degraded").1, "PoolClaimed");
    }
}
