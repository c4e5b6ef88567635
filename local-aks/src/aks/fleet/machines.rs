//! Machines that Azure takes back: the notice, and the end.

use jiff::Timestamp;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::super::faults::{OrderError, Reclaim, take};
use super::Fleet;
use super::preempt::strikes;
use super::standing::Faults;

/// A machine that is to be taken.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pool: String,
    machine: String,
    /// When it gets its notice; None once it has it.
    notice: Option<Timestamp>,
    /// When it stops.
    not_before: Timestamp,
    order: Reclaim,
}

/// What is to be done now with a machine that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Taking {
    /// Its node is told when it stops.
    Notice { machine: String, not_before: Timestamp, drain: bool },
    /// It stops. Deleted, its Node goes as well; else it stays as a deallocated machine does.
    Stop { machine: String, deleted: bool },
}

impl Taken {
    fn due(&self) -> Timestamp {
        self.notice.unwrap_or(self.not_before)
    }

    pub(super) fn show(&self) -> Value {
        json!({
            "pool": self.pool,
            "machine": self.machine,
            "notBefore": self.not_before.to_string(),
            "drain": self.order.drain,
        })
    }
}

impl Faults {
    /// When a machine is to be told or taken next.
    pub(super) fn next_taking(&self) -> Option<Timestamp> {
        self.taken.iter().map(Taken::due).min()
    }
}

impl Fleet {
    /// The pool of an order to reclaim a machine that is there, and the machines to choose from.
    pub(super) fn victims(&self, order: &Reclaim) -> Result<(String, Vec<String>), OrderError> {
        let fits = |machine: &String| {
            let named = order.machine.as_ref().is_none_or(|one| one == machine);
            named && self.faults.taken.iter().all(|taken| taken.machine != *machine)
        };
        let pools = self.pools.iter().filter(|(name, _)| order.pool.as_ref().is_none_or(|one| one == *name));
        let mut found = pools.map(|(name, pool)| {
            (name.clone(), pool.names(false).into_iter().filter(|machine| fits(machine)).collect::<Vec<_>>())
        });
        found.find(|(_, machines)| !machines.is_empty()).ok_or_else(|| {
            let pool = order.pool.as_deref().unwrap_or_default();
            match &order.machine {
                Some(machine) => OrderError::new("machine", format!("there is no machine '{machine}' to be taken")),
                None => OrderError::new("pool", format!("agent pool '{pool}' has no machine to be taken")),
            }
        })
    }

    /// Gives a machine that is there its notice.
    pub(super) fn reclaim(&mut self, order: &Reclaim, now: Timestamp) {
        let Ok((pool, machines)) = self.victims(order) else { return };
        let Some(machine) = machines.choose(&mut self.rng).cloned() else { return };
        self.plan(pool, machine, order.clone(), now);
    }

    /// A machine has come: is it one that is to be taken?
    pub(super) fn plan_reclaim(&mut self, pool: &str, machine: &str, now: Timestamp) {
        let user = self.is_user_pool(pool);
        if let Some(order) = take(&mut self.faults.reclaim, now, |order| strikes(order.pool.as_deref(), pool, user)) {
            let notice = order.after_seconds.after(now);
            self.plan(pool.to_owned(), machine.to_owned(), order, notice);
        }
    }

    fn plan(&mut self, pool: String, machine: String, order: Reclaim, notice: Timestamp) {
        let not_before = order.notice_seconds.after(notice);
        self.faults.taken.push(Taken { pool, machine, notice: Some(notice), not_before, order });
    }

    /// What is to be done now with machines that are taken. One that stops is gone from its pool at once, unless the
    /// pool keeps its machines deallocated.
    pub(in super::super) fn take_machines(&mut self, now: Timestamp) -> Vec<Taking> {
        let mut takings = Vec::new();
        for mut taken in std::mem::take(&mut self.faults.taken) {
            let machine = self.pools.get(&taken.pool).and_then(|pool| pool.machines.get(&taken.machine));
            if machine.is_none_or(|machine| machine.deallocated) {
                // Somebody else was quicker.
                continue;
            }
            if taken.notice.take_if(|notice| *notice <= now).is_some() {
                let (machine, not_before, drain) = (taken.machine.clone(), taken.not_before, taken.order.drain);
                takings.push(Taking::Notice { machine, not_before, drain });
            }
            if taken.due() <= now {
                let deleted = self.take_from_pool(&taken);
                takings.push(Taking::Stop { machine: taken.machine, deleted });
            } else {
                self.faults.taken.push(taken);
            }
        }
        takings
    }

    /// Whether the machine is deleted, as the pool's eviction policy says.
    fn take_from_pool(&mut self, taken: &Taken) -> bool {
        let etag = self.new_id();
        let count_falls = taken.order.count_falls.unwrap_or(self.settings.count_falls);
        let Some(pool) = self.pools.get_mut(&taken.pool) else { return true };
        if pool.properties.deallocates_evicted() {
            return false;
        }
        pool.machines.remove(&taken.machine);
        self.machines_deleted += 1;
        if count_falls && pool.busy_with.is_some() {
            // Until the operation has ended, the count is what it is to be. It may be about to delete this very machine.
            pool.recount = true;
        } else if count_falls {
            pool.properties.set_count(pool.counted());
            pool.etag = etag;
        }
        true
    }
}
