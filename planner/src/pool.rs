//! The pool: which single step brings it closer to what the work needs.

use jiff::{SignedDuration, Timestamp};

use crate::bucket::Bucket;
use crate::capacity::Resources;
use crate::need::{Unplaced, need};

/// How long a cordon settles before its node is deleted: the scheduler may still have been binding a pod.
pub const SETTLE: SignedDuration = SignedDuration::from_secs(3);
/// A node that is not Ready for longer counts as lost for new pods.
pub const NOT_READY_GRACE: SignedDuration = SignedDuration::from_secs(120);
/// A node that is not Ready for this long is deleted, whatever is stuck on it.
pub const NOT_READY_LIMIT: SignedDuration = SignedDuration::from_mins(5);
/// A machine that never became a node is deleted after this.
pub const NEVER_JOINED_LIMIT: SignedDuration = SignedDuration::from_mins(20);
/// How soon to look again while something is under way.
pub const SOON: SignedDuration = SignedDuration::from_secs(2);
/// How soon to look again while nothing is.
pub const LATER: SignedDuration = SignedDuration::from_secs(30);

/// A pool as it is.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Now.
    pub now: Timestamp,
    /// Nodes that are always there.
    pub min: u32,
    /// The most nodes.
    pub max: u32,
    /// True: no nodes are added.
    pub paused: bool,
    /// How long a node stays idle; `None`: for ever.
    pub idle_after: Option<SignedDuration>,
    /// The count of the agent pool.
    pub count: u32,
    /// An operation on the pool is under way.
    pub running: bool,
    /// The pool's nodes carry the taint that keeps strangers out.
    pub tainted: bool,
    /// Every machine and every node of the pool.
    pub machines: Vec<Machine>,
    /// What an empty node has for scorer pods, if known.
    pub capacity: Option<Resources>,
    /// Pods with a slot and without a node.
    pub work: Vec<Unplaced>,
    /// What is left of the PUTs.
    pub puts: Bucket,
    /// No operation before this: the last one was refused, failed, or has only just been accepted.
    pub not_before: Option<Timestamp>,
}

/// A machine of the pool, and the node that it became.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name: the machine's and the node's.
    pub name: String,
    /// AKS lists it. False: only a Node is left of it.
    pub listed: bool,
    /// When it was first seen.
    pub seen: Timestamp,
    /// Its deletion has been asked for.
    pub leaving: bool,
    /// The node, once it has registered.
    pub node: Option<Node>,
}

/// A node of the pool.
#[derive(Clone, Debug)]
pub struct Node {
    /// It is Ready.
    pub ready: bool,
    /// Since when it is, or is not.
    pub since: Timestamp,
    /// Nothing new is scheduled onto it.
    pub cordoned: bool,
    /// Since when this operator keeps it cordoned in order to delete it.
    pub draining_since: Option<Timestamp>,
    /// Something is on it that must not be lost: pods, or ended pods whose end is not written down yet.
    pub busy: bool,
    /// Since when it is not busy.
    pub idle_since: Option<Timestamp>,
    /// What is free on it.
    pub free: Resources,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the agent pool with this count (and the taint).
    Put {
        /// The count.
        count: u32,
    },
    /// Let nothing new onto these nodes.
    Cordon(Vec<String>),
    /// Let pods onto these nodes again.
    Uncordon(Vec<String>),
    /// Delete exactly these machines, after a live look that nothing runs on those that are not lost.
    Delete {
        /// Settled idle nodes.
        idle: Vec<String>,
        /// Machines that are not Ready for too long, with what is stuck on them.
        lost: Vec<String>,
    },
    /// Remove Node objects whose machine is gone.
    Forget(Vec<String>),
}

