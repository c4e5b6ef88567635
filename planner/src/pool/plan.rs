//! How many nodes are wanted, and which of those at hand.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::lost::Lost;
use super::view::{Machine, Node, PoolView, Role, age};
use super::wants::Wants;
use crate::capacity::Resources;
use crate::need::{Unplaced, need};
use crate::warmth::Policy;

/// The machines by their part, and how many are wanted.
pub(super) struct Plan<'a> {
    pub(super) machines: Vec<(&'a Machine, Role)>,
    /// Needed by pods, with or without a node; the names of those that are there.
    used: Vec<&'a str>,
    /// Nodes that the work that is there has or needs.
    pub(super) needed: u32,
    /// Nodes wanted, of those that can be used.
    pub(super) desired: u32,
    /// What the count should be, those of no use included.
    pub(super) target: u32,
    /// Machines that AKS has or may have.
    pub(super) listed: u32,
    /// How many may leave without falling below what is wanted.
    pub(super) spare: u32,
    /// How many are above the maximum.
    pub(super) excess: u32,
    /// Lost nodes without pods, in whose place others are needed: the maximum leaves no other. In order.
    in_the_way: Vec<String>,
    /// What is wanted for work to come.
    wants: Wants,
}

impl<'a> Plan<'a> {
    pub(super) fn of(view: &'a PoolView, lost: &Lost) -> Self {
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
        let mut free: Vec<&Resources> = hands
            .iter()
            .map(|(m, role)| match (&m.node, role) {
                (Some(node), Role::Busy | Role::Idle) => &node.free,
                _ => &empty,
            })
            .collect();
        free.extend((0..nameless).map(|_| &empty));
        let usable = size(free.len());
        let others = unusable + stuck;
        let most_new = if view.paused { 0 } else { view.max.saturating_sub(usable + others) };
        let mut in_the_way = lost.replaceable(view);
        // As many as the maximum leaves, and those that would be if the lost ones were gone: the former do not change by it.
        let most = most_new.saturating_add(size(in_the_way.len()));
        let work: Vec<&Unplaced> = view.work.iter().map(|work| &work.pods).collect();
        let need = |free: &[&Resources]| need(&work, free, view.capacity.as_ref(), most);
        let at_once = need(&free);
        // Work that finds room on busy nodes before a new node could come needs none.
        let in_time = now.saturating_add(view.measured.p50).unwrap_or(now);
        let wished = if at_once.new == 0 {
            0
        } else {
            let grown: Vec<_> = hands.iter().map(|(m, _)| room_at(m, in_time, &empty)).collect();
            let grown = grown.iter().map(Option::as_deref).chain(std::iter::repeat(None));
            let later: Vec<&Resources> = free.iter().zip(grown).map(|(room, grown)| grown.unwrap_or(room)).collect();
            need(&later).new.min(at_once.new)
        };
        let new = wished.min(most_new);
        let waits = new < at_once.new.min(most_new);
        in_the_way.truncate((wished - new) as usize);
        in_the_way.sort_unstable();

        let placed = |at: &usize| hands.get(*at).map(|(m, _)| m.name.as_str());
        let mut used: Vec<&str> = at_once.used.iter().filter_map(placed).collect();
        used.extend(hands.iter().filter(|(_, role)| *role == Role::Busy).map(|(m, _)| m.name.as_str()));
        used.sort_unstable();
        used.dedup();
        let to_come = size(at_once.used.iter().filter(|at| **at >= hands.len()).count());

        let min = view.min.min(view.max);
        let delay = if waits { view.measured.p50 } else { SignedDuration::ZERO };
        let mut wants = Wants::of(view, &hands, delay);
        let needed = (size(used.len()) + to_come + new).min(view.max);
        let wanted = (size(used.len()) + to_come + new).max(if view.paused { min.min(usable) } else { min });
        let desired = wants.desired(wanted, usable, view.max).min(view.max);
        let target = (desired + others).min(view.max.max(listed - gone));
        let spare = usable.saturating_sub(desired);
        let excess = (listed - gone).saturating_sub(view.max);
        Self { used, needed, desired, target, listed, spare, excess, in_the_way, wants, machines }
    }

    /// Whether machines are to be added.
    pub(super) fn grows(&self) -> bool {
        self.target > self.listed
    }

    pub(super) fn names(&self, chosen: impl Fn(&Machine, Role) -> bool) -> Vec<String> {
        self.machines.iter().filter(|(m, role)| chosen(m, *role)).map(|(m, _)| m.name.clone()).collect()
    }

    pub(super) fn is_used(&self, machine: &Machine) -> bool {
        self.used.binary_search(&machine.name.as_str()).is_ok()
    }

    /// Whether it is lost, and another is needed in its place.
    pub(super) fn is_in_the_way(&self, machine: &Machine) -> bool {
        self.in_the_way.binary_search(&machine.name).is_ok()
    }

    /// Whether a node that is not needed may go by now.
    pub(super) fn is_due(&self, view: &PoolView, node: &Node) -> bool {
        let stays = self.stays(view, node);
        matches!((stays, node.idle_since), (Some(stays), Some(since)) if age(view.now, since) >= stays)
    }

    /// How long a node that is not needed stays idle; `None`: for ever.
    fn stays(&self, view: &PoolView, node: &Node) -> Option<SignedDuration> {
        match view.policy {
            Policy::Never => None,
            Policy::After(after) => Some(after),
            // Somebody else's cordon is no reason to hurry either.
            Policy::BreakEven if node.unforeseen || node.cordoned => Some(self.wants.horizons.break_even),
            Policy::BreakEven => Some(SignedDuration::ZERO),
        }
    }

    /// How many nodes to hold for work to come, beyond those needed, and how long until there are to be more.
    pub(super) fn held(&self, view: &PoolView) -> (u32, Option<SignedDuration>) {
        self.wants.held(self.needed, view.max)
    }

    /// How long until something is to be done though nothing happens: the next idle node is due to go, or nodes are to
    /// be asked for.
    pub(super) fn next_due(&self, view: &PoolView) -> Option<SignedDuration> {
        let nodes = self.machines.iter().filter_map(|(m, _)| m.node.as_ref());
        let go = nodes.filter_map(|node| Some(self.stays(view, node)? - age(view.now, node.idle_since?)));
        go.filter(|left| left.is_positive()).chain(self.wants.next).min()
    }
}

/// What will be free on a busy node then, if more than now.
fn room_at<'a>(machine: &Machine, then: Timestamp, empty: &'a Resources) -> Option<Cow<'a, Resources>> {
    let node = machine.node.as_ref().filter(|node| node.busy)?;
    if node.busy_until.is_some_and(|until| until <= then) {
        return Some(Cow::Borrowed(empty));
    }
    let ends = node.ends.iter().filter(|end| end.at <= then);
    let plus = |room: Option<Resources>, frees| Some(room.unwrap_or_else(|| node.free.clone()).plus(frees));
    ends.map(|end| &end.frees).fold(None, plus).map(Cow::Owned)
}

fn size(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
