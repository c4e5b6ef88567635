//! How long what runs leave in the store is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// How long what the schedule's runs leave in the store is kept, by when it was last written. What is absent is kept for
/// ever. Older things are deleted once a day, by the archive pod of the first run that ends on a day (UTC); nothing is
/// deleted while no run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retention {
    /// How long runs are kept: claim, manifest, outcomes and record below `runs/{namespace}/{schedule}/{run}/`. A run goes
    /// as a whole. At least `1d`, such as `90d`. Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Span>,
    /// How long logs are kept. At least `1d`, such as `30d`. Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Span>,
    /// How long predictions are kept, and the `_SUCCESS` of their runs; `latest.json` stays. At least `1d`, such as `365d`.
    /// Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<Span>,
}

impl Retention {
    /// The shortest span that things are kept for.
    pub const SHORTEST: Span = Span::from_secs(86_400);

    /// Whether anything is ever deleted.
    #[must_use]
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// Each field's path and what it says.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, Option<Span>); 3] {
        [("retention.runs", self.runs), ("retention.logs", self.logs), ("retention.predictions", self.predictions)]
    }
}
