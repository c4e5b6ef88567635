//! The machines and nodes of a pool, as the planner sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use planner::capacity::Resources;
use planner::pool::{self, Readiness};
use planner::warmth::End;

use super::folded::{self, Folded};
use super::foresight::Foresight;
use super::timing::Timing;
use super::{out_of_service, pods};
use crate::context::{Ctx, name_of};

/// Annotation of a node that this operator has cordoned in order to delete it: since when.
pub(super) const DRAINING: &str = "batchscoring.dev/draining-since";

/// Annotation of such a node whose machine's deletion is asked for: when. AKS may have been told so by an operator that died
/// then, or its answer was lost.
pub(super) const DELETING: &str = "batchscoring.dev/deleting-since";

/// How long a deletion may take to show, while no operation on the pool is seen.
pub(super) const LEAVING: SignedDuration = SignedDuration::from_mins(3);

/// What was remembered of machines, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    /// What AKS listed last.
    pub(super) listed: BTreeSet<String>,
    /// When each was first seen.
    pub(super) seen: BTreeMap<String, Timestamp>,
    /// How long they take to come and to go.
    pub(super) timing: Timing,
    /// Nodes whose last pods were of a run that no tick foretold.
    pub(super) unforeseen: BTreeSet<String>,
    /// Those that have been nodes, and since when one is not any more.
    pub(super) joined: BTreeMap<String, Option<Timestamp>>,
    /// When the deletion of each was asked for.
    pub(super) leaving: BTreeMap<String, Timestamp>,
    /// Since when each has been idle.
    pub(super) idle_since: BTreeMap<String, Timestamp>,
    /// Which ends of pods were written down by the last look.
    pub(super) folded: folded::Read,
    /// Those that are deallocated, and so not there; only of a pool that keeps such machines.
    pub(super) deallocated: Option<BTreeSet<String>>,
    /// Nodes on which a live look found something that our caches do not show, and when.
    pub(super) held: BTreeMap<String, Timestamp>,
}

impl Remembered {
    /// How many machines are listed that are not deallocated.
    pub(super) fn running(&self) -> usize {
        self.listed.iter().filter(|name| self.deallocated.as_ref().is_none_or(|off| !off.contains(*name))).count()
    }
}

/// What is on one node.
#[derive(Clone, Debug, Default)]
struct Load {
    /// When its pods will have ended, as far as known, and what they give back.
    ends: Vec<End>,
    /// It is not known of a pod when it will have ended.
    endless: bool,
    /// A pod of a run that no tick foretold is on it.
    unforeseen: bool,
    used: Resources,
    running: bool,
    unfolded: bool,
}

/// The machines of a pool, with what is on their nodes, each of which has so much room; remembers what is new about them.
pub(super) fn of_pool(
    ctx: &Ctx,
    nodes: &[Arc<Node>],
    pods: &[Arc<Pod>],
    room: &dyn Fn(&Node) -> Resources,
    running: bool,
    foresight: &Foresight,
    remembered: &mut Remembered,
) -> Vec<pool::Machine> {
    let now = ctx.now();
    let off = |name: &str| remembered.deallocated.as_ref().is_some_and(|off| off.contains(name));
    let by_name: BTreeMap<&str, &Node> =
        nodes.iter().map(|node| (name_of(&**node), &**node)).filter(|(name, _)| !off(name)).collect();
    let listed = remembered.listed.iter().map(String::as_str).filter(|name| !off(name));
    let names: BTreeSet<String> = by_name.keys().copied().chain(listed).map(str::to_owned).collect();
    remembered.seen.retain(|name, _| names.contains(name));
    remembered.joined.retain(|name, _| names.contains(name));
    remembered.idle_since.retain(|name, _| by_name.contains_key(name.as_str()));
    remembered.timing.left(&names, now);
    remembered.leaving.retain(|name, _| names.contains(name));
    remembered.unforeseen.retain(|name| names.contains(name));
    remembered.held.retain(|name, _| names.contains(name));

    let mut folded = Folded::of(ctx, std::mem::take(&mut remembered.folded));
    let mut loads: BTreeMap<&str, Load> = BTreeMap::new();
    for pod in pods {
        let Some(node) = pods::node_of(pod).filter(|node| by_name.contains_key(node)) else { continue };
        let load = loads.entry(node).or_default();
        if !pods::has_ended(pod) {
            load.running = true;
            let request = pods::takes(pod);
            load.used = std::mem::take(&mut load.used).plus(&request);
            load.unforeseen |= foresight.is_unforeseen(pod);
            match foresight.end(pod, now) {
                Some(at) => load.ends.push(End { at, frees: request }),
                None => load.endless = true,
            }
        } else if !load.unfolded {
            load.unfolded = !folded.has(pod);
        }
    }
    remembered.folded = folded.into_read();
    names
        .into_iter()
        .map(|name| {
            let timing = &mut remembered.timing;
            let seen = *remembered.seen.entry(name.clone()).or_insert_with(|| {
                timing.came(&name, now);
                now
            });
            let node_gone = node_gone(&mut remembered.joined, &name, by_name.contains_key(name.as_str()), now);
            let node = by_name.get(name.as_str()).map(|node| {
                let load = loads.remove(name.as_str()).unwrap_or_default();
                let busy = load.running || load.unfolded || remembered.held.contains_key(&name);
                view(node, room(node), load, busy, (remembered, seen), now)
            });
            // While an operation goes on, the list may be older than its first nodes.
            let listed =
                remembered.listed.contains(&name) || running && node.as_ref().is_some_and(|node| node.ready.is_ready());
            let asked = by_name.get(name.as_str()).is_some_and(|node| is_asked_to_go(node, running, now));
            let leaving = asked || remembered.leaving.contains_key(&name);
            pool::Machine { listed, seen, leaving, node, node_gone, name }
        })
        .collect()
}

