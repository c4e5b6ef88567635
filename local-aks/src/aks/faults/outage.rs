//! Whole endpoints that do not serve: throttled, or down.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::span::Span;
use super::{OrderError, Standing};

/// Every request to the Resource Manager is answered 429.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Throttle {
    /// For so long; until cleared without it
    #[arg(long = "for", value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Span>,
    /// What Retry-After says, in whole seconds
    #[arg(long = "retry-after", value_name = "TIME", default_value = "10s")]
    #[serde(default = "ten")]
    pub retry_after_seconds: Span,
}

fn ten() -> Span {
    Span::seconds(10)
}

impl Throttle {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        lasts(self.seconds)?;
        if self.retry_after_seconds.0.as_secs() == 0 {
            return Err(OrderError::new("retryAfterSeconds", "must be 1 or more, since the header has whole seconds"));
        }
        Ok(())
    }
}

/// An endpoint is down.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Down {
    /// For so long; until cleared without it
    #[arg(long = "for", value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Span>,
    /// What clients see
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub how: How,
    /// Which endpoint
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub what: What,
}

/// What clients see of an endpoint that is down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// 503 Service Unavailable
    #[default]
    Unavailable,
    /// Connections are refused, and those there are end
    Refuse,
}

/// Which endpoints are down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// The Resource Manager
    #[default]
    Arm,
    /// The token endpoint of Microsoft Entra ID
    Tokens,
    /// Both
    Both,
}

impl Down {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        lasts(self.seconds)
    }

    fn hits(&self, endpoint: Endpoint) -> bool {
        match self.what {
            What::Both => true,
            What::Arm => endpoint == Endpoint::Arm,
            What::Tokens => endpoint == Endpoint::Tokens,
        }
    }
}

fn lasts(seconds: Option<Span>) -> Result<(), OrderError> {
    if seconds.is_some_and(|span| span.0.is_zero()) {
        return Err(OrderError::new("seconds", "must be more than 0; leave it out for an end by hand"));
    }
    Ok(())
}

/// What can be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Endpoint {
    Arm,
    Tokens,
}

/// The outages that there are.
#[derive(Debug, Default)]
pub(in super::super) struct Outages {
    throttle: Option<Standing<Throttle>>,
    down: Option<Standing<Down>>,
}

impl Outages {
    pub(in super::super) fn set(&mut self, throttle: Option<Throttle>, down: Option<Down>, now: Timestamp) {
        if let Some(order) = throttle {
            let lasts = order.seconds;
            self.throttle = Some(Standing::new(order, None, lasts, now));
        }
        if let Some(order) = down {
            let lasts = order.seconds;
            self.down = Some(Standing::new(order, None, lasts, now));
        }
    }

    pub(in super::super) fn end_throttle(&mut self) {
        self.throttle = None;
    }

    pub(in super::super) fn end_down(&mut self) {
        self.down = None;
    }

    fn down(&self, endpoint: Endpoint, now: Timestamp) -> Option<&Standing<Down>> {
        self.down.as_ref().filter(|down| down.stands(now) && down.order.hits(endpoint))
    }

    /// Until when connections are refused (None: until told); no answer where they are not.
    pub(in super::super) fn refuses(&self, endpoint: Endpoint, now: Timestamp) -> Option<Option<Timestamp>> {
        self.down(endpoint, now).filter(|down| down.order.how == How::Refuse).map(|down| down.until)
    }

    /// What a request is answered while its endpoint is down.
    pub(in super::super) fn unavailable(&self, endpoint: Endpoint, now: Timestamp) -> Option<ApiError> {
        self.down(endpoint, now)?;
        Some(ApiError::new(
            503,
            "ServiceUnavailable",
            "The service is temporarily unavailable. Please try again later.",
        ))
    }

    /// What a request is answered while all are throttled: as Resource Manager says it, but for the limit's number.
    pub(in super::super) fn throttled(&self, subscription: &str, method: &str, now: Timestamp) -> Option<ApiError> {
        let throttle = self.throttle.as_ref().filter(|throttle| throttle.stands(now))?;
        let wait = throttle.order.retry_after_seconds.0;
        let kind = match method {
            "GET" => "read",
            "DELETE" => "delete",
            _ => "write",
        };
        let message = format!(
            "Number of {kind} requests for subscription '{subscription}' exceeded the limit. Please try again after '{}' \
             seconds.",
            wait.as_secs()
        );
        Some(ApiError { retry_after: Some(wait), ..ApiError::new(429, "SubscriptionRequestsThrottled", message) })
    }

    /// What stands.
    pub(in super::super) fn show(&self, now: Timestamp) -> (Value, Value) {
        let throttle = self.throttle.as_ref().filter(|one| one.stands(now)).map(|one| one.show(now));
        let down = self.down.as_ref().filter(|one| one.stands(now)).map(|one| one.show(now));
        (json!(throttle), json!(down))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn down(how: How, what: What, seconds: Option<u64>) -> Outages {
        let mut outages = Outages::default();
        outages.set(None, Some(Down { seconds: seconds.map(Span::seconds), how, what }), at(0));
        outages
    }

    #[test]
    fn an_endpoint_is_down_for_its_time_and_the_other_is_not() {
        let outages = down(How::Unavailable, What::Arm, Some(60));
        assert_eq!(outages.unavailable(Endpoint::Arm, at(59)).unwrap().status, 503);
        assert!(outages.unavailable(Endpoint::Tokens, at(59)).is_none());
        assert!(outages.unavailable(Endpoint::Arm, at(60)).is_none());
        assert!(outages.refuses(Endpoint::Arm, at(0)).is_none());
    }

    #[test]
    fn connections_are_refused_until_told_where_no_time_is_given() {
        let mut outages = down(How::Refuse, What::Both, None);
        for endpoint in [Endpoint::Arm, Endpoint::Tokens] {
            assert_eq!(outages.refuses(endpoint, at(1_000_000)), Some(None));
        }
        outages.end_down();
        assert_eq!(outages.refuses(Endpoint::Arm, at(1_000_001)), None);
    }

    #[test]
    fn a_throttled_request_is_told_when_to_come_back() {
        let mut outages = Outages::default();
        outages.set(Some(Throttle { seconds: Some(Span::seconds(60)), retry_after_seconds: ten() }), None, at(0));
        let refusal = outages.throttled("s", "PUT", at(1)).unwrap();
        assert_eq!((refusal.status, refusal.retry_after), (429, Some(ten().0)));
        assert!(refusal.message.contains("write requests for subscription 's'"), "{refusal}");
        assert!(outages.throttled("s", "PUT", at(60)).is_none());
        assert_eq!(outages.show(at(20)).0["secondsLeft"], 40);
    }
}
