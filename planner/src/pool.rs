//! The pool: which single step brings it closer to what the work needs.

use jiff::SignedDuration;

mod held;
mod lost;
mod plan;
mod step;
mod view;
mod wants;

pub use held::{Held, held};
pub use lost::{Lost, NOT_READY_GRACE, OutOfService, Readiness, SILENT_GRACE};
pub use view::{BackOff, Machine, Node, PoolView};

use plan::Plan;

/// How long a cordon settles before its node is deleted: the scheduler may still have been binding a pod.
pub const SETTLE: SignedDuration = SignedDuration::from_secs(3);
/// A node that is not Ready for this long is deleted, whatever is stuck on it.
pub const NOT_READY_LIMIT: SignedDuration = SignedDuration::from_mins(5);
/// So is one in an outage, in which most nodes of the pool are lost: they may only be out of the API server's sight.
pub const OUTAGE_LIMIT: SignedDuration = SignedDuration::from_mins(15);
/// A machine that never became a node is deleted after this.
pub const NEVER_JOINED_LIMIT: SignedDuration = SignedDuration::from_mins(20);
/// A machine whose Node somebody has deleted gets so long to register again; then it is deleted.
pub const NODE_GONE_LIMIT: SignedDuration = SignedDuration::from_secs(30);
/// How soon to look again while something is under way.
pub const SOON: SignedDuration = SignedDuration::from_secs(2);
/// How soon to look again while nothing is.
pub const LATER: SignedDuration = SignedDuration::from_secs(30);

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
    /// Let nothing new onto these nodes either, though pods are on them: there are more nodes than the maximum, and
    /// these go once their pods have ended.
    Retire(Vec<String>),
    /// Let pods onto these nodes again.
    Uncordon(Vec<String>),
    /// Make Kubernetes give up the pods on these nodes, which are lost: others take their place.
    OutOfService(Vec<String>),
    /// These are Ready again: let pods onto them.
    InService(Vec<String>),
    /// Delete exactly these machines, after a live look that nothing runs on those that are not lost.
    Delete {
        /// Settled idle nodes.
        idle: Vec<String>,
        /// Machines that are not Ready for too long, with what is stuck on them; and lost ones without pods in whose
        /// place others are needed.
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
    /// The bucket of all other requests is: the pool cannot be looked at before the step.
    Requests,
    /// The last operation was refused or failed, or may not show yet.
    BackOff,
    /// Cordoned nodes settle.
    Settling,
    /// Nodes are on their way.
    Nodes,
    /// Nodes above the maximum go when their pods have ended.
    Pods,
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
    /// When this decision changes by the passing of time alone, if it does: nodes are to be asked for, or are due to go.
    pub next: Option<SignedDuration>,
}

/// Decides on the next step. One step at a time, and none that could hurt: a busy node is never deleted unless it is
/// lost, and no count is written that is below the number of machines, since AKS would choose the victim.
#[must_use]
pub fn decide(view: &PoolView) -> PoolDecision {
    let lost = Lost::of(view);
    let plan = Plan::of(view, &lost);
    let desired = plan.desired;
    let (action, wait) = step::step(view, &plan, &lost);
    let next = plan.next_due(view);
    let held = view.back_off.all.filter(|at| view.now < *at).or(view.back_off.growth.filter(|_| plan.grows()));
    let requeue = match wait {
        _ if action.is_some() => SOON,
        Some(Wait::BackOff | Wait::Bucket) => {
            let ready = view.puts.ready_at(view.now).max(held.unwrap_or(view.now));
            ready.duration_since(view.now).clamp(SOON, LATER)
        }
        Some(Wait::Settling) => SignedDuration::from_secs(1),
        Some(Wait::Operation | Wait::Nodes | Wait::Requests) => SOON,
        Some(Wait::Pods | Wait::Idle) | None => next.unwrap_or(LATER).clamp(SignedDuration::from_secs(1), LATER),
    };
    let requeue = lost::next(view).map_or(requeue, |left| left.max(SignedDuration::from_secs(1)).min(requeue));
    PoolDecision { desired, action, wait, requeue, next }
}

#[cfg(test)]
mod tests;
