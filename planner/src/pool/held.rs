//! Nodes that are somebody else's: nothing is done to them. What the work needs of them is told, and how many are to be held
//! for work to come, so that whoever scales them adds and keeps them.

use jiff::SignedDuration;

use super::lost::Lost;
use super::plan::Plan;
use super::view::PoolView;

/// What work needs of nodes that are somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Nodes that the work that is there has or needs, within the maximum.
    pub needed: u32,
    /// Nodes to hold beyond those, for work that is to come within the lead.
    pub held: u32,
    /// When more are to be held though nothing happens, if so.
    pub next: Option<SignedDuration>,
}

/// Decides how many nodes to hold. Each has its own pod that holds it, so no operation is in the way of another, and each
/// demand is held for as long before as its nodes take.
#[must_use]
pub fn held(view: &PoolView) -> Held {
    let plan = Plan::of(view, &Lost::of(view));
    let (held, next) = plan.held(view);
    Held { needed: plan.needed, held, next }
}