/// Why the wanted step is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// One operation at a time.
    Operation,
    /// The bucket of PUTs is empty.
    Bucket,
    /// The last operation was refused or failed, or may not show yet.
    BackOff,
    /// Cordoned nodes settle.
    Settling,
    /// Nodes are on their way.
    Nodes,
    /// Idle nodes are not due yet.
    Idle,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolDecision {
    /// Nodes that the work and the minimum want, within the maximum.
    pub desired: u32,
    /// The step, if any.
    pub action: Option<Action>,
    /// What is waited for, if anything.
    pub wait: Option<Wait>,
    /// When to look again.
    pub requeue: SignedDuration,
}

/// A machine's part in the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// Pods are on it.
    Busy,
    /// Ready and empty.
    Idle,
    /// On its way.
    Coming,
    /// Cordoned by us in order to go.
    Draining,
    /// Of no use for new pods: not Ready for too long, or cordoned by somebody else.
    Unusable,
    /// Its deletion has been asked for, or only a Node is left.
    Gone,
}

impl Machine {
    fn role(&self, now: Timestamp) -> Role {
        let Some(node) = &self.node else {
            return match () {
                () if self.leaving || !self.listed => Role::Gone,
                () if age(now, self.seen) >= NEVER_JOINED_LIMIT => Role::Unusable,
                () => Role::Coming,
            };
        };
        let lost = !node.ready && age(now, node.since) >= NOT_READY_GRACE;
        match () {
            () if self.leaving || !self.listed => Role::Gone,
            () if node.busy => Role::Busy,
            () if lost => Role::Unusable,
            () if node.draining_since.is_some() => Role::Draining,
            () if node.cordoned => Role::Unusable,
            () if !node.ready => Role::Coming,
            () => Role::Idle,
        }
    }

    /// Whether new pods may be put onto it.
    fn takes_pods(&self, role: Role, now: Timestamp) -> bool {
        let node = self.node.as_ref();
        match role {
            Role::Busy => node.is_some_and(|n| {
                // A draining node onto which a pod slipped is uncordoned, so it takes more.
                (!n.cordoned || n.draining_since.is_some()) && (n.ready || age(now, n.since) < NOT_READY_GRACE)
            }),
            Role::Idle | Role::Coming | Role::Draining => true,
            Role::Unusable | Role::Gone => false,
        }
    }

    /// Whether it has not been Ready for so long that it is given up.
    fn is_lost(&self, now: Timestamp) -> bool {
        match &self.node {
            Some(node) => !node.ready && age(now, node.since) >= NOT_READY_LIMIT,
            None => age(now, self.seen) >= NEVER_JOINED_LIMIT,
        }
    }
}

/// Decides on the next step. One step at a time, and none that could hurt: a busy node is never deleted unless it is
/// lost, and no count is written that is below the number of machines, since AKS would choose the victim.
#[must_use]
pub fn decide(view: &PoolView) -> PoolDecision {
    let plan = Plan::of(view);
    let desired = plan.desired;
    let (action, wait) = step(view, &plan);
    let requeue = match wait {
        _ if action.is_some() => SOON,
        Some(Wait::Idle) => plan.next_due(view).unwrap_or(LATER).clamp(SignedDuration::from_secs(1), LATER),
        Some(Wait::BackOff | Wait::Bucket) => {
            let ready = view.puts.ready_at(view.now).max(view.not_before.unwrap_or(view.now));
            ready.duration_since(view.now).clamp(SOON, LATER)
        }
        Some(Wait::Settling) => SignedDuration::from_secs(1),
        Some(Wait::Operation | Wait::Nodes) => SOON,
        None => LATER,
    };
    PoolDecision { desired, action, wait, requeue }
}

/// The machines by their part, and how many are wanted.
struct Plan<'a> {
    machines: Vec<(&'a Machine, Role)>,
    /// Needed by pods, with or without a node; the names of those that are there.
    used: Vec<&'a str>,
    /// Nodes wanted, of those that can be used.
    desired: u32,
    /// What the count should be, those of no use included.
    target: u32,
    /// Machines that AKS has or may have.
    listed: u32,
    /// How many may leave without falling below what is wanted.
    spare: u32,
    /// How many are above the maximum.
    excess: u32,
}

