//! The agent pools of one cluster and the operations on them, as a pure state machine: requests go in, answers and
//! [`Work`] for machines come out, and what became of the work goes in again. The clock and the random numbers are
//! handed in; nothing here waits or does I/O.

mod change;
mod machines;
mod preempt;
mod progress;
mod settings;
mod standing;

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::bucket::Bucket;
use super::error::{ApiError, Failure};
use super::machine::{Addresses, Machine};
use super::operation::{Operation, Verb};
use super::properties::{Defaults, Properties};
use super::work::Work;

pub(super) use machines::Taking;
pub(crate) use settings::Settings;
use standing::Faults;

/// Where the cluster is in Azure; part of every id.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) subscription: String,
    pub(super) group: String,
    pub(super) cluster: String,
    pub(super) location: String,
}

/// The conditional headers of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<String>,
    pub(super) if_none_match: Option<String>,
}

/// An accepted PUT.
#[derive(Debug, Clone)]
pub(super) struct Put {
    pub(super) created: bool,
    pub(super) body: Value,
    /// None where nothing had to change.
    pub(super) operation: Option<String>,
}

#[derive(Debug)]
struct Pool {
    properties: Properties,
    state: &'static str,
    etag: String,
    machines: BTreeMap<String, Machine>,
    next_index: u64,
    busy_with: Option<String>,
    /// A machine was taken during the operation, which therefore ends with the count at what there is.
    recount: bool,
    failure: Option<Failure>,
}

/// Some of a pool's machines.
#[derive(Debug)]
pub(super) struct MachinePage {
    pub(super) value: Vec<Value>,
    /// The last of them, where there are more.
    pub(super) more_after: Option<String>,
}

/// Which bucket a request draws from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Draw<'a> {
    Put(&'a str),
    Other,
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) scope: Scope,
    pub(super) settings: Settings,
    defaults: Defaults,
    pools: BTreeMap<String, Pool>,
    operations: BTreeMap<String, Operation>,
    put_buckets: BTreeMap<String, Bucket>,
    other_bucket: Bucket,
    /// The eight digits that all of a cluster's machine names share.
    digits: u32,
    rng: StdRng,
    /// Of its own, so that how long machines take changes nothing about names and victims.
    delays: StdRng,
    faults: Faults,
    pub(super) machines_made: u64,
    pub(super) machines_deleted: u64,
}

