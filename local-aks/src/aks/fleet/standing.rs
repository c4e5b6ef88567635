//! The faults of pools and operations that stand, and how they are ordered, shown and cleared.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::error::{ApiError, Failure};
use super::super::faults::{
    At, FaultOrder, NeverReady, OrderError, Preempt, ProvisioningFault, Quota, Reclaim, Standing, Use, cores, each,
    take,
};
use super::super::properties::Properties;
use super::Fleet;
use super::machines::Taken;
use super::preempt::strikes;
use crate::MachineSpec;

/// What stands.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) provisioning: Vec<Standing<ProvisioningFault>>,
    pub(super) quota: Vec<Quota>,
    pub(super) preempt: Vec<Standing<Preempt>>,
    pub(super) never_ready: Vec<Standing<NeverReady>>,
    pub(super) reclaim: Vec<Standing<Reclaim>>,
    /// Machines that have had their notice, or will have it.
    pub(super) taken: Vec<Taken>,
}

impl Fleet {
    /// Whether an order names pools, machines and operations that there are.
    pub(in super::super) fn check(&self, order: &FaultOrder) -> Result<(), OrderError> {
        let known = |pool: &Option<String>| match pool {
            Some(pool) if !self.pools.contains_key(pool) => {
                let pools = self.pools.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(OrderError::new("pool", format!("there is no agent pool '{pool}', only {pools}")))
            }
            _ => Ok(()),
        };
        each("provisioning", &order.provisioning, |fault| known(&fault.pool))?;
        each("quota", &order.quota, |fault| known(&fault.pool))?;
        each("neverReady", &order.never_ready, |fault| known(&fault.pool))?;
        each("preempt", &order.preempt, |fault| {
            known(&fault.pool)?;
            let Some(name) = fault.pool.as_ref().filter(|_| fault.count.is_none()) else { return Ok(()) };
            if self.pools.get(name).is_some_and(|pool| pool.busy_with.is_some()) {
                return Ok(());
            }
            Err(OrderError::new("pool", format!("no operation is under way on agent pool '{name}'")))
        })?;
        each("reclaim", &order.reclaim, |fault| {
            known(&fault.pool)?;
            if fault.count.is_some() { Ok(()) } else { self.victims(fault).map(drop) }
        })
    }

    /// Carries out an order that was [checked](Self::check).
    pub(in super::super) fn order(&mut self, order: &FaultOrder, now: Timestamp) {
        for fault in &order.provisioning {
            let standing = Standing::new(fault.clone(), fault.times(), fault.seconds, now);
            self.faults.provisioning.push(standing);
        }
        for quota in &order.quota {
            self.faults.quota.retain(|old| old.pool != quota.pool);
            self.faults.quota.push(quota.clone());
        }
        for fault in &order.never_ready {
            self.faults.never_ready.push(Standing::new(fault.clone(), Some(fault.count), None, now));
        }
        for fault in &order.preempt {
            match (&fault.pool, fault.count) {
                (_, Some(count)) => self.faults.preempt.push(Standing::new(fault.clone(), Some(count), None, now)),
                (Some(pool), None) => drop(self.preempt(pool, fault, now)),
                (None, None) => {}
            }
        }
        for fault in &order.reclaim {
            match fault.count {
                Some(count) => self.faults.reclaim.push(Standing::new(fault.clone(), Some(count), None, now)),
                None => self.reclaim(fault, now),
            }
        }
    }

    /// Clears what stands of one kind, named as in an order. A machine that has had its notice is left where it is.
    pub(in super::super) fn clear(&mut self, kind: &str) {
        match kind {
            "provisioning" => self.faults.provisioning.clear(),
            "quota" => self.faults.quota.clear(),
            "preempt" => {
                self.faults.preempt.clear();
                self.operations.values_mut().for_each(|operation| operation.preempted = None);
            }
            "neverReady" => self.faults.never_ready.clear(),
            "reclaim" => {
                self.faults.reclaim.clear();
                self.faults.taken.clear();
            }
            _ => {}
        }
    }

    /// What stands, in the form of an order, and the machines that are about to be taken.
    pub(in super::super) fn show_faults(&self, now: Timestamp) -> Value {
        fn show<T: Serialize>(list: &[Standing<T>], now: Timestamp) -> Value {
            list.iter().filter(|one| one.stands(now)).map(|one| one.show(now)).collect()
        }
        json!({
            "provisioning": show(&self.faults.provisioning, now),
            "quota": self.faults.quota,
            "preempt": show(&self.faults.preempt, now),
            "neverReady": show(&self.faults.never_ready, now),
            "reclaim": show(&self.faults.reclaim, now),
            "notices": self.faults.taken.iter().map(Taken::show).collect::<Value>(),
        })
    }

    /// Whether so many machines more are over a quota: refused at once, or what the operation will fail with.
    pub(super) fn over_quota(&self, name: &str, next: &Properties, more: usize) -> Result<Option<Failure>, ApiError> {
        if more == 0 {
            return Ok(None);
        }
        let (size, location) = (next.vm_size(), self.scope.location.as_str());
        for quota in self.faults.quota.iter().filter(|quota| quota.covers(name)) {
            for (limit, in_cores) in [(quota.cores, true), (quota.machines, false)] {
                let Some(limit) = limit else { continue };
                let worth = |size: &str| if in_cores { cores(size) } else { 1 };
                let covered = self.pools.iter().filter(|(other, _)| quota.covers(other));
                let used = covered.map(|(other, pool)| {
                    // What another pool has been granted is gone, though its machines are still to come.
                    let granted = if other == name { 0 } else { pool.properties.machines_wanted() };
                    granted.max(pool.machines.len() as u64).saturating_mul(worth(pool.properties.vm_size()))
                });
                let more = (more as u64).saturating_mul(worth(size));
                let needs = Use { used: used.sum(), more, limit, cores: in_cores };
                if needs.fits() {
                    continue;
                }
                return match quota.at {
                    At::Request => Err(needs.refusal(size, location)),
                    At::Operation => Ok(Some(needs.failure(location))),
                };
            }
        }
        Ok(None)
    }

    /// What the faults that stand do to the machines that come by a new operation; why it will fail, if it will.
    pub(super) fn trouble(
        &mut self,
        name: &str,
        come: &mut Vec<MachineSpec>,
        over_quota: Option<Failure>,
        now: Timestamp,
    ) -> Option<Failure> {
        let user = self.is_user_pool(name);
        let mut doomed = over_quota;
        if doomed.is_some() {
            // A scale set is granted its new capacity whole, or not at all.
            come.clear();
        }
        if !come.is_empty() {
            let fault = take(&mut self.faults.provisioning, now, |fault| strikes(fault.pool.as_deref(), name, user));
            if let Some(fault) = fault {
                come.truncate(fault.machines);
                doomed = Some(fault.failure());
            }
        }
        for machine in come {
            let fault = take(&mut self.faults.never_ready, now, |fault| strikes(fault.pool.as_deref(), name, user));
            if let Some(fault) = fault {
                machine.becomes = fault.becomes();
            }
        }
        doomed
    }
}