/// Whether the node says that its deletion is asked for, and that may still be done. A time that nobody can read is none.
fn is_asked_to_go(node: &Node, running: bool, now: Timestamp) -> bool {
    let since = node.metadata.annotations.as_ref().and_then(|all| all.get(DELETING)?.parse().ok());
    since.is_some_and(|since: Timestamp| running || now.duration_since(since) < LEAVING)
}

/// Since when a machine that has been a node is none any more.
fn node_gone(
    joined: &mut BTreeMap<String, Option<Timestamp>>,
    name: &str,
    is_node: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    if is_node {
        joined.insert(name.to_owned(), None);
        return None;
    }
    let since = joined.get_mut(name)?;
    Some(*since.get_or_insert(now))
}

/// How long after its Node was made the first condition of a kubelet is written down.
const FIRST: SignedDuration = SignedDuration::from_secs(10);

/// A node, with what is remembered and since when its machine has been there.
fn view(
    node: &Node,
    room: Resources,
    load: Load,
    busy: bool,
    (kept, seen): (&mut Remembered, Timestamp),
    now: Timestamp,
) -> pool::Node {
    let (ready, since) = readiness(node, now);
    // The Node of a machine that was deallocated and is started again tells of the time before.
    let started = kept.deallocated.is_some() && !ready.is_ready() && since < seen && !busy;
    let since = if started { seen } else { since };
    let created = node.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let joining = started || ready == Readiness::NotReady && since.duration_since(created) < FIRST;
    let name = name_of(node).to_owned();
    let idle_since = match busy {
        true => {
            kept.idle_since.remove(&name);
            None
        }
        false if ready.is_ready() => Some(*kept.idle_since.entry(name.clone()).or_insert(now)),
        false => kept.idle_since.get(&name).copied(),
    };
    if ready.is_ready() {
        kept.timing.ready(&name, since);
    }
    if load.running && load.unforeseen {
        kept.unforeseen.insert(name.clone());
    } else if load.running {
        kept.unforeseen.remove(&name);
    }
    let annotation = node.metadata.annotations.as_ref().and_then(|all| all.get(DRAINING));
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default();
    // An annotation that nobody can read starts the settling anew.
    let draining_since = annotation.filter(|_| cordoned).map(|text| text.parse().unwrap_or(now));
    // One that is cordoned while pods are on it is not let go before they have ended.
    kept.timing.draining(&name, draining_since.max(idle_since).filter(|_| draining_since.is_some() && !busy));
    pool::Node {
        ready,
        since,
        joining,
        out_of_service: out_of_service::of(node),
        cordoned,
        draining_since,
        busy,
        busy_until: load.ends.iter().map(|end| end.at).max().filter(|_| !load.endless),
        ends: load.ends,
        idle_since,
        unforeseen: kept.unforeseen.contains(&name),
        free: room.less(&load.used),
    }
}

/// Whether the node is Ready.
pub(super) fn is_ready(node: &Node) -> bool {
    readiness(node, Timestamp::UNIX_EPOCH).0.is_ready()
}

