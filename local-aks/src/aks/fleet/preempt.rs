//! Another actor ends an operation and holds the pool in its place.

use jiff::Timestamp;

use super::super::faults::{Leaves, Preempt, take};
use super::super::operation::{Operation, Status, Step, Verb};
use super::super::work::Work;
use super::Fleet;

impl Fleet {
    /// Ends a pool's operation Canceled. Machines that are being made come nevertheless: the operation that takes its
    /// place lasts until they are there, and counts them. Its id; None where nothing is under way.
    pub(in super::super) fn preempt(&mut self, name: &str, order: &Preempt, now: Timestamp) -> Option<String> {
        let ended = self.pools.get(name)?.busy_with.clone()?;
        let (other, etag) = (self.new_id(), self.new_id());
        let operation = self.operations.get_mut(&ended)?;
        operation.end(Status::Canceled, Some(Preempt::failure(&other)), now);
        operation.heir = Some(other.clone());
        let mut heir = Operation::new(name, Verb::Preempting, now);
        heir.acting = operation.acting;
        heir.leaves = Some(order.leaves.status());
        heir.steps = vec![Step { due: order.holds_seconds.after(now), work: Work::default() }];
        self.operations.insert(other.clone(), heir);
        let pool = self.pools.get_mut(name)?;
        pool.state = if order.leaves == Leaves::Canceled { "Canceling" } else { "Updating" };
        pool.etag = etag;
        pool.busy_with = Some(other.clone());
        Some(other)
    }

    /// When a new operation of a pool is to be ended, if it is.
    pub(super) fn plan_preemption(&mut self, name: &str, now: Timestamp) -> Option<(Timestamp, Preempt)> {
        let user = self.is_user_pool(name);
        let order = take(&mut self.faults.preempt, now, |order| strikes(order.pool.as_deref(), name, user))?;
        Some((order.after_seconds.after(now), order))
    }

    /// Ends the operations whose time has come.
    pub(super) fn preempt_due(&mut self, now: Timestamp) {
        let due: Vec<(String, Preempt)> = self
            .operations
            .values_mut()
            .filter(|operation| operation.preempted.as_ref().is_some_and(|(at, _)| *at <= now))
            .filter_map(|operation| Some((operation.pool.clone(), operation.preempted.take()?.1)))
            .collect();
        for (pool, order) in due {
            self.preempt(&pool, &order, now);
        }
    }

    /// Who takes in what became of an operation's work: the operation, or the last that took its place.
    pub(super) fn heir(&self, id: &str) -> String {
        let mut id = id;
        while let Some(heir) = self.operations.get(id).and_then(|operation| operation.heir.as_deref()) {
            id = heir;
        }
        id.to_owned()
    }

    /// Faults that name no pool leave system pools alone: a cluster without its system node is no cluster.
    pub(super) fn is_user_pool(&self, name: &str) -> bool {
        self.pools.get(name).is_some_and(|pool| !pool.properties.is_system())
    }
}

/// Whether a fault is meant for a pool.
pub(super) fn strikes(meant: Option<&str>, name: &str, user: bool) -> bool {
    meant.map_or(user, |meant| meant == name)
}
