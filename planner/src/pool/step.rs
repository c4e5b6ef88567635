//! The one step that is taken next.

use super::lost::Lost;
use super::plan::Plan;
use super::view::{Machine, PoolView, Role, age};
use super::{Action, NOT_READY_LIMIT, OUTAGE_LIMIT, SETTLE, Wait};
use crate::warmth::Policy;

/// The step, or what is waited for.
pub(super) fn step(view: &PoolView, plan: &Plan, lost: &Lost) -> (Option<Action>, Option<Wait>) {
    // What costs nothing and helps at once: pods that are stuck, cordons of nodes that are needed again or must go.
    if let Some(change) = lost.change(view) {
        return (Some(change), None);
    }
    let Cordons { needed, retired, retiring, still_spare } = Cordons::of(plan);
    if !needed.is_empty() {
        return (Some(Action::Uncordon(needed)), None);
    }
    if !retired.is_empty() {
        return (Some(Action::Retire(retired)), None);
    }

    let gone = plan.names(|m, _| !m.listed && m.node.is_some() && m.is_dead(view.now, NOT_READY_LIMIT));
    if !gone.is_empty() {
        return (Some(Action::Forget(gone)), None);
    }

    let operation = operation(view, plan, lost);
    match operation {
        Some(_) if view.running => return (None, Some(Wait::Operation)),
        Some(_) if view.is_before(view.back_off.all) => return (None, Some(Wait::BackOff)),
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
        () if plan.grows() => Some(Wait::BackOff),
        () if retiring => Some(Wait::Pods),
        () if plan.spare > 0 && view.policy != Policy::Never => Some(Wait::Idle),
        () => None,
    };
    (None, wait)
}

/// Which cordons change, and which stay.
struct Cordons {
    /// Cordoned nodes that pods are on or will be.
    needed: Vec<String>,
    /// Nodes above the maximum that pods are on: nothing new may come onto them.
    retired: Vec<String>,
    /// Such nodes are cordoned already.
    retiring: bool,
    /// How many idle nodes may be cordoned beyond those that are.
    still_spare: u32,
}

impl Cordons {
    fn of(plan: &Plan) -> Self {
        let mut cordons = Self { needed: Vec::new(), retired: Vec::new(), retiring: false, still_spare: plan.spare };
        // Above the maximum, those go first that no pod is on; only for the rest pods have to end.
        let mut excess = plan.excess;
        let mut take = || {
            let some = excess > 0;
            excess = excess.saturating_sub(1);
            some
        };
        for (machine, role) in plan.machines.iter().rev() {
            let node = machine.node.as_ref();
            let draining = node.is_some_and(|node| node.draining_since.is_some());
            let name = || machine.name.clone();
            match role {
                Role::Gone => {}
                Role::Unusable | Role::Coming => drop(take()),
                Role::Draining if take() => cordons.still_spare = cordons.still_spare.saturating_sub(1),
                Role::Draining if plan.is_used(machine) || cordons.still_spare == 0 => cordons.needed.push(name()),
                Role::Draining => cordons.still_spare -= 1,
                Role::Idle if plan.is_used(machine) => {}
                Role::Idle => drop(take()),
                Role::Busy if draining && take() => cordons.retiring = true,
                Role::Busy if draining => cordons.needed.push(name()),
                // Lost, or cordoned by somebody else: nothing new comes onto it anyway.
                Role::Busy if node.is_none_or(|node| node.cordoned || !node.ready.is_ready()) => drop(take()),
                Role::Busy if take() => cordons.retired.push(name()),
                Role::Busy => {}
            }
        }
        cordons.needed.sort_unstable();
        cordons
    }
}

/// The operation on the agent pool that is wanted most, if any.
fn operation(view: &PoolView, plan: &Plan, lost: &Lost) -> Option<Action> {
    let may_grow = !view.is_before(view.back_off.growth);
    let grown = match may_grow {
        true => plan.target.min(plan.listed.saturating_add(view.back_off.most.unwrap_or(u32::MAX))),
        false => plan.listed,
    };
    let grow = (!view.tainted || grown > plan.listed).then_some(Action::Put { count: grown.max(plan.listed) });
    // Others come before the dead go, unless it may be these that take their place.
    if grow.is_some() && !view.back_off.was_refused() {
        return grow;
    }
    let limit = if lost.outage { OUTAGE_LIMIT } else { NOT_READY_LIMIT };
    let goes = |m: &Machine| m.is_dead(view.now, limit) || plan.is_in_the_way(m);
    let lost = plan.names(|m, role| m.listed && role != Role::Gone && goes(m));
    // Cordons are seconds apart; one operation takes all of them, unless the last would keep the first for long.
    let since = |m: &Machine| m.node.as_ref().and_then(|node| node.draining_since);
    let draining = || plan.machines.iter().filter(|(_, role)| *role == Role::Draining).filter_map(|(m, _)| since(m));
    let all = draining().all(|since| age(view.now, since) >= SETTLE);
    let long = draining().any(|since| age(view.now, since) >= SETTLE * 2);
    let settled = |m: &Machine| (all || long) && since(m).is_some_and(|since| age(view.now, since) >= SETTLE);
    let idle = plan.names(|m, role| role == Role::Draining && !goes(m) && settled(m));
    if !lost.is_empty() || !idle.is_empty() && grow.is_none() {
        return Some(Action::Delete { idle, lost });
    }
    if grow.is_some() {
        return grow;
    }
    // Whether the count falls by itself after deleteMachines is undocumented. Writing it down is safe only when there
    // is no machine to choose as a victim, and pointless while more nodes are about to go. A Ready node that is not listed is
    // one, should the list be behind.
    let unlisted = |m: &Machine| !m.listed && m.node.as_ref().is_some_and(|node| node.ready.is_ready());
    let victims = plan.machines.iter().any(|(machine, _)| unlisted(machine) && !machine.leaving);
    (plan.target == plan.listed && view.count > plan.listed && !victims).then_some(Action::Put { count: plan.listed })
}

/// Idle nodes that are due to go.
fn due(view: &PoolView, plan: &Plan, spare: u32) -> Vec<String> {
    let mut excess = plan.excess;
    let mut spare = spare;
    let mut due = Vec::new();
    // The last in order go first, so that pods gather on the others.
    for (machine, role) in plan.machines.iter().rev() {
        let Some(node) = &machine.node else { continue };
        let leaves = match role {
            Role::Idle if plan.is_used(machine) || spare == 0 => false,
            Role::Idle => plan.is_due(view, node) || excess > 0,
            Role::Unusable => node.draining_since.is_none() && (plan.is_due(view, node) || excess > 0),
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
