//! Faults on demand: what tests and demos ask the stand-in to do wrong. Each kind is one struct, which is the JSON of
//! `POST /control/faults` and the options of `cargo local-aks faults` alike.

mod machines;
mod operations;
mod outage;
mod provisioning;
mod quota;
mod requests;
mod standing;

use clap::Parser;
use serde::{Deserialize, Serialize};

pub use machines::{NeverReady, Reclaim};
pub use operations::{Leaves, Preempt};
pub use outage::{Down, How, Throttle, What};
pub use provisioning::{ProvisioningFault, ProvisioningKind};
pub use quota::{At, Quota};
pub use requests::RequestFault;

pub(super) use outage::{Endpoint, Outages};
pub(super) use quota::{Use, cores};
pub(super) use requests::RequestFaults;
pub(super) use standing::{Standing, take};

/// The kinds of faults, as orders and `DELETE /control/faults?kind=` name them.
pub const KINDS: [&str; 8] =
    ["requests", "provisioning", "quota", "throttle", "preempt", "neverReady", "reclaim", "down"];

/// One fault, as the command line names it.
#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
pub enum Fault {
    /// The next requests that match are answered with an error
    Request(RequestFault),
    /// Operations that make machines fail: Azure has none to give, for once, for a time or until cleared
    #[command(visible_alias = "allocation")]
    Provisioning(ProvisioningFault),
    /// A limit of cores or machines that stands until cleared
    Quota(Quota),
    /// Every request to the Resource Manager is answered 429 with Retry-After
    Throttle(Throttle),
    /// Another actor ends an operation that is under way, or the next ones
    Preempt(Preempt),
    /// The next machines are listed, but their nodes never become Ready
    NeverReady(NeverReady),
    /// Azure takes a machine back after a notice, as it does with spot machines
    Reclaim(Reclaim),
    /// The Resource Manager, the token endpoint or both are down
    Down(Down),
}

/// A fault by itself, as `--fault` has it.
#[derive(clap::Parser)]
#[command(name = "fault", no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    fault: Fault,
}

impl std::str::FromStr for Fault {
    type Err = clap::Error;

    /// `throttle --for 2m`, as after `cargo local-aks faults`, words parted by blanks.
    fn from_str(line: &str) -> Result<Self, clap::Error> {
        Ok(Line::try_parse_from(line.split_whitespace())?.fault)
    }
}

/// The body of `POST /control/faults`: any number of faults of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FaultOrder {
    /// Requests that are answered with an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestFault>,
    /// Operations that fail for want of machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provisioning: Vec<ProvisioningFault>,
    /// Limits of cores and machines; one replaces an earlier one of the same pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<Quota>,
    /// Everything is answered 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// Operations that another actor ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preempt: Vec<Preempt>,
    /// Machines whose nodes never become Ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never_ready: Vec<NeverReady>,
    /// Machines that Azure takes back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reclaim: Vec<Reclaim>,
    /// An endpoint does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<Down>,
}

/// An order that cannot be carried out, and the field that is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the order of faults is wrong: {field}: {why}")]
pub struct OrderError {
    field: String,
    why: String,
}

impl OrderError {
    pub(super) fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }

    /// The same error, of a field within another one.
    fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

impl FaultOrder {
    /// Reads an order, and checks what can be checked without a look at the pools.
    pub(super) fn read(body: &str) -> Result<Self, OrderError> {
        let mut reader = serde_json::Deserializer::from_str(body);
        let order: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| OrderError::new(error.path().to_string(), error.inner().to_string()))?;
        reader.end().map_err(|error| OrderError::new("the end", error.to_string()))?;
        order.check()?;
        Ok(order)
    }

    /// Checks what can be checked without a look at the pools.
    ///
    /// # Errors
    /// When a field has a value that means nothing; the error names it.
    pub fn check(&self) -> Result<(), OrderError> {
        each("requests", &self.requests, RequestFault::check)?;
        each("provisioning", &self.provisioning, ProvisioningFault::check)?;
        each("quota", &self.quota, Quota::check)?;
        each("preempt", &self.preempt, Preempt::check)?;
        each("neverReady", &self.never_ready, NeverReady::check)?;
        each("reclaim", &self.reclaim, Reclaim::check)?;
        if let Some(throttle) = &self.throttle {
            throttle.check().map_err(|error| error.within("throttle"))?;
        }
        self.down.as_ref().map_or(Ok(()), |down| down.check().map_err(|error| error.within("down")))
    }

    /// The same for an order that is to hold from the start, when no operation is under way and no machine is there.
    ///
    /// # Errors
    /// When a field has a value that means nothing, or a fault needs what is not there yet; the error names it.
    pub fn check_for_start(&self) -> Result<(), OrderError> {
        self.check()?;
        let later = |field: &str| {
            let why = "at the start there is nothing to end or to take: say by --next how many of those to come";
            Err(OrderError::new(field, why))
        };
        match (self.preempt.iter().any(|one| one.count.is_none()), self.reclaim.iter().any(|one| one.count.is_none())) {
            (true, _) => later("preempt.count"),
            (_, true) => later("reclaim.count"),
            _ => Ok(()),
        }
    }

    /// Adds one more fault.
    pub fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Request(fault) => self.requests.push(fault),
            Fault::Provisioning(fault) => self.provisioning.push(fault),
            Fault::Quota(fault) => self.quota.push(fault),
            Fault::Throttle(fault) => self.throttle = Some(fault),
            Fault::Preempt(fault) => self.preempt.push(fault),
            Fault::NeverReady(fault) => self.never_ready.push(fault),
            Fault::Reclaim(fault) => self.reclaim.push(fault),
            Fault::Down(fault) => self.down = Some(fault),
        }
    }
}

