//! A limit of cores or machines that stands, as a subscription's quota does.

use serde::{Deserialize, Serialize};

use super::super::error::{ApiError, Failure};
use super::OrderError;

/// How much a subscription may have.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// So many cores in all, counted as the names of VM sizes tell: Standard_D4ds_v5 has 4
    #[arg(long, value_name = "N", required_unless_present = "machines")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u64>,
    /// So many machines in all
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<u64>,
    /// Only what this agent pool has counts; all pools, system pools too, without it
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Where the excess shows
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub at: At,
}

/// Where an exceeded quota shows; Azure does both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// The PUT is refused: 400 `ErrCode_InsufficientVCPUQuota`
    #[default]
    Request,
    /// The PUT is accepted, and its operation fails: QuotaExceeded
    Operation,
}

/// What a request would use of a quota, in its unit.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Use {
    pub(in super::super) used: u64,
    pub(in super::super) more: u64,
    pub(in super::super) limit: u64,
    /// Cores, or machines.
    pub(in super::super) cores: bool,
}

impl Quota {
    pub(super) fn check(&self) -> Result<(), OrderError> {
        if self.cores.is_none() && self.machines.is_none() {
            return Err(OrderError::new("cores", "say how many cores, or how many machines"));
        }
        Ok(())
    }

    /// Whether a pool's machines count.
    pub(in super::super) fn covers(&self, pool: &str) -> bool {
        self.pool.as_deref().is_none_or(|one| one == pool)
    }
}

impl Use {
    pub(in super::super) fn fits(self) -> bool {
        self.used.saturating_add(self.more) <= self.limit
    }

    /// What the request is refused with; Azure's own words.
    pub(in super::super) fn refusal(self, vm_size: &str, location: &str) -> ApiError {
        if !self.cores {
            let failure = self.failure(location);
            return ApiError::new(400, failure.code, failure.message);
        }
        ApiError::new(
            400,
            "ErrCode_InsufficientVCPUQuota",
            format!(
                "Insufficient vcpu quota requested {}, remaining {} for family {} for region {location}. \
                 Surge nodes would also consume vcpu quota.",
                self.more,
                self.limit.saturating_sub(self.used),
                family(vm_size),
            ),
        )
    }

    /// What the operation fails with; Azure's own words.
    pub(in super::super) fn failure(self, location: &str) -> Failure {
        let name = if self.cores { "Total Regional Cores" } else { "Virtual Machines" };
        let needed = self.used.saturating_add(self.more);
        Failure::new(
            "QuotaExceeded",
            format!(
                "Operation could not be completed as it results in exceeding approved {name} quota. Additional details - \
                 Deployment Model: Resource Manager, Location: {location}, Current Limit: {}, Current Usage: {}, \
                 Additional Required: {}, (Minimum) New Limit Required: {needed}.",
                self.limit, self.used, self.more
            ),
        )
    }
}

/// The cores of a VM size, as its name tells: the number after the family, or what a constrained size has of them
/// (`Standard_E32-16s_v5`: 16). A name without a number counts as one core.
pub(in super::super) fn cores(vm_size: &str) -> u64 {
    let (_, name) = vm_size.split_once('_').unwrap_or(("", vm_size));
    let name = name.split('_').next().unwrap_or_default();
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let constrained = name.split_once('-').and_then(|(_, rest)| number(rest));
    constrained.or_else(|| number(name.trim_start_matches(|c: char| !c.is_ascii_digit()))).unwrap_or(1)
}

/// `StandardDasv5Family` for `Standard_D4as_v5`.
fn family(vm_size: &str) -> String {
    let (tier, name) = vm_size.split_once('_').unwrap_or(("", vm_size));
    let (size, version) = name.split_once('_').unwrap_or((name, ""));
    let letters: String = size.chars().filter(char::is_ascii_alphabetic).collect();
    format!("{tier}{letters}{version}Family")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_size_tells_its_cores_and_family() {
        for (size, count) in [
            ("Standard_D4ds_v5", 4),
            ("Standard_D2as_v7", 2),
            ("Standard_NC24ads_A100_v4", 24),
            ("Standard_E32-16s_v5", 16),
            ("Standard_B1s", 1),
            ("mine", 1),
        ] {
            assert_eq!(cores(size), count, "{size}");
        }
        assert_eq!(family("Standard_D2as_v7"), "StandardDasv7Family");
    }
}
