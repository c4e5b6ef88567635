//! What the API server cannot refuse: whether a schedule makes sense, pure and in one place.

use std::collections::BTreeMap;

use crds::{Scorer, ScoringCluster, ScoringScheduleSpec};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use planner::capacity::{QuantityError, Resources};
use planner::ticks::{TickError, Ticks};
use spec::check::WorkError;

use super::mounts;
use crate::run::{DEADLINE, ENV, WORKLOAD_IDENTITY};

/// The reason of a schedule whose pods the API server would refuse.
pub(crate) const POD_INVALID: &str = "PodInvalid";

/// What is known of the cluster that a schedule names.
#[derive(Clone, Copy, Debug)]
pub enum Cluster<'a> {
    /// There is none of this name.
    Unknown,
    /// There is one, but its spec makes no sense.
    Invalid(&'a str),
    /// There it is.
    Known(&'a ScoringCluster),
}

/// Why a schedule is not valid: a sentence that says what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Cron expression or time zone.
    #[error("{0}")]
    Ticks(#[from] TickError),
    /// No such cluster.
    #[error("clusterRef: there is no ScoringCluster {0:?}; an administrator creates it, or name another")]
    ClusterNotFound(String),
    /// The cluster is there, but not valid.
    #[error("clusterRef: ScoringCluster {name:?} is not valid: {why}")]
    ClusterInvalid {
        /// The cluster.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The cluster is for others.
    #[error(
        "clusterRef: ScoringCluster {cluster:?} does not admit namespace {namespace:?}; its namespaceSelector must match \
         the namespace's labels"
    )]
    NamespaceNotSelected {
        /// The cluster.
        cluster: String,
        /// The schedule's namespace.
        namespace: String,
    },
    /// A field does not say what it should; its path is told.
    #[error("{0}")]
    Spec(String),
    /// The API server would refuse its Jobs.
    #[error("its pods would not be valid: {0}; correct what is named")]
    Pod(String),
    /// What to score cannot be scored.
    #[error("{0}")]
    Work(#[from] WorkError),
    /// What a pod asks for is no amount.
    #[error("scorer.resources: {0}")]
    Quantity(#[from] QuantityError),
    /// A pod asks for more than it may use.
    #[error(
        "scorer.resources: {resource}: the request {request} is above the limit {limit}; lower the request or raise the \
         limit"
    )]
    RequestAboveLimit {
        /// The resource.
        resource: String,
        /// What is asked for.
        request: String,
        /// What may be used.
        limit: String,
    },
    /// A name that the operator writes itself: what a schedule writes would be lost.
    #[error("{field}: {name} is written by the operator; leave it out")]
    Reserved {
        /// The field.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// A volume, or where it is to be mounted, is in the way of the operator's own.
    #[error("{0}")]
    Mounts(String),
    /// The cluster's selector itself.
    #[error("ScoringCluster {0:?} has a namespaceSelector that makes no sense; an administrator must correct it")]
    Selector(String),
}

impl Invalid {
    /// A bounded category in CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ticks(error) => error.reason(),
            Self::ClusterNotFound(_) => "ClusterNotFound",
            Self::ClusterInvalid { .. } | Self::Selector(_) => "ClusterInvalid",
            Self::NamespaceNotSelected { .. } => "NamespaceNotSelected",
            Self::Spec(_) => "InvalidSpec",
            Self::Work(error) => error.reason,
            Self::Reserved { .. } | Self::Mounts(_) => "ReservedName",
            Self::Pod(_) => POD_INVALID,
            Self::Quantity(_) | Self::RequestAboveLimit { .. } => "InvalidResources",
        }
    }
}

/// Checks all of a schedule. What a valid one gives is its ticks.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(
    spec: &ScoringScheduleSpec,
    cluster: Cluster<'_>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Ticks, Invalid> {
    let ticks = check_alone(spec, now)?;
    admitted(&spec.cluster_ref.name, cluster, namespace, labels)?;
    Ok(ticks)
}

/// Checks what a schedule says, whatever cluster it names.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_alone(spec: &ScoringScheduleSpec, now: Timestamp) -> Result<Ticks, Invalid> {
    let ticks = Ticks::parse(&spec.schedule, spec.time_zone.as_deref(), now)?;
    spec.work().check()?;
    waits(spec)?;
    reserved(&spec.scorer)?;
    mounts::check(&spec.scorer).map_err(Invalid::Mounts)?;
    spec.scorer.resources.as_ref().map_or(Ok(()), resources)?;
    Ok(ticks)
}

/// Whether a run ends its wait for readings before its deadline ends it.
fn waits(spec: &ScoringScheduleSpec) -> Result<(), Invalid> {
    let deadline = spec.deadline.unwrap_or(DEADLINE);
    match spec.data.complete.as_ref().map(|complete| complete.wait_up_to) {
        Some(wait) if wait >= deadline => Err(Invalid::Work(WorkError {
            field: "data.complete.waitUpTo",
            reason: "InvalidData",
            message: format!("{wait} is not below the run's deadline of {deadline}; lower it, or raise deadline"),
        })),
        _ => Ok(()),
    }
}

