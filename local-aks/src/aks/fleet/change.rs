//! From what a pool is to what a PUT wants it to be: which machines go, and which come.

use std::time::Duration;

use jiff::Timestamp;
use rand::seq::IndexedRandom;

use super::super::error::ApiError;
use super::super::machine::machine_name;
use super::super::operation::Verb;
use super::super::properties::Properties;
use super::super::work::{Restyle, Work};
use super::{Fleet, Pool, not_found};
use crate::MachineSpec;
use crate::machines::Becomes;

impl Fleet {
    /// Starts the operation that brings a pool from what it is to `next`.
    pub(super) fn change(
        &mut self,
        name: &str,
        next: Properties,
        verb: Verb,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let pool = self.pool(name)?;
        let wanted = usize::try_from(next.machines_wanted()).unwrap_or(usize::MAX);
        let (counted, asleep) = (pool.names(false), pool.names(true));
        let missing = wanted.saturating_sub(counted.len());
        // Those that are deallocated have their cores already.
        let wakes = if next.deallocates() { missing.min(asleep.len()) } else { 0 };
        let over_quota = self.over_quota(name, &next, missing - wakes)?;

        // AKS does not say whom it takes; whoever counts on an order is wrong.
        let mut delete = self.choose(&counted, counted.len().saturating_sub(wanted));
        let mut deallocate = Vec::new();
        if next.deallocates() {
            std::mem::swap(&mut delete, &mut deallocate);
        } else {
            delete.extend(asleep.iter().cloned());
        }
        let mut come: Vec<MachineSpec> =
            self.choose(&asleep, wakes).into_iter().map(|machine| spec(machine, name, &next)).collect();
        let digits = self.digits;
        let pool = self.pools.get_mut(name).ok_or_else(|| not_found(name))?;
        for _ in wakes..missing {
            come.push(spec(machine_name(name, digits, pool.next_index), name, &next));
            pool.next_index += 1;
        }
        let restyle = restyle(name, pool, &next, &delete);
        pool.properties = next;

        let mut delays: Vec<Duration> =
            come.iter().map(|_| self.settings.provisioning.draw(&mut self.delays)).collect();
        delays.sort();
        let doomed = self.trouble(name, &mut come, over_quota, now);
        let going = !delete.is_empty() || !deallocate.is_empty();
        let deleting = if going { self.settings.deleting } else { Duration::ZERO };
        let first = delays.first().copied().unwrap_or_else(|| self.settings.updating.max(deleting));
        let mut steps = vec![(first, Work { delete, deallocate, restyle, ..Work::default() })];
        steps.extend(come.into_iter().zip(delays).map(|(one, delay)| {
            let wakes = asleep.contains(&one.name);
            let one = vec![one];
            let (start, create) = if wakes { (one, Vec::new()) } else { (Vec::new(), one) };
            (delay, Work { start, create, ..Work::default() })
        }));
        let id = self.begin(name, verb, steps, now)?;
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.doomed = doomed;
        }
        Ok(id)
    }

    /// So many of some machines, at random.
    fn choose(&mut self, machines: &[String], count: usize) -> Vec<String> {
        if count == 0 {
            return Vec::new();
        }
        let mut chosen: Vec<String> = machines.choose_multiple(&mut self.rng, count).cloned().collect();
        chosen.sort();
        chosen
    }
}

impl Pool {
    /// How many of its machines are in its count: all but those that were deallocated.
    pub(super) fn counted(&self) -> u64 {
        self.machines.values().filter(|machine| !machine.deallocated).count() as u64
    }

    /// Its machines that are deallocated, or those that are not.
    pub(super) fn names(&self, deallocated: bool) -> Vec<String> {
        let names = self.machines.iter().filter(|(_, machine)| machine.deallocated == deallocated);
        names.map(|(name, _)| name.clone()).collect()
    }
}

fn spec(machine: String, pool: &str, properties: &Properties) -> MachineSpec {
    MachineSpec {
        name: machine,
        pool: pool.to_owned(),
        labels: properties.node_labels(pool),
        taints: properties.node_taints(),
        vm_size: properties.vm_size().to_owned(),
        becomes: Becomes::Ready,
    }
}

/// The nodes of machines that are deallocated are still there, and change with the others.
fn restyle(name: &str, pool: &Pool, next: &Properties, delete: &[String]) -> Option<Restyle> {
    let kept = pool.machines.keys().filter(|machine| !delete.contains(machine)).cloned().collect();
    Restyle::between(name, &pool.properties, next, kept)
}
