//! What Azure Resource Manager answers when it does not do what it is asked.

use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use serde_json::Value;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// Kinds of refusals; each has its own reason in conditions and its own back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another operation on the pool (or the whole cluster) is under way.
    Busy,
    /// Somebody else changed the pool since it was read.
    Changed,
    /// Too many requests.
    Throttled,
    /// The subscription's quota of cores is used up.
    Quota,
    /// Azure has no machines of this size to give at the moment.
    Allocation,
    /// The machine size cannot be had in this region or subscription.
    Sku,
    /// The operator has no token, or Azure does not take it.
    Credentials,
    /// The operator's identity lacks a role.
    Denied,
    /// There is no such subscription, resource group, cluster or agent pool.
    NotFound,
    /// An operation that Azure had accepted failed.
    Provisioning,
    /// AKS itself scales the pool.
    Autoscaler,
    /// Azure says that the request is wrong.
    Refused,
    /// Azure is not well, or is not reached.
    Unavailable,
    /// The answer is not what the API promises.
    Unexpected,
}

impl Kind {
    /// The reason in conditions.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Busy => "OperationInProgress",
            Self::Changed => "PoolChanged",
            Self::Throttled => "Throttled",
            Self::Quota => "QuotaExceeded",
            Self::Allocation => "AllocationFailed",
            Self::Sku => "SkuNotAvailable",
            Self::Credentials => "CredentialsInvalid",
            Self::Denied => "AccessDenied",
            Self::NotFound => "PoolNotFound",
            Self::Provisioning => "ProvisioningFailed",
            Self::Autoscaler => "PoolAutoscalerEnabled",
            Self::Refused => "RequestRefused",
            Self::Unavailable => "AzureUnavailable",
            Self::Unexpected => "UnexpectedAnswer",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Busy | Self::Changed | Self::Throttled | Self::Unavailable => "It is tried again by itself.",
            Self::Quota => "Ask for more cores of this VM family, or lower maxNodes; it is tried again.",
            Self::Allocation => "Wait, or use an agent pool of another VM size or zone; it is tried again.",
            Self::Sku => "Make an agent pool of a VM size that the region offers, and name it in nodePool.aks.",
            Self::Credentials => {
                "Check the operator's workload identity: its ServiceAccount, client id and federation."
            }
            Self::Denied => {
                "Give the operator's identity agentPools read, write and deleteMachines and machines read on the cluster."
            }
            Self::NotFound => "Check subscriptionId, resourceGroup, clusterName and agentPool of nodePool.aks.",
            Self::Autoscaler => "Turn autoscaling off: az aks nodepool update --disable-cluster-autoscaler.",
            Self::Provisioning => "See the activity log of the cluster's resource group; it is tried again.",
            Self::Refused | Self::Unexpected => "See the message; changing the ScoringCluster tries again at once.",
        }
    }

    /// Whether it may show only at the end of an operation that was accepted.
    #[must_use]
    pub fn shows_at_the_end(self) -> bool {
        matches!(self, Self::Quota | Self::Allocation | Self::Sku | Self::Provisioning)
    }

    /// How long to wait before the next try, after so many failures in a row.
    #[must_use]
    pub fn backoff(self, failures: u32) -> Duration {
        let (first, most) = match self {
            Self::Changed => (1, 30),
            Self::Busy => (3, 30),
            Self::Unavailable => (5, 120),
            Self::Throttled | Self::Credentials | Self::Denied | Self::NotFound => (30, 300),
            Self::Autoscaler | Self::Unexpected => (60, 300),
            Self::Allocation | Self::Provisioning => (60, 900),
            Self::Quota | Self::Sku | Self::Refused => (120, 1800),
        };
        Duration::from_secs((first << failures.saturating_sub(1).min(10)).min(most))
    }

    /// Reads a code and message of Azure.
    #[must_use]
    pub fn of(status: Option<u16>, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_ascii_lowercase(), message.to_ascii_lowercase());
        let says = |word: &str| code.contains(word);
        match status {
            _ if says("quota") || message.contains("quota") && !says("throttl") => Self::Quota,
            _ if says("allocation") => Self::Allocation,
            _ if says("skunotavailable") || says("notavailableforsubscription") || says("vmsizenotsupported") => {
                Self::Sku
            }
            _ if message.contains("autoscal") || message.contains("auto-scal") => Self::Autoscaler,
            Some(429) => Self::Throttled,
            Some(401) => Self::Credentials,
            Some(403) => Self::Denied,
            Some(404) => Self::NotFound,
            Some(409) => Self::Busy,
            Some(412) => Self::Changed,
            Some(408 | 500..=599) => Self::Unavailable,
            _ if says("throttl") || says("toomanyrequests") => Self::Throttled,
            Some(_) => Self::Refused,
            None => Self::Provisioning,
        }
    }
}

