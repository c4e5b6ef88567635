//! What Azure Resource Manager answers when it does not do what it is asked.

use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::error_body::ErrorBody;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const DATE: HeaderName = HeaderName::from_static("date");
/// The longest that an answer makes wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

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
    /// An operation that Azure had accepted gave way to another one.
    Preempted,
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
            Self::Preempted => "OperationPreempted",
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
            Self::Busy | Self::Changed | Self::Preempted | Self::Throttled | Self::Unavailable => {
                "It is tried again by itself."
            }
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

    /// Whether, of an operation that adds machines, it keeps these from coming, and no other operation from working.
    #[must_use]
    pub fn is_about_growth(self) -> bool {
        matches!(self, Self::Quota | Self::Allocation | Self::Sku | Self::Provisioning | Self::Refused)
    }

    /// Whether fewer machines may be had where this many are not.
    #[must_use]
    pub fn may_have_fewer(self) -> bool {
        matches!(self, Self::Quota | Self::Allocation)
    }

    /// How long to wait before the next try, after so many failures in a row.
    #[must_use]
    pub fn backoff(self, failures: u32) -> Duration {
        let (first, most) = match self {
            Self::Changed => (1, 30),
            // Each try takes one of the PUTs, of which there is one a minute.
            Self::Busy => (3, 60),
            Self::Preempted => (5, 60),
            Self::Unavailable => (5, 120),
            Self::Throttled | Self::Credentials | Self::Denied | Self::NotFound => (30, 300),
            Self::Autoscaler | Self::Unexpected => (60, 300),
            Self::Allocation | Self::Provisioning => (60, 900),
            Self::Quota | Self::Sku | Self::Refused => (120, 1800),
        };
        Duration::from_secs((first << failures.saturating_sub(1).min(10)).min(most))
    }

    /// Reads what Azure says: with the status of its answer, or of an operation that came to a bad end.
    ///
    /// Codes count before messages, which hold names that people have given.
    #[must_use]
    pub fn of(status: Option<u16>, body: &ErrorBody) -> Self {
        let message = body.message.to_ascii_lowercase();
        let codes: Vec<String> = body.codes.iter().map(|code| code.to_ascii_lowercase()).collect();
        let says = |word: &str| codes.iter().any(|code| code.contains(word));
        let lacks_quota = || {
            says("quota")
                || message.contains("exceeding approved") && message.contains("quota")
                || message.contains("quota exceeded")
                || message.contains("insufficient") && message.contains("quota")
        };
        let no_size = || says("skunotavailable") || says("notavailableforsubscription") || says("vmsizenotsupported");
        let refused = || {
            [
                "scopelocked",
                "readonlydisabledsubscription",
                "missingsubscriptionregistration",
                "requestdisallowedbypolicy",
            ]
            .into_iter()
            .any(says)
        };
        let scales = || message.contains("autoscal") || message.contains("auto-scal");
        match status {
            // What no second try changes, whatever the status that it comes with.
            Some(403 | 409) if refused() => Self::Refused,
            Some(401) => Self::Credentials,
            Some(403) if !says("quota") => Self::Denied,
            Some(404) => Self::NotFound,
            Some(412) => Self::Changed,
            Some(429) => Self::Throttled,
            _ if says("throttl") || says("toomanyrequests") => Self::Throttled,
            _ if lacks_quota() => Self::Quota,
            _ if codes.iter().any(|code| code.contains("allocation") && !code.contains("deallocation")) => {
                Self::Allocation
            }
            // No addresses for so many.
            _ if says("insufficientsubnetsize") || says("subnetisfull") => Self::Allocation,
            _ if no_size() => Self::Sku,
            _ if says("preempted") => Self::Preempted,
            Some(400) if scales() => Self::Autoscaler,
            Some(409) => Self::Busy,
            Some(408 | 500..=599) => Self::Unavailable,
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
    /// Whether Azure may have done it all the same: nobody has said that it was refused.
    #[must_use]
    pub(crate) fn may_be_done(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::Unexpected)
    }

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
        let kind = of_sending(error);
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
        let body = ErrorBody::read(&body);
        let headers = response.headers();
        let date = headers.get_optional_str(&DATE);
        let wait = headers.get_optional_str(&RETRY_AFTER).and_then(|after| retry_after(after, date));
        let codes = body.codes.join(" ");
        Self {
            doing: doing.to_owned(),
            message: format!("{status} {codes} {}", body.message).trim().chars().take(600).collect(),
            kind: Kind::of(Some(status), &body),
            retry_after: wait,
        }
    }
}

/// Why a request has no answer. A token that could not be had for lack of a way to where it comes from is no wrong identity.
fn of_sending(error: &azure_core::Error) -> Kind {
    match error.kind() {
        ErrorKind::Credential => {
            let mut source = std::error::Error::source(error);
            while let Some(inner) = source {
                if let Some(inner) = inner.downcast_ref::<azure_core::Error>() {
                    return match of_sending(inner) {
                        Kind::Unavailable | Kind::Throttled => Kind::Unavailable,
                        _ => Kind::Credentials,
                    };
                }
                source = inner.source();
            }
            Kind::Credentials
        }
        ErrorKind::Connection | ErrorKind::Io => Kind::Unavailable,
        ErrorKind::HttpResponse { status, .. } => Kind::of(Some(u16::from(*status)), &ErrorBody::default()),
        _ => Kind::Unexpected,
    }
}