impl Fleet {
    pub(super) fn new(scope: Scope, settings: Settings, defaults: Defaults, seed: u64, now: Timestamp) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let other_bucket = Bucket::new(settings.request_bucket, now);
        Self {
            scope,
            settings,
            defaults,
            pools: BTreeMap::new(),
            operations: BTreeMap::new(),
            put_buckets: BTreeMap::new(),
            other_bucket,
            digits: rng.random_range(10_000_000..100_000_000),
            rng,
            delays: StdRng::seed_from_u64(seed ^ u64::MAX),
            faults: Faults::default(),
            machines_made: 0,
            machines_deleted: 0,
        }
    }

    /// Counts a request against its bucket.
    pub(super) fn draw(&mut self, draw: Draw<'_>, now: Timestamp) -> Result<u32, ApiError> {
        match draw {
            Draw::Put(pool) => self
                .put_buckets
                .entry(pool.to_owned())
                .or_insert_with(|| Bucket::new(self.settings.put_bucket, now))
                .take(now)
                .map_err(|wait| ApiError::throttled("PutAgentPoolHandler.PUT", wait)),
            Draw::Other => self
                .other_bucket
                .take(now)
                .map_err(|wait| ApiError::throttled(&format!("subscription {}", self.scope.subscription), wait)),
        }
    }

    /// Changes the settings. Buckets of another rate begin full.
    pub(super) fn set(&mut self, settings: Settings, now: Timestamp) {
        if settings.put_bucket != self.settings.put_bucket {
            self.put_buckets.clear();
        }
        if settings.request_bucket != self.settings.request_bucket {
            self.other_bucket = Bucket::new(settings.request_bucket, now);
        }
        self.settings = settings;
    }

    pub(super) fn list(&self) -> Value {
        json!({"value": self.pools.iter().map(|(name, pool)| self.render(name, pool)).collect::<Vec<_>>()})
    }

    pub(super) fn get(&self, name: &str) -> Result<Value, ApiError> {
        Ok(self.render(name, self.pool(name)?))
    }

    /// How many nodes each pool is to have.
    pub(super) fn counts(&self) -> BTreeMap<&str, Option<u64>> {
        self.pools.keys().map(|name| (name.as_str(), self.count(name))).collect()
    }

    /// How many nodes a pool is to have.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.get(name).ok()?["properties"]["count"].as_u64()
    }

    /// A page of a pool's machines: those named after `after`, and whether there are more.
    pub(super) fn machines(&self, name: &str, after: &str, addresses: &Addresses) -> Result<MachinePage, ApiError> {
        let from = (Bound::Excluded(after), Bound::Unbounded);
        let mut rest = self.pool(name)?.machines.range::<str, _>(from);
        let page: Vec<_> = rest.by_ref().take(self.settings.page.max(1)).collect();
        let last = page.last().map(|(machine, _)| (*machine).clone());
        Ok(MachinePage {
            value: page.into_iter().map(|(_, machine)| machine.render(&self.scope, name, addresses)).collect(),
            more_after: last.filter(|_| rest.next().is_some()),
        })
    }

    pub(super) fn machine(&self, name: &str, machine: &str, addresses: &Addresses) -> Result<Value, ApiError> {
        match self.pool(name)?.machines.get(machine) {
            Some(found) => Ok(found.render(&self.scope, name, addresses)),
            None => Err(ApiError::not_found(format!("Machine '{machine}' was not found in agent pool '{name}'."))),
        }
    }

    pub(super) fn operation(&self, id: &str) -> Result<&Operation, ApiError> {
        self.operations.get(id).ok_or_else(|| ApiError::not_found(format!("Operation '{id}' was not found.")))
    }

    /// Makes or changes a pool.
    pub(super) fn put(
        &mut self,
        name: &str,
        body: &Value,
        conditions: &Conditions,
        now: Timestamp,
    ) -> Result<Put, ApiError> {
        if !self.pools.contains_key(name) {
            return self.create(name, body, conditions, now);
        }
        self.check_etag(name, conditions)?;
        let pool = self.idle(name)?;
        let next = pool.properties.update(body)?;
        if pool.properties.is_system() && !next.is_system() {
            self.another_system_pool(name)?;
        }
        let pool = self.pool(name)?;
        let scaled = pool.counted() != next.machines_wanted();
        if next == pool.properties && !scaled && pool.state == "Succeeded" {
            return Ok(Put { created: false, body: self.get(name)?, operation: None });
        }
        let verb = match (pool.properties.is_stopped(), next.is_stopped(), scaled) {
            (true, false, _) => Verb::Starting,
            (false, true, _) => Verb::Stopping,
            (_, _, true) => Verb::Scaling,
            _ => Verb::Updating,
        };
        let operation = self.change(name, next, verb, now)?;
        Ok(Put { created: false, body: self.get(name)?, operation: Some(operation) })
    }

    /// A pool that is there from the start; its machines come without delay.
    pub(super) fn found(&mut self, name: &str, body: &Value, now: Timestamp) -> Result<(), ApiError> {
        let made = self.create(name, body, &Conditions::default(), now)?;
        if let Some(operation) = made.operation.and_then(|id| self.operations.get_mut(&id)) {
            operation.steps.iter_mut().for_each(|step| step.due = now);
        }
        Ok(())
    }

    fn create(&mut self, name: &str, body: &Value, conditions: &Conditions, now: Timestamp) -> Result<Put, ApiError> {
        if conditions.if_match.is_some() {
            return Err(ApiError::precondition(
                "Resource not found but ETag header is provided. If this is a request to create, please do not provide ETag.",
            ));
        }
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if name.is_empty()
            || name.len() > 12
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.chars().all(good)
        {
            return Err(ApiError::invalid(format!(
                "The value of parameter agentPoolName is invalid: '{name}': at most 12 lower-case letters and digits, starting with a letter."
            )));
        }
        let properties = Properties::create(body, &self.defaults)?;
        let pool = Pool {
            properties: properties.clone(),
            state: "Creating",
            etag: String::new(),
            machines: BTreeMap::new(),
            next_index: 0,
            busy_with: None,
            recount: false,
            failure: None,
        };
        self.pools.insert(name.to_owned(), pool);
        let operation = self.change(name, properties, Verb::Creating, now).inspect_err(|_| {
            self.pools.remove(name);
        })?;
        Ok(Put { created: true, body: self.get(name)?, operation: Some(operation) })
    }

    /// Deletes machines by name: these and no others.
    pub(super) fn delete_machines(
        &mut self,
        name: &str,
        machines: &[String],
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let pool = self.idle(name)?;
        if machines.is_empty() {
            return Err(ApiError::invalid(
                "The value of parameter machineNames is invalid: it must name at least one machine.",
            ));
        }
        let unknown: Vec<&str> =
            machines.iter().filter(|machine| !pool.machines.contains_key(*machine)).map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(ApiError::invalid(format!(
                "The value of parameter machineNames is invalid: agent pool '{name}' has no machine {}.",
                unknown.join(", ")
            )));
        }
        let mut delete = machines.to_vec();
        delete.sort();
        delete.dedup();
        if pool.properties.is_system() && pool.names(false).iter().all(|machine| delete.contains(machine)) {
            return Err(ApiError::new(
                400,
                "OperationNotAllowed",
                format!("Agent pool '{name}' is of mode System and must keep at least one machine."),
            ));
        }
        let steps = vec![(self.settings.deleting, Work { delete, ..Work::default() })];
        self.begin(name, Verb::DeletingMachines, steps, now)
    }

    /// Deletes a pool; None where there is none.
    pub(super) fn delete_pool(
        &mut self,
        name: &str,
        conditions: &Conditions,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        if !self.pools.contains_key(name) {
            return Ok(None);
        }
        self.check_etag(name, conditions)?;
        let pool = self.idle(name)?;
        let delete = pool.machines.keys().cloned().collect();
        if pool.properties.is_system() {
            self.another_system_pool(name)?;
        }
        let steps = vec![(self.settings.deleting, Work { delete, ..Work::default() })];
        self.begin(name, Verb::Deleting, steps, now).map(Some)
    }

    fn pool(&self, name: &str) -> Result<&Pool, ApiError> {
        self.pools.get(name).ok_or_else(|| not_found(name))
    }

    fn idle(&self, name: &str) -> Result<&Pool, ApiError> {
        let pool = self.pool(name)?;
        if pool.busy_with.is_some() { Err(ApiError::busy(name, pool.state)) } else { Ok(pool) }
    }

    fn another_system_pool(&self, name: &str) -> Result<(), ApiError> {
        if self.pools.iter().any(|(other, pool)| other != name && pool.properties.is_system()) {
            return Ok(());
        }
        Err(ApiError::new(400, "OperationNotAllowed", "There has to be at least one system agent pool."))
    }

    fn check_etag(&self, name: &str, conditions: &Conditions) -> Result<(), ApiError> {
        let etag = &self.pool(name)?.etag;
        let is = |given: &str| given.split(',').any(|one| matches!(bare(one), one if one == "*" || one == etag));
        if let Some(given) = &conditions.if_match
            && !is(given)
        {
            return Err(ApiError::precondition(format!(
                "Etag provided in if-match header {given} does not match etag {etag} of agent pool '{name}'. Read it again and repeat the change."
            )));
        }
        if let Some(given) = &conditions.if_none_match
            && is(given)
        {
            return Err(ApiError::precondition(format!(
                "Agent pool '{name}' exists with etag {etag}, which if-none-match {given} excludes."
            )));
        }
        Ok(())
    }

    fn render(&self, name: &str, pool: &Pool) -> Value {
        let mut properties = pool.properties.render(&self.defaults);
        properties.insert("eTag".into(), json!(pool.etag));
        properties.insert("provisioningState".into(), json!(pool.state));
        if let Some(failure) = &pool.failure {
            properties.insert("status".into(), json!({"provisioningError": failure.body()}));
        }
        json!({
            "id": format!("{}/agentPools/{name}", self.scope.cluster_id()),
            "name": name,
            "type": "Microsoft.ContainerService/managedClusters/agentPools",
            "properties": properties,
        })
    }

    fn new_id(&mut self) -> String {
        let bits: u128 = self.rng.random();
        let hex = format!("{bits:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

impl Scope {
    pub(super) fn cluster_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerService/managedClusters/{}",
            self.subscription, self.group, self.cluster
        )
    }
}

/// An entity tag without quotes and weakness.
fn bare(etag: &str) -> &str {
    etag.trim().trim_start_matches("W/").trim_matches('"')
}

fn not_found(pool: &str) -> ApiError {
    ApiError::not_found(format!("Could not find the agent pool '{pool}' in this managed cluster."))
}
