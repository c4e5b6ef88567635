//! Requests that are answered with an error.

use serde::{Deserialize, Serialize};

use super::super::error::ApiError;
use super::super::span::Span;
use super::{OrderError, is_off, one, some_times};

/// The next requests that match are answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestFault {
    /// The next N requests that match
    #[arg(long = "next", value_name = "N", default_value_t = 1)]
    #[serde(default = "one")]
    pub count: u32,
    /// The answer's status, 400 to 599
    #[arg(long, default_value_t = 500)]
    #[serde(default = "internal")]
    pub status: u16,
    /// Azure's code in the body
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The message in the body
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What Retry-After says; no such header without it
    #[arg(long = "retry-after", value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<Span>,
    /// Only requests of this method
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests with this in their path; those of the Resource Manager, and not of the token endpoint, without it
    #[arg(long, value_name = "TEXT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_contains: Option<String>,
    /// Do what the request asks, and lose only the answer
    #[arg(long)]
    #[serde(default, skip_serializing_if = "is_off")]
    pub after: bool,
}

fn internal() -> u16 {
    500
}

impl RequestFault {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        some_times("count", self.count)?;
        if (400..600).contains(&self.status) {
            return Ok(());
        }
        Err(OrderError::new("status", format!("{} is no error: it must be 400 to 599", self.status)))
    }
}

/// The request faults still to come.
#[derive(Debug, Default)]
pub(in super::super) struct RequestFaults(Vec<RequestFault>);

/// One fault that struck.
#[derive(Debug)]
pub(in super::super) struct Strike {
    pub(in super::super) after: bool,
    pub(in super::super) error: ApiError,
}

impl RequestFaults {
    pub(in super::super) fn add(&mut self, faults: Vec<RequestFault>) {
        self.0.extend(faults);
    }

    pub(in super::super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(in super::super) fn left(&self) -> &[RequestFault] {
        &self.0
    }

    /// The fault that strikes this request, used up once.
    pub(in super::super) fn take(&mut self, method: &str, path: &str, resource_manager: bool) -> Option<Strike> {
        let at = self.0.iter().position(|fault| {
            let path_fits = match &fault.path_contains {
                Some(part) => path.contains(part.as_str()),
                None => resource_manager,
            };
            path_fits
                && fault.count > 0
                && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        })?;
        let fault = &mut self.0[at];
        fault.count -= 1;
        let strike = Strike {
            after: fault.after,
            error: ApiError {
                retry_after: fault.retry_after_seconds.map(|span| span.0),
                ..ApiError::new(
                    fault.status,
                    fault.code.as_deref().unwrap_or("InternalServerError"),
                    fault.message.as_deref().unwrap_or("A fault was asked for at /control/faults."),
                )
            },
        };
        if fault.count == 0 {
            self.0.remove(at);
        }
        Some(strike)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::FaultOrder;
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_ordered_and_only_what_it_matches() {
        let order = FaultOrder::read(
            r#"{"requests": [{"count": 2, "status": 503, "code": "ServerBusy", "method": "PUT", "retryAfterSeconds": 7}]}"#,
        )
        .unwrap();
        let mut faults = RequestFaults::default();
        faults.add(order.requests);
        assert!(faults.take("GET", "/subscriptions/s", true).is_none());
        assert!(faults.take("PUT", "/tenant/oauth2/v2.0/token", false).is_none());
        for _ in 0..2 {
            let strike = faults.take("PUT", "/subscriptions/s", true).unwrap();
            assert_eq!((strike.error.status, strike.error.retry_after), (503, Some(Duration::from_secs(7))));
        }
        assert!(faults.take("PUT", "/subscriptions/s", true).is_none());
    }
}
