//! How operations begin, wait, give out their work, and end.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;

use super::super::error::{ApiError, Failure};
use super::super::machine::{Machine, machine_name};
use super::super::operation::{Operation, Status, Verb};
use super::super::properties::Properties;
use super::super::work::{Outcome, Restyle, Work};
use super::{Fleet, not_found};
use crate::MachineSpec;

impl Fleet {
    /// Ends the running operation Canceled, as long as its machines are not being made; None where none runs.
    pub(in super::super) fn abort(&mut self, name: &str, now: Timestamp) -> Result<Option<String>, ApiError> {
        let Some(id) = self.pool(name)?.busy_with.clone() else { return Ok(None) };
        if self.operations.get(&id).is_some_and(|operation| operation.due.is_none()) {
            return Err(ApiError::new(
                400,
                "OperationNotAllowed",
                format!("The operation on agent pool '{name}' can no longer be aborted."),
            ));
        }
        self.end(&id, Status::Canceled, None, now);
        let record = self.new_id();
        let mut operation = Operation::new(name, Verb::Updating, now);
        operation.end(Status::Succeeded, None, now);
        self.operations.insert(record.clone(), operation);
        Ok(Some(record))
    }

    /// When the next operation's delay is over.
    pub(in super::super) fn next_due(&self) -> Option<Timestamp> {
        self.operations.values().filter_map(|operation| operation.due).min()
    }

    /// The work whose time has come. Each is given out once; [`Fleet::finish`] must follow.
    pub(in super::super) fn take_due(&mut self, now: Timestamp) -> Vec<Work> {
        let due: Vec<String> = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.due.is_some_and(|due| due <= now))
            .map(|(id, _)| id.clone())
            .collect();
        let mut given = Vec::new();
        for id in due {
            let Some(operation) = self.operations.get_mut(&id) else { continue };
            operation.due = None;
            let Some(mut work) = operation.work.take() else { continue };
            if !work.create.is_empty() && !self.provisioning_faults.is_empty() {
                let fault = self.provisioning_faults.remove(0);
                work.create.truncate(fault.machines);
                work.doomed = Some(fault.failure);
            }
            given.push(work);
        }
        given
    }

    /// Takes in what became of an operation's work, and ends the operation.
    pub(in super::super) fn finish(&mut self, id: &str, outcome: Outcome, now: Timestamp) {
        let Some(name) = self.operations.get(id).filter(|operation| operation.is_running()).map(|o| o.pool.clone())
        else {
            return;
        };
        let digits = self.digits;
        let Some(pool) = self.pools.get_mut(&name) else { return };
        let zones = pool.properties.zones();
        for machine in &outcome.deleted {
            if pool.machines.remove(machine).is_some() {
                self.machines_deleted += 1;
            }
        }
        for machine in outcome.created {
            self.machines_made += 1;
            if let Some(made) = Machine::parse(&machine, &name, digits, &zones) {
                pool.machines.insert(machine, made);
            }
        }
        match outcome.error {
            None => self.end(id, Status::Succeeded, None, now),
            Some(failure) => self.end(id, Status::Failed, Some(failure), now),
        }
    }

    fn end(&mut self, id: &str, status: Status, failure: Option<Failure>, now: Timestamp) {
        let etag = self.new_id();
        let Some(operation) = self.operations.get_mut(id) else { return };
        operation.end(status, failure.clone(), now);
        let (name, verb) = (operation.pool.clone(), operation.verb);
        if verb == Verb::Deleting && status == Status::Succeeded {
            self.pools.remove(&name);
            return;
        }
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.busy_with = None;
        pool.state = status.provisioning_state();
        pool.etag = etag;
        pool.failure = failure;
        // An operation that did not reach its goal leaves the count at what there is.
        let counted = match (status, verb) {
            (Status::Succeeded, Verb::DeletingMachines) => self.settings.count_falls,
            (Status::Succeeded, _) => false,
            _ => true,
        };
        if counted && !pool.properties.is_stopped() {
            pool.properties.set_count(pool.machines.len() as u64);
        }
    }

    /// Starts the operation that brings a pool from what it is to `next`.
    pub(super) fn change(
        &mut self,
        name: &str,
        next: Properties,
        verb: Verb,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let pool = self.pools.get_mut(name).ok_or_else(|| not_found(name))?;
        let wanted = usize::try_from(next.machines_wanted()).unwrap_or(usize::MAX);
        let mut delete: Vec<String> = Vec::new();
        let mut create = Vec::new();
        if wanted < pool.machines.len() {
            // AKS does not say whom it takes; whoever counts on an order is wrong.
            let names: Vec<&String> = pool.machines.keys().collect();
            delete =
                names.choose_multiple(&mut self.rng, names.len() - wanted).map(|victim| (*victim).clone()).collect();
            delete.sort();
        }
        for _ in pool.machines.len()..wanted {
            create.push(MachineSpec {
                name: machine_name(name, self.digits, pool.next_index),
                pool: name.to_owned(),
                labels: next.node_labels(name),
                taints: next.node_taints(),
                vm_size: next.vm_size().to_owned(),
            });
            pool.next_index += 1;
        }
        let kept: Vec<String> = pool.machines.keys().filter(|machine| !delete.contains(machine)).cloned().collect();
        let restyle = Restyle::between(name, &pool.properties, &next, kept);
        pool.properties = next;
        let mut delay = self.settings.updating;
        if !delete.is_empty() {
            delay = delay.max(self.settings.deleting);
        }
        if !create.is_empty() {
            delay = self.settings.provisioning;
        }
        self.begin(name, verb, Work { operation: String::new(), delete, create, restyle, doomed: None }, delay, now)
    }

    pub(super) fn begin(
        &mut self,
        name: &str,
        verb: Verb,
        work: Work,
        delay: Duration,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let (id, etag) = (self.new_id(), self.new_id());
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::ZERO);
        let mut operation = Operation::new(name, verb, now);
        operation.due = Some(now.saturating_add(delay).unwrap_or(now));
        operation.work = Some(Work { operation: id.clone(), ..work });
        let pool = self.pools.get_mut(name).ok_or_else(|| not_found(name))?;
        pool.state = verb.provisioning_state();
        pool.etag = etag;
        pool.busy_with = Some(id.clone());
        self.operations.insert(id.clone(), operation);
        Ok(id)
    }
}
