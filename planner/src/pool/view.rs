//! A pool as it is, and the part that each machine plays in it.

use jiff::{SignedDuration, Timestamp};

use super::lost::{OutOfService, Readiness};
use super::{NEVER_JOINED_LIMIT, NODE_GONE_LIMIT, NOT_READY_LIMIT};
use crate::bucket::Bucket;
use crate::capacity::Resources;
use crate::provisioning::Measured;
use crate::warmth::{End, Expected, Policy, Prewarm, Waiting};

/// A node that is idle so soon after it was Ready has had no pods.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

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
    /// When idle nodes go.
    pub policy: Policy,
    /// How long before ticks nodes are asked for.
    pub prewarm: Prewarm,
    /// How long nodes take to come and to go.
    pub measured: Measured,
    /// What ticks will bring, as far ahead as is known; what is beyond [`crate::warmth::Horizons::longest`] matters later.
    pub expected: Vec<Expected>,
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
    pub work: Vec<Waiting>,
    /// What is left of the PUTs.
    pub puts: Bucket,
    /// What holds operations back.
    pub back_off: BackOff,
}

/// What holds operations back for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackOff {
    /// None at all before this: the last one was refused, or has only just been accepted.
    pub all: Option<Timestamp>,
    /// None that adds machines before this: there were none to be had. Idle ones go all the same.
    pub growth: Option<Timestamp>,
    /// The most machines to add at a time, after more were refused.
    pub most: Option<u32>,
}

impl BackOff {
    /// Whether machines that were asked for were not to be had, and none have come since.
    pub(super) fn was_refused(&self) -> bool {
        self.growth.is_some() || self.most.is_some()
    }
}

impl PoolView {
    /// Whether that time is still to come.
    pub(super) fn is_before(&self, then: Option<Timestamp>) -> bool {
        then.is_some_and(|then| self.now < then)
    }
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
    /// Since when the node that it was is not there any more.
    pub node_gone: Option<Timestamp>,
}

/// A node of the pool.
#[derive(Clone, Debug)]
pub struct Node {
    /// Whether it is Ready.
    pub ready: Readiness,
    /// Since when it is, or is not.
    pub since: Timestamp,
    /// It has registered, or was started again, and has not been Ready since: it is on its way rather than lost.
    pub joining: bool,
    /// It carries the taint that makes Kubernetes give up its pods.
    pub out_of_service: Option<OutOfService>,
    /// Nothing new is scheduled onto it.
    pub cordoned: bool,
    /// Since when this operator keeps it cordoned in order to delete it.
    pub draining_since: Option<Timestamp>,
    /// Something is on it that must not be lost: pods, or ended pods whose end is not written down yet.
    pub busy: bool,
    /// When its pods will have ended, if known.
    pub busy_until: Option<Timestamp>,
    /// What those of them give back that end before, as far as known.
    pub ends: Vec<End>,
    /// Since when it is not busy.
    pub idle_since: Option<Timestamp>,
    /// It was last used by work that no tick had foretold: a run by hand.
    pub unforeseen: bool,
    /// What is free on it.
    pub free: Resources,
}

/// A machine's part in the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Pods are on it.
    Busy,
    /// Ready and empty.
    Idle,
    /// On its way.
    Coming,
    /// Cordoned by us in order to go.
    Draining,
    /// Of no use for new pods: lost, out of service, or cordoned by somebody else.
    Unusable,
    /// Its deletion has been asked for, or only a Node is left.
    Gone,
}

impl Machine {
    pub(super) fn role(&self, now: Timestamp) -> Role {
        let Some(node) = &self.node else {
            return match () {
                () if self.leaving || !self.listed => Role::Gone,
                () if self.never_joins(now) => Role::Unusable,
                () => Role::Coming,
            };
        };
        match () {
            () if self.leaving || !self.listed => Role::Gone,
            () if node.busy => Role::Busy,
            () if !node.has_room(now) => Role::Unusable,
            () if node.draining_since.is_some() => Role::Draining,
            () if node.cordoned => Role::Unusable,
            () if !node.ready.is_ready() => Role::Coming,
            () => Role::Idle,
        }
    }

    /// Whether new pods may be put onto it.
    pub(super) fn takes_pods(&self, role: Role, now: Timestamp) -> bool {
        let node = self.node.as_ref();
        match role {
            Role::Busy => node.is_some_and(|n| {
                // A draining node onto which a pod slipped is uncordoned, so it takes more.
                (!n.cordoned || n.draining_since.is_some()) && n.has_room(now)
            }),
            Role::Idle | Role::Coming | Role::Draining => true,
            Role::Unusable | Role::Gone => false,
        }
    }

    /// Since when it is there, if nothing has been on it yet.
    pub(super) fn fresh_since(&self) -> Option<Timestamp> {
        self.node.as_ref().is_some_and(Node::is_fresh).then_some(self.seen)
    }

    /// Whether it has not been Ready for so long, or never was a node, that it is of no use any more.
    pub(super) fn is_dead(&self, now: Timestamp, not_ready: SignedDuration) -> bool {
        match &self.node {
            Some(node) => !node.ready.is_ready() && age(now, node.since) >= not_ready,
            None => self.never_joins(now),
        }
    }

    /// Whether no node is to be expected of it: it has had long enough to register, or to do so again after somebody deleted
    /// its Node. A kubelet that runs does not register anew by itself.
    fn never_joins(&self, now: Timestamp) -> bool {
        match self.node_gone {
            Some(since) => age(now, since) >= NODE_GONE_LIMIT,
            None => age(now, self.seen) >= NEVER_JOINED_LIMIT,
        }
    }
}

impl Node {
    /// Whether it is lost, so that others take the place of its pods.
    pub(super) fn is_lost(&self, now: Timestamp) -> bool {
        self.grace().is_some_and(|grace| age(now, self.since) >= grace)
    }

    /// How long it may be as it is until it is lost.
    pub(super) fn grace(&self) -> Option<SignedDuration> {
        let grace = self.ready.grace()?;
        Some(if self.joining { NOT_READY_LIMIT } else { grace })
    }

    /// Whether nothing has ever been on it, as far as its times tell: it was asked for ahead of its work.
    fn is_fresh(&self) -> bool {
        self.idle_since.is_some_and(|since| age(since, self.since) <= FRESH)
    }

    fn has_room(&self, now: Timestamp) -> bool {
        self.out_of_service.is_none() && !self.is_lost(now)
    }
}

/// How long ago that was.
pub(super) fn age(now: Timestamp, since: Timestamp) -> SignedDuration {
    now.duration_since(since)
}