/// Names that would be lost.
fn reserved(scorer: &Scorer) -> Result<(), Invalid> {
    let told = |name: &str| ENV.contains(&name) || (scorer.command.is_some() && spec::command::is_reserved(name));
    let env = scorer.env.iter().map(|env| &env.name).find(|name| told(name));
    let other = |name: &str, value: &str| name == WORKLOAD_IDENTITY && value != "true";
    let mut labels = scorer.labels.iter();
    let label = labels.find(|(name, value)| name.starts_with("batchscoring.dev/") || other(name, value));
    let wrong = env.map(|name| ("scorer.env", name)).or(label.map(|(name, _)| ("scorer.labels", name)));
    match wrong {
        Some((field, name)) => Err(Invalid::Reserved { field, name: name.clone() }),
        None => Ok(()),
    }
}

/// The API server would refuse each run's Job.
fn resources(resources: &ResourceRequirements) -> Result<(), Invalid> {
    let (requests, limits) = (resources.requests.iter().flatten(), resources.limits.iter().flatten());
    for (name, amount) in requests.clone().chain(limits) {
        Resources::parse([(name.as_str(), amount.0.as_str())])?;
    }
    for (name, request) in requests {
        let Some(limit) = resources.limits.as_ref().and_then(|limits| limits.get(name)) else { continue };
        let of = |amount: &str| Resources::parse([(name.as_str(), amount)]);
        if of(&limit.0)?.fits(&of(&request.0)?) == 0 {
            let (request, limit) = (request.0.clone(), limit.0.clone());
            return Err(Invalid::RequestAboveLimit { resource: name.clone(), request, limit });
        }
    }
    Ok(())
}

