//! Azure has no machines to give.

use serde::{Deserialize, Serialize};

use super::super::error::Failure;
use super::super::span::Span;
use super::{OrderError, is_off, one, some_times};

/// Operations that make machines make only a few of them, and then fail.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvisioningFault {
    /// The next N operations
    #[arg(long = "next", value_name = "N", default_value_t = 1)]
    #[serde(default = "one")]
    pub count: u32,
    /// All operations accepted for so long, instead of the next N
    #[arg(long = "for", value_name = "TIME", conflicts_with = "count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Span>,
    /// All operations until cleared
    #[arg(long, conflicts_with_all = ["count", "seconds"])]
    #[serde(default, skip_serializing_if = "is_off")]
    pub always: bool,
    /// So many machines come before the operation fails
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[serde(default)]
    pub machines: usize,
    /// What Azure lacks
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub kind: ProvisioningKind,
    /// The agent pool; all user pools without it
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Another code than Azure's for the kind
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Another message
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Ways in which Azure runs out of machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProvisioningKind {
    /// AllocationFailed, within ReconcileVMSSAgentPoolFailed: the region has no room at the moment
    #[default]
    Allocation,
    /// QuotaExceeded: the subscription may have no more cores
    Quota,
    /// SkuNotAvailable, within the same: the size is not offered
    Sku,
}

impl ProvisioningFault {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        some_times("count", self.count)?;
        if self.always && self.seconds.is_some() {
            return Err(OrderError::new("always", "is for ever, and seconds says how long: leave one out"));
        }
        Ok(())
    }

    /// How often it strikes, where that is counted.
    pub(in super::super) fn times(&self) -> Option<u32> {
        (!self.always && self.seconds.is_none()).then_some(self.count)
    }

    /// What the operation fails with.
    pub(in super::super) fn failure(&self) -> Failure {
        let (code, message) = match self.kind {
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
        // A quota is checked before the scale set is asked, and told in its own words.
        if self.kind == ProvisioningKind::Quota { failure } else { failure.of_scale_set() }
    }
}