impl<'a> Plan<'a> {
    fn of(view: &'a PoolView) -> Self {
        let now = view.now;
        let mut machines: Vec<(&Machine, Role)> = view.machines.iter().map(|m| (m, m.role(now))).collect();
        machines.sort_by(|(a, x), (b, y)| (x, &a.name).cmp(&(y, &b.name)));
        let listed = size(machines.iter().filter(|(m, _)| m.listed).count());
        let gone = size(machines.iter().filter(|(m, role)| m.listed && *role == Role::Gone).count());
        let unusable = size(machines.iter().filter(|(_, role)| *role == Role::Unusable).count());
        let stuck = size(machines.iter().filter(|(m, role)| *role == Role::Busy && !m.takes_pods(*role, now)).count());

        // While an operation goes on, machines that are counted and not listed yet are on their way.
        let nameless = if view.running { view.count.saturating_sub(listed) } else { 0 };
        let hands: Vec<&(&Machine, Role)> = machines.iter().filter(|(m, role)| m.takes_pods(*role, now)).collect();
        let empty = view.capacity.clone().unwrap_or_default();
        let mut free: Vec<Resources> = hands
            .iter()
            .map(|(m, role)| match (&m.node, role) {
                (Some(node), Role::Busy | Role::Idle) => node.free.clone(),
                _ => empty.clone(),
            })
            .collect();
        free.extend((0..nameless).map(|_| empty.clone()));
        let usable = size(free.len());
        let others = unusable + stuck;
        let most_new = if view.paused { 0 } else { view.max.saturating_sub(usable + others) };
        let need = need(&view.work, &free, view.capacity.as_ref(), most_new);

        let placed = |at: &usize| hands.get(*at).map(|(m, _)| m.name.as_str());
        let mut used: Vec<&str> = need.used.iter().filter_map(placed).collect();
        used.extend(hands.iter().filter(|(_, role)| *role == Role::Busy).map(|(m, _)| m.name.as_str()));
        used.sort_unstable();
        used.dedup();
        let to_come = size(need.used.iter().filter(|at| **at >= hands.len()).count());

        let min = view.min.min(view.max);
        let wanted = (size(used.len()) + to_come + need.new).max(if view.paused { min.min(usable) } else { min });
        let kept = if view.idle_after.is_none() { usable.min(view.max) } else { 0 };
        let desired = wanted.max(kept).min(view.max);
        let target = (desired + others).min(view.max.max(listed - gone));
        let spare = usable.saturating_sub(desired);
        let excess = (listed - gone).saturating_sub(view.max);
        Self { used, desired, target, listed, spare, excess, machines }
    }

    fn names(&self, chosen: impl Fn(&Machine, Role) -> bool) -> Vec<String> {
        self.machines.iter().filter(|(m, role)| chosen(m, *role)).map(|(m, _)| m.name.clone()).collect()
    }

    fn is_used(&self, machine: &Machine) -> bool {
        self.used.binary_search(&machine.name.as_str()).is_ok()
    }

    /// When the next idle node is due to go.
    fn next_due(&self, view: &PoolView) -> Option<SignedDuration> {
        let after = view.idle_after?;
        let since = self.machines.iter().filter_map(|(m, _)| m.node.as_ref()?.idle_since);
        since.map(|since| after - age(view.now, since)).filter(|left| left.is_positive()).min()
    }
}