/// Whether the node is Ready, and since when it is or is not.
pub(super) fn readiness(node: &Node, now: Timestamp) -> (Readiness, Timestamp) {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().find(|c| c.type_ == "Ready");
    let created = node.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let since = ready.and_then(|c| c.last_transition_time.as_ref()).map_or(created, |time| time.0);
    let status = match ready.map(|condition| condition.status.as_str()) {
        Some("True") => Readiness::Ready,
        Some("Unknown") => Readiness::Silent,
        _ => Readiness::NotReady,
    };
    (status, since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn node(spec: &Value, annotations: &Value, ready: &str) -> Node {
        let condition = json!({ "type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:30Z" });
        serde_json::from_value(json!({
            "metadata": { "name": "n", "annotations": annotations }, "spec": spec, "status": { "conditions": [condition] },
        }))
        .unwrap()
    }

    fn see(node: &Node, busy: bool, kept: &mut Remembered) -> pool::Node {
        let seen = at("2026-01-01T00:00:50Z");
        view(node, Resources::default(), Load::default(), busy, (kept, seen), at("2026-01-01T00:01:00Z"))
    }

    #[test]
    fn a_node_is_idle_from_the_first_look_at_which_nothing_is_on_it() {
        let (node, mut kept) = (node(&json!({}), &json!({}), "True"), Remembered::default());
        assert_eq!(see(&node, false, &mut kept).idle_since, Some(at("2026-01-01T00:01:00Z")));
        kept.idle_since.insert("n".into(), at("2026-01-01T00:00:40Z"));
        assert_eq!(see(&node, false, &mut kept).idle_since, Some(at("2026-01-01T00:00:40Z")));
        assert_eq!(see(&node, true, &mut kept).idle_since, None);
        assert!(kept.idle_since.is_empty());
    }

    #[test]
    fn a_node_whose_deletion_was_asked_for_leaves_as_long_as_that_may_be_done() {
        let of = |annotations| node(&json!({ "unschedulable": true }), &annotations, "True");
        let asked = of(json!({ DELETING: "2026-01-01T00:01:00Z" }));
        assert!(is_asked_to_go(&asked, false, at("2026-01-01T00:03:59Z")));
        assert!(
            !is_asked_to_go(&asked, false, at("2026-01-01T00:04:00Z")),
            "the pool is at rest, and the machine is there"
        );
        assert!(is_asked_to_go(&asked, true, at("2026-01-01T00:30:00Z")), "an operation goes on");
        assert!(!is_asked_to_go(&of(json!({})), true, at("2026-01-01T00:01:00Z")));
        assert!(!is_asked_to_go(&of(json!({ DELETING: "soon" })), true, at("2026-01-01T00:01:00Z")));
    }

    #[test]
    fn a_machine_whose_node_somebody_deleted_is_known_from_one_that_is_still_to_come() {
        let mut joined = BTreeMap::new();
        assert_eq!(node_gone(&mut joined, "n", false, at("2026-01-01T00:00:00Z")), None);
        assert_eq!(node_gone(&mut joined, "n", true, at("2026-01-01T00:00:10Z")), None);
        let gone = Some(at("2026-01-01T00:00:20Z"));
        assert_eq!(node_gone(&mut joined, "n", false, at("2026-01-01T00:00:20Z")), gone);
        assert_eq!(node_gone(&mut joined, "n", false, at("2026-01-01T00:00:30Z")), gone);
        assert_eq!(node_gone(&mut joined, "n", true, at("2026-01-01T00:00:40Z")), None);
    }

    #[test]
    fn only_our_own_cordon_means_that_a_node_is_about_to_go() {
        let ours = json!({ DRAINING: "2026-01-01T00:00:50Z" });
        let kept = &mut Remembered::default();
        let cordoned = json!({ "unschedulable": true });
        let seen = see(&node(&cordoned, &ours, "True"), false, kept);
        assert_eq!((seen.cordoned, seen.draining_since), (true, Some(at("2026-01-01T00:00:50Z"))));
        assert_eq!(see(&node(&cordoned, &json!({}), "True"), false, kept).draining_since, None);
        // Somebody uncordoned it by hand: it is in use again.
        assert_eq!(see(&node(&json!({}), &ours, "True"), false, kept).draining_since, None);
    }

    #[test]
    fn a_node_that_is_not_ready_tells_since_when() {
        for (status, ready) in [("Unknown", Readiness::Silent), ("False", Readiness::NotReady)] {
            let seen = see(&node(&json!({}), &json!({}), status), false, &mut Remembered::default());
            assert_eq!((seen.ready, seen.since, seen.idle_since), (ready, at("2026-01-01T00:00:30Z"), None));
        }
    }

    #[test]
    fn a_node_is_joining_until_it_has_been_ready_for_the_first_time() {
        let joins = |created: &str, ready: &str| {
            let mut node = node(&json!({}), &json!({}), ready);
            node.metadata.creation_timestamp = Some(serde_json::from_value(json!(created)).unwrap());
            see(&node, false, &mut Remembered::default()).joining
        };
        assert!(joins("2026-01-01T00:00:25Z", "False"));
        assert!(!joins("2026-01-01T00:00:00Z", "False"), "it was Ready before");
        assert!(!joins("2026-01-01T00:00:25Z", "Unknown"), "its kubelet went away");
        assert!(!joins("2026-01-01T00:00:25Z", "True"));
    }

    #[test]
    fn a_machine_that_is_started_again_joins_from_when_it_is_seen_to() {
        let mut kept = Remembered { deallocated: Some(BTreeSet::new()), ..Remembered::default() };
        let seen = see(&node(&json!({}), &json!({}), "Unknown"), false, &mut kept);
        assert_eq!((seen.joining, seen.since), (true, at("2026-01-01T00:00:50Z")));
    }
}
