//! What the API answers when it refuses: Azure's error body, as a value.

use std::time::Duration;

use serde_json::{Value, json};

/// A refusal: a status, Azure's code and message, and how long to wait where that helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// What the refusal is made of, where it is another's.
    pub(super) details: Vec<Failure>,
}

impl ApiError {
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after: None, details: Vec::new() }
    }

    /// What the end of an operation that failed answers.
    pub(super) fn of(status: u16, failure: &Failure) -> Self {
        let Failure { code, message, details } = failure.clone();
        Self { details, ..Self::new(status, code, message) }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameter", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NotFound", message)
    }

    /// Another operation holds the pool. Code and wording are those of AKS, which clients match on.
    pub(super) fn busy(pool: &str, state: &str) -> Self {
        Self::new(
            409,
            "OperationNotAllowed",
            format!(
                "Operation is not allowed: Another agentpool operation ({pool} - {state}) is in progress, please wait \
                 for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details"
            ),
        )
    }

    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self::new(412, "PreconditionFailed", message)
    }

    pub(super) fn throttled(what: &str, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                429,
                "Throttled",
                format!(
                    "The {what} request limit has been exceeded, please retry again in {} seconds. \
                     For more information, please visit aka.ms/aks/throttling",
                    retry_after.as_secs()
                ),
            )
        }
    }

    pub(super) fn body(&self) -> Value {
        json!({"error": body(&self.code, &self.message, &self.details)})
    }
}

/// Why an accepted operation ended Failed; shown by the operation and by the pool's `status.provisioningError`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) details: Vec<Failure>,
}

impl Failure {
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Vec::new() }
    }

    /// As AKS tells what the scale set of a pool answered: under a code of its own, with the answer within the message.
    pub(super) fn of_scale_set(self) -> Self {
        let message = format!("Code={:?} Message={:?}", self.code, self.message);
        Self { details: vec![self], ..Self::new("ReconcileVMSSAgentPoolFailed", message) }
    }

    pub(super) fn body(&self) -> Value {
        body(&self.code, &self.message, &self.details)
    }
}

fn body(code: &str, message: &str, details: &[Failure]) -> Value {
    let mut body = json!({"code": code, "message": message});
    if !details.is_empty() {
        body["details"] = details.iter().map(Failure::body).collect();
    }
    body
}