/// What a `Retry-After` asks for, which is seconds or a date, against the date of the answer. No more than some minutes.
fn retry_after(text: &str, date: Option<&str>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT));
    }
    let wait = Duration::try_from(http_date(text)?.duration_since(http_date(date?)?)).unwrap_or_default();
    Some(wait.min(LONGEST_WAIT))
}

/// A date as HTTP has it, those of RFC 850 and of C's `asctime` included, which are to be understood still.
fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let of_civil = |format| Some(DateTime::strptime(format, text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let usual = rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    usual.or_else(|| of_civil("%A, %d-%b-%y %T GMT")).or_else(|| of_civil("%a %b %e %T %Y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: Option<u16>, code: &str, message: &str) -> Kind {
        Kind::of(status, &ErrorBody { codes: vec![code.to_owned()], message: message.to_owned() })
    }

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
            (None, "OperationPreempted", "", Kind::Preempted),
            (Some(400), "SkuNotAvailable", "", Kind::Sku),
            (Some(401), "InvalidAuthenticationToken", "", Kind::Credentials),
            (Some(403), "AuthorizationFailed", "", Kind::Denied),
            (Some(404), "ResourceGroupNotFound", "", Kind::NotFound),
            (Some(400), "InvalidParameter", "count cannot be set while the cluster autoscaler is on", Kind::Autoscaler),
            (Some(400), "InvalidParameter", "", Kind::Refused),
            (Some(409), "ScopeLocked", "", Kind::Refused),
            (Some(409), "MissingSubscriptionRegistration", "", Kind::Refused),
            (Some(409), "ReadOnlyDisabledSubscription", "", Kind::Refused),
            (Some(403), "RequestDisallowedByPolicy", "", Kind::Refused),
            (None, "VMDeallocationFailed", "", Kind::Provisioning),
            (Some(503), "", "", Kind::Unavailable),
            (None, "NodesNotReady", "", Kind::Provisioning),
        ];
        for (status, code, message, expected) in cases {
            assert_eq!(kind(status, code, message), expected, "{status:?} {code} {message}");
        }
    }

    #[test]
    fn a_name_that_somebody_gave_is_no_reason() {
        let busy = "Another agentpool operation (quota1 - Scaling) is in progress";
        assert_eq!(kind(Some(409), "OperationNotAllowed", busy), Kind::Busy);
        let denied = "no authorization over scope /subscriptions/s/resourceGroups/rg-autoscale";
        assert_eq!(kind(Some(403), "AuthorizationFailed", denied), Kind::Denied);
        assert_eq!(kind(Some(404), "ResourceNotFound", "pool quota-exceeded was not found"), Kind::NotFound);
    }

    #[test]
    fn what_the_service_below_says_is_the_reason() {
        let body = serde_json::json!({
            "code": "ReconcileVMSSAgentPoolFailed", "message": "Code=\"AllocationFailed\" Message=\"no capacity\"",
        });
        assert_eq!(Kind::of(None, &ErrorBody::read(&body)), Kind::Allocation);
    }

    #[test]
    fn a_token_that_nobody_answered_for_is_no_wrong_identity() {
        let credential = |inner: ErrorKind| {
            let inner = azure_core::Error::with_message(inner, "token endpoint");
            of_sending(&azure_core::Error::with_error(ErrorKind::Credential, inner, "no token"))
        };
        assert_eq!(credential(ErrorKind::Io), Kind::Unavailable);
        assert_eq!(credential(ErrorKind::Connection), Kind::Unavailable);
        assert_eq!(credential(ErrorKind::DataConversion), Kind::Credentials);
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_never_an_hour() {
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        let seconds = |text: &str, date| retry_after(text, date).map(|wait| wait.as_secs());
        assert_eq!(seconds("42", None), Some(42));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:30 GMT", date), Some(30));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:27:30 GMT", date), Some(0));
        assert_eq!(seconds("Wednesday, 21-Oct-26 07:28:30 GMT", date), Some(30));
        assert_eq!(seconds("Wed Oct 21 07:28:30 2026", date), Some(30));
        assert_eq!((seconds("86400", None), seconds("99999999999999999999999", None)), (Some(600), Some(600)));
        assert_eq!((seconds("soon", date), seconds("-1", date), seconds("", date)), (None, None, None));
    }

    #[test]
    fn back_off_grows_up_to_a_limit() {
        assert_eq!(Kind::Busy.backoff(1), Duration::from_secs(3));
        assert_eq!(Kind::Busy.backoff(2), Duration::from_secs(6));
        assert_eq!(Kind::Quota.backoff(u32::MAX), Duration::from_secs(1800));
    }
}
