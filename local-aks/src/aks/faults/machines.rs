//! Machines that go wrong: nodes that never become Ready, and machines that Azure takes back.

use serde::{Deserialize, Serialize};

use super::super::span::Span;
use super::{OrderError, is_off, one, some_times};
use crate::machines::Becomes;

/// Machines that come, and whose nodes never become Ready.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NeverReady {
    /// The next N machines
    #[arg(long = "next", value_name = "N", default_value_t = 1)]
    #[serde(default = "one")]
    pub count: u32,
    /// No Node ever registers; without it, one registers and stays NotReady
    #[arg(long)]
    #[serde(default, skip_serializing_if = "is_off")]
    pub unregistered: bool,
    /// The agent pool; all user pools without it
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

impl NeverReady {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        some_times("count", self.count)
    }

    pub(in super::super) fn becomes(&self) -> Becomes {
        if self.unregistered { Becomes::Nothing } else { Becomes::NotReady }
    }
}

/// Azure takes a machine back, as it does with those of spot pools.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reclaim {
    /// The agent pool: one of its machines, at random
    #[arg(long, required_unless_present_any = ["machine", "count"])]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// This machine
    #[arg(long, value_name = "NAME", conflicts_with = "count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The next N machines that come, instead of one that is there; of all user pools without --pool
    #[arg(long = "next", value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// With --next: how long a machine is there before its notice
    #[arg(long = "after", value_name = "TIME", default_value = "0s", requires = "count")]
    #[serde(default)]
    pub after_seconds: Span,
    /// From the notice until the machine stops
    #[arg(long = "notice", value_name = "TIME", default_value = "30s")]
    #[serde(default = "half_a_minute")]
    pub notice_seconds: Span,
    /// On the notice, cordon and drain the node, as AKS' node auto-drain does when it is in time
    #[arg(long)]
    #[serde(default, skip_serializing_if = "is_off")]
    pub drain: bool,
    /// Whether the pool's count falls with the machine; as the settings say for deleteMachines without it
    #[arg(long, value_name = "true|false")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_falls: Option<bool>,
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}

impl Reclaim {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        match (&self.machine, self.count) {
            (Some(_), Some(_)) => {
                Err(OrderError::new("machine", "is one that is there, and count is of those to come"))
            }
            (_, Some(count)) => some_times("count", count),
            (None, None) if self.pool.is_none() => {
                Err(OrderError::new("pool", "say of which pool, or name the machine, or say by count how many to come"))
            }
            _ if self.after_seconds != Span::default() => {
                Err(OrderError::new("afterSeconds", "is for machines to come: say by count how many"))
            }
            _ => Ok(()),
        }
    }
}
