//! How operations begin, wait, give out their work, and end.

use std::time::Duration;

use jiff::Timestamp;

use super::super::error::{ApiError, Failure};
use super::super::machine::Machine;
use super::super::operation::{Operation, Status, Step, Verb};
use super::super::span::Span;
use super::super::work::{Outcome, Work};
use super::{Fleet, not_found};

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
        for (names, deallocated) in [(&outcome.deallocated, true), (&outcome.started, false)] {
            for name in names {
                if let Some(machine) = pool.machines.get_mut(name) {
                    machine.deallocated = deallocated;
                }
            }
        }
        for machine in outcome.created.iter().chain(&outcome.started) {
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
            pool.properties.set_count(pool.counted());
        }
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
