//! How operations begin, wait, give out their work, and end.

use std::time::Duration;

use jiff::Timestamp;
use rand::seq::IndexedRandom;

use super::super::error::{ApiError, Failure};
use super::super::machine::{Machine, machine_name};
use super::super::operation::{Operation, Status, Step, Verb};
use super::super::properties::Properties;
use super::super::span::Span;
use super::super::work::{Outcome, Restyle, Work};
use super::{Fleet, not_found};
use crate::MachineSpec;
use crate::machines::Becomes;

impl Fleet {
    /// Ends the running operation Canceled, as long as its machines are not being made; None where none runs.
    pub(in super::super) fn abort(&mut self, name: &str, now: Timestamp) -> Result<Option<String>, ApiError> {
        let Some(id) = self.pool(name)?.busy_with.clone() else { return Ok(None) };
        if self.operations.get(&id).is_some_and(|operation| operation.acting > 0) {
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

    /// When something is to be done next.
    pub(in super::super) fn next_due(&self) -> Option<Timestamp> {
        self.operations.values().filter_map(Operation::next_due).chain(self.faults.next_taking()).min()
    }

    /// The work whose time has come. Each is given out once; [`Fleet::finish`] must follow.
    pub(in super::super) fn take_due(&mut self, now: Timestamp) -> Vec<Work> {
        self.preempt_due(now);
        let mut given = Vec::new();
        for (id, operation) in &mut self.operations {
            let due = operation.steps.iter().take_while(|step| step.due <= now).count();
            let works = operation.steps.drain(..due).map(|step| step.work);
            if let Some(work) = works.reduce(Work::and) {
                operation.acting += 1;
                given.push(Work { operation: id.clone(), ..work });
            }
        }
        given
    }

    /// Takes in what became of an operation's work, and ends the operation if there is no more of it.
    pub(in super::super) fn finish(&mut self, id: &str, outcome: Outcome, now: Timestamp) {
        let heir = self.heir(id);
        let Some(operation) = self.operations.get_mut(&heir).filter(|operation| operation.is_running()) else { return };
        operation.acting = operation.acting.saturating_sub(1);
        // What went wrong with an operation is nothing to the one that took its place.
        if heir == id && operation.doomed.is_none() {
            operation.doomed = outcome.error;
        }
        let over = operation.steps.is_empty() && operation.acting == 0;
        let (name, failure) = (operation.pool.clone(), operation.doomed.clone());
        let digits = self.digits;
        let Some(pool) = self.pools.get_mut(&name) else { return };
        let zones = pool.properties.zones();
        for machine in &outcome.deleted {
            if pool.machines.remove(machine).is_some() {
                self.machines_deleted += 1;
            }
        }
        for machine in &outcome.created {
            self.machines_made += 1;
            if let Some(made) = Machine::parse(machine, &name, digits, &zones) {
                pool.machines.insert(machine.clone(), made);
            }
        }
        for machine in &outcome.created {
            self.plan_reclaim(&name, machine, now);
        }
        if over {
            let status = if failure.is_some() { Status::Failed } else { Status::Succeeded };
            self.end(&heir, status, failure, now);
        }
    }

    pub(super) fn end(&mut self, id: &str, status: Status, failure: Option<Failure>, now: Timestamp) {
        let etag = self.new_id();
        let Some(operation) = self.operations.get_mut(id) else { return };
        operation.end(status, failure.clone(), now);
        let (name, verb, leaves) = (operation.pool.clone(), operation.verb, operation.leaves.unwrap_or(status));
        if verb == Verb::Deleting && status == Status::Succeeded {
            self.pools.remove(&name);
            return;
        }
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.busy_with = None;
        pool.state = leaves.provisioning_state();
        pool.etag = etag;
        pool.failure = failure;
        // An operation that did not reach its goal leaves the count at what there is.
        let counted = match (status, verb) {
            (Status::Succeeded, Verb::DeletingMachines) => self.settings.count_falls,
            (Status::Succeeded, Verb::Preempting) => true,
            (Status::Succeeded, _) => false,
            _ => true,
        };
        let recount = std::mem::take(&mut pool.recount);
        if (counted || recount) && !pool.properties.is_stopped() {
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
        let wanted = usize::try_from(next.machines_wanted()).unwrap_or(usize::MAX);
        let missing = wanted.saturating_sub(self.pool(name)?.machines.len());
        let over_quota = self.over_quota(name, &next, missing)?;
        let pool = self.pools.get_mut(name).ok_or_else(|| not_found(name))?;
        let mut delete: Vec<String> = Vec::new();
        if wanted < pool.machines.len() {
            // AKS does not say whom it takes; whoever counts on an order is wrong.
            let names: Vec<&String> = pool.machines.keys().collect();
            delete =
                names.choose_multiple(&mut self.rng, names.len() - wanted).map(|victim| (*victim).clone()).collect();
            delete.sort();
        }
        let mut create = Vec::new();
        for _ in 0..missing {
            create.push(MachineSpec {
                name: machine_name(name, self.digits, pool.next_index),
                pool: name.to_owned(),
                labels: next.node_labels(name),
                taints: next.node_taints(),
                vm_size: next.vm_size().to_owned(),
                becomes: Becomes::Ready,
            });
            pool.next_index += 1;
        }
        let kept: Vec<String> = pool.machines.keys().filter(|machine| !delete.contains(machine)).cloned().collect();
        let restyle = Restyle::between(name, &pool.properties, &next, kept);
        pool.properties = next;
        let mut delays: Vec<Duration> =
            create.iter().map(|_| self.settings.provisioning.draw(&mut self.delays)).collect();
        delays.sort();
        let doomed = self.trouble(name, &mut create, over_quota, now);
        let deleting = if delete.is_empty() { Duration::ZERO } else { self.settings.deleting };
        let first = delays.first().copied().unwrap_or_else(|| self.settings.updating.max(deleting));
        let mut steps = vec![(first, Work { delete, restyle, ..Work::default() })];
        steps.extend(create.into_iter().zip(delays).map(|(one, delay)| {
            let create = vec![one];
            (delay, Work { create, ..Work::default() })
        }));
        let id = self.begin(name, verb, steps, now)?;
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.doomed = doomed;
        }
        Ok(id)
    }

    /// Starts an operation of some steps, the earliest first, each with what it waits for.
    pub(super) fn begin(
        &mut self,
        name: &str,
        verb: Verb,
        steps: Vec<(Duration, Work)>,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let (id, etag) = (self.new_id(), self.new_id());
        let mut operation = Operation::new(name, verb, now);
        operation.steps = steps.into_iter().map(|(delay, work)| Step { due: Span(delay).after(now), work }).collect();
        operation.preempted = self.plan_preemption(name, now);
        let pool = self.pools.get_mut(name).ok_or_else(|| not_found(name))?;
        pool.state = verb.provisioning_state();
        pool.etag = etag;
        pool.busy_with = Some(id.clone());
        self.operations.insert(id.clone(), operation);
        Ok(id)
    }
}
