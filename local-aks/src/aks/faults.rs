//! Faults on demand: what tests ask the API to do wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{ApiError, Failure};
use super::work::ProvisioningFault;

/// The body of `POST /control/faults`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FaultOrder {
    #[serde(default)]
    pub(super) requests: Vec<RequestFault>,
    #[serde(default)]
    pub(super) provisioning: Vec<ProvisioningOrder>,
}

/// The next `count` requests that match are answered with an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RequestFault {
    #[serde(default = "one")]
    pub(super) count: u32,
    #[serde(default = "internal")]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) retry_after_seconds: Option<u64>,
    #[serde(default)]
    pub(super) method: Option<String>,
    /// Without it only requests to the Resource Manager API match, and not the token endpoint.
    #[serde(default)]
    pub(super) path_contains: Option<String>,
    /// Do what the request asks and lose only the answer.
    #[serde(default)]
    pub(super) after: bool,
}

/// The next `count` operations that make machines fail after `machines` of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProvisioningOrder {
    #[serde(default = "one")]
    pub(super) count: u32,
    #[serde(default)]
    pub(super) machines: usize,
    pub(super) kind: Option<ProvisioningKind>,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) message: Option<String>,
}

/// Ways in which Azure runs out of machines.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ProvisioningKind {
    Quota,
    Allocation,
    Sku,
}

fn one() -> u32 {
    1
}

fn internal() -> u16 {
    500
}

impl ProvisioningOrder {
    pub(super) fn faults(&self) -> Vec<ProvisioningFault> {
        let (code, message) = match self.kind.unwrap_or(ProvisioningKind::Allocation) {
            ProvisioningKind::Quota => (
                "QuotaExceeded",
                "Operation could not be completed as it results in exceeding approved Total Regional Cores quota.",
            ),
            ProvisioningKind::Allocation => (
                "AllocationFailed",
                "Allocation failed. We do not have sufficient capacity for the requested VM size in this region.",
            ),
            ProvisioningKind::Sku => {
                ("SkuNotAvailable", "The requested VM size is currently not available in this location.")
            }
        };
        let failure = Failure::new(self.code.as_deref().unwrap_or(code), self.message.as_deref().unwrap_or(message));
        let fault = ProvisioningFault { machines: self.machines, failure };
        (0..self.count).map(|_| fault.clone()).collect()
    }
}

/// The request faults still to come.
#[derive(Debug, Default)]
pub(super) struct RequestFaults(Vec<RequestFault>);

/// One fault that struck.
#[derive(Debug)]
pub(super) struct Strike {
    pub(super) after: bool,
    pub(super) error: ApiError,
}

impl RequestFaults {
    pub(super) fn add(&mut self, faults: Vec<RequestFault>) {
        self.0.extend(faults);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn left(&self) -> &[RequestFault] {
        &self.0
    }

    /// The fault that strikes this request, used up once.
    pub(super) fn take(&mut self, method: &str, path: &str, resource_manager: bool) -> Option<Strike> {
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
                retry_after: fault.retry_after_seconds.map(Duration::from_secs),
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
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_ordered_and_only_what_it_matches() {
        let order: FaultOrder = serde_json::from_str(
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

    #[test]
    fn a_misspelt_order_is_refused() {
        assert!(serde_json::from_str::<FaultOrder>(r#"{"request": []}"#).is_err());
    }
}