impl From<Fault> for FaultOrder {
    fn from(fault: Fault) -> Self {
        let mut order = Self::default();
        order.add(fault);
        order
    }
}

/// Checks each of a list, and names the one that is wrong.
pub(super) fn each<T>(field: &str, list: &[T], check: impl Fn(&T) -> Result<(), OrderError>) -> Result<(), OrderError> {
    let checked = |(index, one)| check(one).map_err(|error: OrderError| error.within(&format!("{field}[{index}]")));
    list.iter().enumerate().try_for_each(checked)
}

/// A number of times that must not be none.
fn some_times(field: &str, count: u32) -> Result<(), OrderError> {
    if count == 0 { Err(OrderError::new(field, "must be 1 or more")) } else { Ok(()) }
}

fn one() -> u32 {
    1
}

/// For `skip_serializing_if`: what is off need not be said.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_off(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> FaultOrder {
        line.parse::<Fault>().unwrap_or_else(|error| panic!("{error}")).into()
    }

    #[test]
    fn a_command_line_and_json_say_the_same() {
        for (line, json) in [
            (
                "request --status 503 --method PUT --retry-after 7s",
                r#"{"requests": [{"status": 503, "method": "PUT", "retryAfterSeconds": 7}]}"#,
            ),
            ("provisioning", r#"{"provisioning": [{}]}"#),
            (
                "allocation --next 2 --machines 1 --pool scoring",
                r#"{"provisioning": [{"count": 2, "machines": 1, "pool": "scoring"}]}"#,
            ),
            ("provisioning --kind sku --for 10m", r#"{"provisioning": [{"kind": "sku", "seconds": 600}]}"#),
            ("quota --cores 8 --at operation", r#"{"quota": [{"cores": 8, "at": "operation"}]}"#),
            ("throttle --for 2m", r#"{"throttle": {"seconds": 120}}"#),
            ("preempt --pool scoring --holds 20s", r#"{"preempt": [{"pool": "scoring", "holdsSeconds": 20}]}"#),
            (
                "preempt --next 1 --after 5s --leaves failed",
                r#"{"preempt": [{"count": 1, "afterSeconds": 5, "leaves": "Failed"}]}"#,
            ),
            ("never-ready --next 2 --unregistered", r#"{"neverReady": [{"count": 2, "unregistered": true}]}"#),
            ("reclaim --pool scoring", r#"{"reclaim": [{"pool": "scoring", "noticeSeconds": 30}]}"#),
            (
                "reclaim --next 1 --after 1m --drain",
                r#"{"reclaim": [{"count": 1, "afterSeconds": 60, "drain": true}]}"#,
            ),
            (
                "down --for 3m --how refuse --what both",
                r#"{"down": {"seconds": 180, "how": "refuse", "what": "both"}}"#,
            ),
        ] {
            let said = order(line);
            assert_eq!(said, FaultOrder::read(json).unwrap(), "{line}");
            assert_eq!(FaultOrder::read(&serde_json::to_string(&said).unwrap()).unwrap(), said, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_order_is_told_by_its_field() {
        for (json, field) in [
            (r#"{"request": []}"#, "unknown field `request`"),
            (r#"{"requests": [{"status": 200}]}"#, "requests[0].status"),
            (r#"{"requests": [{"count": "two"}]}"#, "requests[0].count"),
            (r#"{"provisioning": [{}, {"count": 0}]}"#, "provisioning[1].count"),
            (r#"{"provisioning": [{"kind": "weather"}]}"#, "provisioning[0].kind"),
            (r#"{"provisioning": [{"seconds": 5, "always": true}]}"#, "provisioning[0].always"),
            (r#"{"quota": [{}]}"#, "quota[0].cores"),
            (r#"{"throttle": {"seconds": -1}}"#, "throttle.seconds"),
            (r#"{"throttle": {"seconds": 0}}"#, "throttle.seconds"),
            (r#"{"throttle": {"retryAfterSeconds": 0.2}}"#, "throttle.retryAfterSeconds"),
            (r#"{"preempt": [{}]}"#, "preempt[0].pool"),
            (r#"{"preempt": [{"pool": "p", "afterSeconds": 5}]}"#, "preempt[0].afterSeconds"),
            (r#"{"neverReady": [{"count": 0}]}"#, "neverReady[0].count"),
            (r#"{"reclaim": [{}]}"#, "reclaim[0].pool"),
            (r#"{"reclaim": [{"machine": "m", "count": 1}]}"#, "reclaim[0].machine"),
            (r#"{"down": {"how": "loudly"}}"#, "down.how"),
            (r#"{"down": {}} {}"#, "the end"),
        ] {
            let error = FaultOrder::read(json).unwrap_err().to_string();
            assert!(error.starts_with("the order of faults is wrong: ") && error.contains(field), "{json}: {error}");
        }
    }
}