/// Checks that there is such a cluster, and that it admits the namespace.
pub(super) fn admitted(
    name: &str,
    cluster: Cluster<'_>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), Invalid> {
    let cluster = match cluster {
        Cluster::Unknown => return Err(Invalid::ClusterNotFound(name.to_owned())),
        Cluster::Invalid(why) => return Err(Invalid::ClusterInvalid { name: name.to_owned(), why: why.to_owned() }),
        Cluster::Known(cluster) => cluster,
    };
    match &cluster.spec.namespace_selector {
        Some(selector) if !selects(selector, labels).ok_or_else(|| Invalid::Selector(name.to_owned()))? => {
            Err(Invalid::NamespaceNotSelected { cluster: name.to_owned(), namespace: namespace.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Whether a selector matches; `None` where it makes no sense.
pub(crate) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Option<bool> {
    Selector::try_from(selector.clone()).ok().map(|selector| selector.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason(patch: &Value) -> &'static str {
        reason_with(patch, &json!({}))
    }

    fn reason_with(patch: &Value, cluster: &Value) -> &'static str {
        checked(patch, cluster).map_or_else(|error| error.reason(), |_| "Valid")
    }

    fn message(patch: &Value) -> String {
        checked(patch, &json!({})).err().unwrap().to_string()
    }

    fn checked(patch: &Value, cluster: &Value) -> Result<Ticks, Invalid> {
        let mut spec = json!({
            "clusterRef": {"name": "cpu"}, "schedule": "@hourly",
            "store": {"url": "https://account.blob.core.windows.net"},
            "model": {"path": "models/model_{device}_{tag}"}, "data": {"path": "data/sensor_data.csv"},
        });
        let mut policy = json!({"maxNodes": 3, "nodePool": {"aks": {
            "subscriptionId": "", "resourceGroup": "g", "clusterName": "c", "agentPool": "p"}}});
        for (into, from) in [(&mut spec, patch), (&mut policy, cluster)] {
            for (key, value) in from.as_object().unwrap() {
                into[key] = value.clone();
            }
        }
        let cluster = ScoringCluster::new("cpu", serde_json::from_value(policy).unwrap());
        let labels = BTreeMap::from([("team".to_owned(), "one".to_owned())]);
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let spec: ScoringScheduleSpec = serde_json::from_value(spec).unwrap();
        check(&spec, Cluster::Known(&cluster), "plant", &labels, now)
    }

    #[test]
    fn the_smallest_schedule_is_valid() {
        assert_eq!(reason(&json!({})), "Valid");
        assert_eq!(reason(&json!({"sensors": {"list": [{"device": "1", "tag": "5"}]}})), "Valid");
        assert_eq!(reason(&json!({"sensors": {"matrix": {"device": ["1", "2"], "tag": ["a"]}}})), "Valid");
    }

    #[test]
    fn wrong_ticks_are_told() {
        assert_eq!(reason(&json!({"schedule": "every hour"})), "InvalidSchedule");
        assert_eq!(reason(&json!({"timeZone": "Mars/Olympus"})), "InvalidTimeZone");
        assert_eq!(reason(&json!({"schedule": "0 0 31 2 *"})), "NeverDue");
    }

    #[test]
    fn what_pods_are_given_in_any_case_is_not_overwritten_in_silence() {
        let env = |name: &str| json!({"scorer": {"env": [{"name": "A", "value": "1"}, {"name": name, "value": "1"}]}});
        assert_eq!(reason(&env("MALLOC_ARENA_MAX")), "Valid");
        assert_eq!(message(&env("POD_UID")), "scorer.env: POD_UID is written by the operator; leave it out");
        let label = |name: &str, value: &str| json!({"scorer": {"labels": {name: value}}});
        let own =
            |name: &str| json!({"scorer": {"image": "own", "command": ["a"], "env": [{"name": name, "value": "1"}]}});
        assert_eq!(reason(&own("LEVEL")), "Valid");
        for name in ["SCORING_KEY_DEVICE", "SCORING_OUTPUT"] {
            assert_eq!((reason(&own(name)), reason(&env(name))), ("ReservedName", "Valid"), "{name}");
        }
        assert_eq!(reason(&label("team", "one")), "Valid");
        assert_eq!(reason(&label("azure.workload.identity/use", "true")), "Valid");
        assert_eq!(reason(&label("azure.workload.identity/use", "false")), "ReservedName");
        assert_eq!(reason(&label("batchscoring.dev/run", "x")), "ReservedName");
    }

    #[test]
    fn what_cannot_be_scored_is_told_with_its_field() {
        assert_eq!(reason(&json!({"model": {"path": "models/one"}})), "NoKey");
        assert_eq!(reason(&json!({"sensors": {"list": []}})), "InvalidSensors");
        assert!(message(&json!({"predictions": {"path": "../out"}})).starts_with("predictions.path: "));
        assert!(message(&json!({"window": {"length": "99999999999d"}})).starts_with("window.length: 99999999999d is"));
    }

    #[test]
    fn a_wait_for_readings_that_is_not_over_before_the_deadline_is_told() {
        let of = |wait: &str, deadline: Option<&str>| {
            let complete = json!({"watermark": "data/_watermarks", "waitUpTo": wait});
            let data = json!({"path": "d.csv", "complete": complete});
            let mut patch = json!({"window": {"length": "1h"}, "data": data});
            if let Some(deadline) = deadline {
                patch["deadline"] = json!(deadline);
            }
            patch
        };
        assert_eq!((reason(&of("59m", None)), reason(&of("5h", Some("6h")))), ("Valid", "Valid"));
        assert_eq!(reason(&of("5m", Some("5m"))), "InvalidData");
        assert!(
            message(&of("1h", None)).starts_with("data.complete.waitUpTo: 1h is not below the run's deadline of 1h")
        );
    }

    #[test]
    fn a_command_that_cannot_be_run_is_told_with_its_field() {
        let command = |args: Value| json!({"scorer": {"image": "own:1", "command": ["predict"], "args": args}});
        assert_eq!(reason(&command(json!(["--sensor={device}-{tag}", "{model}"]))), "Valid");
        assert_eq!(reason(&command(json!(["{plant}"]))), "InvalidCommand");
        assert!(message(&command(json!(["{plant}"]))).starts_with("scorer.args: \"{plant}\" has {plant}, which is no"));
        let mut shared = command(json!([]));
        shared["predictions"] = json!({"layout": "PerItem"});
        assert!(message(&shared).starts_with("predictions.layout: "));
    }

    #[test]
    fn a_store_is_named_without_credentials() {
        for url in
            ["az://models", "http://10.0.0.1:10000/devstoreaccount1", "file:///mnt/store", "s3://plant/a", "gs://plant"]
        {
            assert_eq!(reason(&json!({"store": {"url": url}})), "Valid", "{url}");
        }
        for url in [
            "account",
            "ftp://x",
            "file:///",
            "https://u:p@x",
            "https://x?sig=1",
            "az://",
            "http://10.0.0.1",
            "https://x.y",
            "az://C",
            "s3://Plant",
            "s3://key:secret@plant",
            "gs://",
        ] {
            assert_eq!(reason(&json!({"store": {"url": url}})), "InvalidStoreUrl", "{url}");
        }
    }

    #[test]
    fn a_cluster_admits_the_namespaces_it_selects() {
        let selector = |team| json!({"namespaceSelector": {"matchLabels": {"team": team}}});
        assert_eq!(reason_with(&json!({}), &selector("one")), "Valid");
        assert_eq!(reason_with(&json!({}), &selector("two")), "NamespaceNotSelected");
    }

    #[test]
    fn a_pod_that_asks_for_more_than_it_may_use_is_told() {
        let of = |request: &str, limit: &str| json!({"scorer": {"resources": {"requests": {"cpu": request}, "limits": {"cpu": limit}}}});
        assert_eq!(reason(&of("500m", "1")), "Valid");
        assert_eq!(reason(&of("1", "1000m")), "Valid");
        assert_eq!(reason(&of("0", "0")), "Valid");
        assert_eq!(reason(&of("a lot", "1")), "InvalidResources");
        let message = message(&of("2", "1"));
        assert!(message.starts_with("scorer.resources: cpu: the request 2 is above the limit 1"), "{message}");
    }
}