fn step(view: &PoolView, plan: &Plan) -> (Option<Action>, Option<Wait>) {
    // What costs nothing and helps at once: cordoned nodes that are needed again.
    let mut still_spare = plan.spare;
    let mut needed = Vec::new();
    for (machine, role) in &plan.machines {
        let draining = machine.node.as_ref().is_some_and(|n| n.draining_since.is_some());
        match role {
            Role::Busy if draining => needed.push(machine.name.clone()),
            Role::Draining if plan.is_used(machine) || still_spare == 0 => needed.push(machine.name.clone()),
            Role::Draining => still_spare -= 1,
            _ => {}
        }
    }
    if !needed.is_empty() {
        return (Some(Action::Uncordon(needed)), None);
    }

    let gone = plan.names(|m, _| !m.listed && m.node.is_some() && m.is_lost(view.now));
    if !gone.is_empty() {
        return (Some(Action::Forget(gone)), None);
    }

    let operation = operation(view, plan);
    match operation {
        Some(_) if view.running => return (None, Some(Wait::Operation)),
        Some(_) if view.not_before.is_some_and(|at| view.now < at) => return (None, Some(Wait::BackOff)),
        Some(Action::Put { .. }) if view.puts.left(view.now) == 0 => return (None, Some(Wait::Bucket)),
        Some(action) => return (Some(action), None),
        None => {}
    }

    let due = due(view, plan, still_spare);
    if !due.is_empty() {
        return (Some(Action::Cordon(due)), None);
    }
    let any = |wanted: Role| plan.machines.iter().any(|(_, role)| *role == wanted);
    let wait = match () {
        () if view.running => Some(Wait::Operation),
        () if any(Role::Draining) => Some(Wait::Settling),
        () if any(Role::Coming) || any(Role::Gone) => Some(Wait::Nodes),
        () if plan.spare > 0 && view.idle_after.is_some() => Some(Wait::Idle),
        () => None,
    };
    (None, wait)
}

/// The operation on the agent pool that is wanted most, if any.
fn operation(view: &PoolView, plan: &Plan) -> Option<Action> {
    let put = |count: u32| Some(Action::Put { count });
    if !view.tainted {
        return put(plan.target.max(plan.listed));
    }
    if plan.target > plan.listed {
        return put(plan.target);
    }
    let lost = plan.names(|m, role| m.listed && role != Role::Gone && m.is_lost(view.now));
    // Cordons are seconds apart; one operation takes all of them, unless the last would keep the first for long.
    let since = |m: &Machine| m.node.as_ref().and_then(|node| node.draining_since);
    let draining = || plan.machines.iter().filter(|(_, role)| *role == Role::Draining).filter_map(|(m, _)| since(m));
    let all = draining().all(|since| age(view.now, since) >= SETTLE);
    let long = draining().any(|since| age(view.now, since) >= SETTLE * 2);
    let settled = |m: &Machine| (all || long) && since(m).is_some_and(|since| age(view.now, since) >= SETTLE);
    let idle = plan.names(|m, role| role == Role::Draining && !m.is_lost(view.now) && settled(m));
    if !lost.is_empty() || !idle.is_empty() {
        return Some(Action::Delete { idle, lost });
    }
    // Whether the count falls by itself after deleteMachines is undocumented. Writing it down is safe only when there
    // is no machine to choose as a victim, and pointless while more nodes are about to go.
    (plan.target == plan.listed && view.count > plan.listed).then_some(Action::Put { count: plan.listed })
}

/// Idle nodes that are due to go.
fn due(view: &PoolView, plan: &Plan, spare: u32) -> Vec<String> {
    let is_due = |node: &Node| match (view.idle_after, node.idle_since) {
        (Some(after), Some(since)) => age(view.now, since) >= after,
        _ => false,
    };
    let mut excess = plan.excess;
    let mut spare = spare;
    let mut due = Vec::new();
    // The last in order go first, so that pods gather on the others.
    for (machine, role) in plan.machines.iter().rev() {
        let Some(node) = &machine.node else { continue };
        let leaves = match role {
            Role::Idle if plan.is_used(machine) || spare == 0 => false,
            Role::Idle => is_due(node) || excess > 0,
            Role::Unusable => node.draining_since.is_none() && (is_due(node) || excess > 0),
            _ => false,
        };
        if leaves {
            excess = excess.saturating_sub(1);
            spare = spare.saturating_sub(u32::from(*role == Role::Idle));
            due.push(machine.name.clone());
        }
    }
    due
}

fn age(now: Timestamp, since: Timestamp) -> SignedDuration {
    now.duration_since(since)
}

fn size(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
