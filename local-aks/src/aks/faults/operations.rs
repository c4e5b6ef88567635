//! Another actor ends an operation.

use serde::{Deserialize, Serialize};

use super::super::error::Failure;
use super::super::operation::Status;
use super::super::span::Span;
use super::{OrderError, some_times};

/// An operation ends Canceled, since another actor's takes its place.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preempt {
    /// The agent pool whose operation ends now; with --next: one that is waited for, any user pool without it
    #[arg(long, required_unless_present = "count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The next N operations, instead of the one that is under way
    #[arg(long = "next", value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// With --next: how long after an operation was accepted
    #[arg(long = "after", value_name = "TIME", default_value = "0s", requires = "count")]
    #[serde(default)]
    pub after_seconds: Span,
    /// How long the other actor's operation then holds the pool
    #[arg(long = "holds", value_name = "TIME", default_value = "0s")]
    #[serde(default)]
    pub holds_seconds: Span,
    /// The pool's provisioningState once the other operation has ended
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub leaves: Leaves,
}

/// How the other actor's operation ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub enum Leaves {
    /// It was an abort
    #[default]
    Canceled,
    /// It reached its goal
    Succeeded,
    /// It failed as well
    Failed,
}

impl Preempt {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        match self.count {
            Some(count) => some_times("count", count),
            None if self.pool.is_none() => {
                Err(OrderError::new("pool", "say whose operation ends now, or by count how many of the next ones"))
            }
            None if self.after_seconds != Span::default() => {
                Err(OrderError::new("afterSeconds", "is for the next operations: say by count how many"))
            }
            None => Ok(()),
        }
    }

    /// What the operation that is ended shows; AKS' own words.
    pub(in super::super) fn failure(other: &str) -> Failure {
        Failure::new(
            "AKSOperationPreempted",
            format!("This operation has been preempted by another operation with ID {other}"),
        )
    }
}

impl Leaves {
    pub(in super::super) fn status(self) -> Status {
        match self {
            Self::Canceled => Status::Canceled,
            Self::Succeeded => Status::Succeeded,
            Self::Failed => Status::Failed,
        }
    }
}