/// A request that Azure did not do.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct AksError {
    /// What was asked of which pool.
    pub doing: String,
    /// Azure's code and message, or what happened to the request.
    pub message: String,
    /// Its kind.
    pub kind: Kind,
    /// How long Azure says to wait.
    pub retry_after: Option<Duration>,
}

impl AksError {
    /// The answer is not what the API promises.
    pub(super) fn unexpected(doing: &str, message: impl Into<String>) -> Self {
        Self { doing: doing.to_owned(), message: message.into(), kind: Kind::Unexpected, retry_after: None }
    }

    /// No answer came in time.
    pub(super) fn late(doing: &str, after: Duration) -> Self {
        let message = format!("no answer within {} s", after.as_secs());
        Self { doing: doing.to_owned(), message, kind: Kind::Unavailable, retry_after: None }
    }

    /// No answer came at all.
    pub(super) fn sending(doing: &str, error: &azure_core::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Credential => Kind::Credentials,
            ErrorKind::Connection | ErrorKind::Io => Kind::Unavailable,
            ErrorKind::HttpResponse { status, .. } => Kind::of(Some(u16::from(*status)), "", ""),
            _ => Kind::Unexpected,
        };
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            let more = error.to_string();
            if !message.contains(&more) {
                message = format!("{message}: {more}");
            }
            source = error.source();
        }
        Self { doing: doing.to_owned(), message, kind, retry_after: None }
    }

    /// An answer that is a refusal.
    pub(super) fn answer(doing: &str, response: &RawResponse) -> Self {
        let status = u16::from(response.status());
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        // Azure writes {"error": {…}}; AKS at times only the inner part.
        let error = body.get("error").unwrap_or(&body);
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let (code, message) = (text("code"), text("message"));
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        let inner: Vec<&str> = details.filter_map(|d| d.get("code").and_then(Value::as_str)).collect();
        let codes = [&[code], inner.as_slice()].concat().join(" ");
        let retry_after = response.headers().get_optional_str(&RETRY_AFTER).and_then(|v| v.trim().parse().ok());
        Self {
            doing: doing.to_owned(),
            message: format!("{status} {codes} {message}").trim().chars().take(600).collect(),
            kind: Kind::of(Some(status), &codes, message),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_reason_of_its_own() {
        let cases = [
            (Some(409), "OperationNotAllowed", "Another agentpool operation is in progress", Kind::Busy),
            (Some(412), "PreconditionFailed", "", Kind::Changed),
            (Some(429), "Throttled", "The PUT request limit has been exceeded", Kind::Throttled),
            (Some(400), "ErrCode_InsufficientVCPUQuota", "Insufficient regional vcpu quota left", Kind::Quota),
            (Some(409), "OperationNotAllowed", "exceeding approved Total Regional Cores quota", Kind::Quota),
            (None, "ZonalAllocationFailed", "", Kind::Allocation),
            (None, "OverconstrainedAllocationRequest", "", Kind::Allocation),
            (Some(400), "SkuNotAvailable", "", Kind::Sku),
            (Some(401), "InvalidAuthenticationToken", "", Kind::Credentials),
            (Some(403), "AuthorizationFailed", "", Kind::Denied),
            (Some(404), "ResourceGroupNotFound", "", Kind::NotFound),
            (Some(400), "InvalidParameter", "count cannot be set while the cluster autoscaler is on", Kind::Autoscaler),
            (Some(400), "InvalidParameter", "", Kind::Refused),
            (Some(503), "", "", Kind::Unavailable),
        ];
        for (status, code, message, kind) in cases {
            assert_eq!(Kind::of(status, code, message), kind, "{status:?} {code} {message}");
        }
    }

    #[test]
    fn back_off_grows_up_to_a_limit() {
        assert_eq!(Kind::Busy.backoff(1), Duration::from_secs(3));
        assert_eq!(Kind::Busy.backoff(2), Duration::from_secs(6));
        assert_eq!(Kind::Quota.backoff(u32::MAX), Duration::from_secs(1800));
    }
}
