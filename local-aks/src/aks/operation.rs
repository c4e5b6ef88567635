//! One long operation on a pool, as the two operation endpoints show it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::Failure;
use super::faults::Preempt;
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
    /// Another actor's, that took the place of one that was under way.
    Preempting,
}

impl Verb {
    /// The pool's provisioningState meanwhile.
    pub(super) fn provisioning_state(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating | Self::Preempting => "Updating",
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

/// A part of an operation's work, and when its time comes.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) due: Timestamp,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) pool: String,
    pub(super) verb: Verb,
    pub(super) status: Status,
    pub(super) failure: Option<Failure>,
    started: Timestamp,
    ended: Option<Timestamp>,
    /// What waits for its time, the earliest first.
    pub(super) steps: Vec<Step>,
    /// How much work was given out whose outcome has not come in.
    pub(super) acting: usize,
    /// Why it ends Failed once all of its work is in.
    pub(super) doomed: Option<Failure>,
    /// When another actor ends it, and how.
    pub(super) preempted: Option<(Timestamp, Preempt)>,
    /// The operation that took its place.
    pub(super) heir: Option<String>,
    /// The pool's state after an operation that took another's place.
    pub(super) leaves: Option<Status>,
}

impl Operation {
    pub(super) fn new(pool: &str, verb: Verb, now: Timestamp) -> Self {
        Self {
            pool: pool.to_owned(),
            verb,
            status: Status::InProgress,
            failure: None,
            started: now,
            ended: None,
            steps: Vec::new(),
            acting: 0,
            doomed: None,
            preempted: None,
            heir: None,
            leaves: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.status == Status::InProgress
    }

    /// When it has to be looked at again.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let step = self.steps.first().map(|step| step.due);
        let preempted = self.preempted.as_ref().map(|(at, _)| *at);
        step.into_iter().chain(preempted).min()
    }

    pub(super) fn end(&mut self, status: Status, failure: Option<Failure>, now: Timestamp) {
        self.status = status;
        self.failure = failure;
        self.ended = Some(now);
        self.steps.clear();
        self.preempted = None;
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
