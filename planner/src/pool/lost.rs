//! Nodes that are lost: Kubernetes is told to give up their pods, so that others take their place within two minutes.
//!
//! A silent kubelet shows after some 50 s, as `Ready=Unknown`. The node is then given a little longer and declared out of
//! service, and within 20 s Kubernetes' pod garbage collection lets go of the pods that are stuck on it.

use jiff::{SignedDuration, Timestamp};

use super::Action;
use super::view::{Machine, Node, PoolView, Role, age};

/// How long a kubelet is not heard of, after Kubernetes says so, until its node is lost.
pub const SILENT_GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How long a kubelet says itself that it is not Ready until its node is lost. Scorer pods tolerate that for 60 s, and a
/// kubelet that still works ends them within the 30 s after that.
pub const NOT_READY_GRACE: SignedDuration = SignedDuration::from_secs(90);
/// From so many lost nodes on, which are more than half of the pool, it is rather the way to them that is lost.
const OUTAGE: usize = 3;

/// Whether a node is Ready, as Kubernetes tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is.
    Ready,
    /// Its kubelet says that it is not.
    NotReady,
    /// Its kubelet is not heard of: the condition is Unknown.
    Silent,
}

impl Readiness {
    /// Whether pods can run on it.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }

    /// Whether a node that has been so since then is lost.
    #[must_use]
    pub fn is_lost(self, since: Timestamp, now: Timestamp) -> bool {
        self.grace().is_some_and(|grace| age(now, since) >= grace)
    }

    pub(super) fn grace(self) -> Option<SignedDuration> {
        match self {
            Self::Ready => None,
            Self::NotReady => Some(NOT_READY_GRACE),
            Self::Silent => Some(SILENT_GRACE),
        }
    }
}

/// Who declared a node out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfService {
    /// This operator, which takes it back.
    Ours,
    /// Somebody else.
    Theirs,
}

/// The lost nodes of a pool.
#[derive(Clone, Debug)]
pub struct Lost<'a> {
    /// Their machines.
    pub machines: Vec<&'a Machine>,
    /// So many of the pool's that nothing is done about those whose machines AKS still has: that all of them broke at
    /// once is less likely than that the API server does not hear of them.
    pub outage: bool,
}

impl<'a> Lost<'a> {
    /// Those of a pool.
    #[must_use]
    pub fn of(view: &'a PoolView) -> Self {
        let is_lost = |machine: &&Machine| machine.node.as_ref().is_some_and(|node| node.is_lost(view.now));
        let stays = |machine: &&Machine| machine.listed && !machine.leaving && machine.node.is_some();
        let machines: Vec<&Machine> = view.machines.iter().filter(is_lost).collect();
        let all = view.machines.iter().filter(stays).count();
        let lost = machines.iter().copied().filter(stays).count();
        Self { machines, outage: lost >= OUTAGE && lost * 2 > all }
    }

    /// Which nodes to declare out of service, or in service again, if any.
    pub(super) fn change(&self, view: &PoolView) -> Option<Action> {
        let is_back = |node: &Node| node.ready.is_ready() && node.out_of_service == Some(OutOfService::Ours);
        let back = names(view.machines.iter(), is_back);
        if !back.is_empty() {
            return Some(Action::InService(back));
        }
        // Where no pod waits to be replaced, the node is only of no use.
        let is_stuck = |node: &Node| node.busy && node.out_of_service.is_none();
        let certain = self.machines.iter().copied().filter(|machine| !self.outage || !machine.listed);
        let stuck = names(certain, is_stuck);
        (!stuck.is_empty()).then_some(Action::OutOfService(stuck))
    }

    /// Those without pods, whose machines may make room for others.
    pub(super) fn replaceable(&self, view: &PoolView) -> Vec<String> {
        let may = !self.outage && !view.paused;
        let empty = |machine: &&&Machine| may && machine.role(view.now) == Role::Unusable;
        self.machines.iter().filter(empty).map(|machine| machine.name.clone()).collect()
    }
}

fn names<'a>(machines: impl Iterator<Item = &'a Machine>, is: impl Fn(&Node) -> bool) -> Vec<String> {
    machines.filter(|machine| machine.node.as_ref().is_some_and(&is)).map(|machine| machine.name.clone()).collect()
}

/// When the next node that is not Ready will be lost.
pub(super) fn next(view: &PoolView) -> Option<SignedDuration> {
    let nodes = view.machines.iter().filter_map(|machine| machine.node.as_ref());
    let left = nodes.filter_map(|node| Some(node.grace()? - age(view.now, node.since)));
    left.filter(|left| left.is_positive()).min()
}
