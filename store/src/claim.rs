//! Who holds a tick, or the name of a run by hand: one run, by a conditional create.

use serde::{Deserialize, Serialize};

/// `claim.json`: the run that holds the tick or name of its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The run's UID.
    pub run_uid: String,
}

/// The most bytes of a claim.
pub const MAX_BYTES: u64 = 64 * 1024;
