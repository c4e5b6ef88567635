//! One long operation on a pool, as the two operation endpoints show it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::Failure;
use super::work::Work;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Creating,
    Updating,
    Scaling,
    Starting,
    Stopping,
    Deleting,
    DeletingMachines,
}

impl Verb {
    /// The pool's provisioningState meanwhile.
    pub(super) fn provisioning_state(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Scaling | Self::DeletingMachines => "Scaling",
            Self::Starting => "Starting",
            Self::Stopping => "Stopping",
            Self::Deleting => "Deleting",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Succeeded,
    Failed,
    Canceled,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }

    /// The pool's provisioningState once its operation ended so.
    pub(super) fn provisioning_state(self) -> &'static str {
        self.name()
    }
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) pool: String,
    pub(super) verb: Verb,
    pub(super) status: Status,
    pub(super) failure: Option<Failure>,
    started: Timestamp,
    ended: Option<Timestamp>,
    /// When its delay is over; None once its work was given out or it ended.
    pub(super) due: Option<Timestamp>,
    pub(super) work: Option<Work>,
}

impl Operation {
    pub(super) fn new(pool: &str, verb: Verb, now: Timestamp) -> Self {
        let pool = pool.to_owned();
        Self { pool, verb, status: Status::InProgress, failure: None, started: now, ended: None, due: None, work: None }
    }

    pub(super) fn is_running(&self) -> bool {
        self.status == Status::InProgress
    }

    pub(super) fn end(&mut self, status: Status, failure: Option<Failure>, now: Timestamp) {
        self.status = status;
        self.failure = failure;
        self.ended = Some(now);
        self.due = None;
        self.work = None;
    }

    /// The body of the Azure-AsyncOperation address.
    pub(super) fn render(&self, id: &str, address: &str) -> Value {
        let mut body = json!({
            "id": address,
            "name": id,
            "status": self.status.name(),
            "startTime": self.started.to_string(),
        });
        if let Some(ended) = self.ended {
            body["endTime"] = json!(ended.to_string());
        }
        if let Some(failure) = &self.failure {
            body["error"] = failure.body();
        }
        body
    }
}
