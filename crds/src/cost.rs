//! What nodes cost, and what they may.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::Money;

/// What a node costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// An hour of a node: a decimal in quotes such as `"0.192"`, or a whole number.
    pub node_hour: Money,
    /// The currency of all amounts, up to eight characters; it is only told. Default `USD`.
    #[serde(default = "usd")]
    #[schemars(length(min = 1, max = 8), regex(pattern = r"^\S+$"))]
    pub currency: String,
}

fn usd() -> String {
    "USD".to_owned()
}

/// What the nodes of a pool may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// In a calendar month (UTC), in the currency of `price`: a decimal in quotes such as `"250.50"`, or a whole number.
    pub month: Money,
    /// What happens once it is spent: `Alert` (default) only says so, by the condition `Degraded` and an event. `Pause` also
    /// gives no new slots and adds no nodes until the next month or a higher budget; running pods end, and `minNodes` stay.
    #[serde(default)]
    pub on_exceed: OnExceed,
}

/// What happens once a budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnExceed {
    /// It is told.
    #[default]
    Alert,
    /// It is told, and nothing new starts.
    Pause,
}

/// What a pool's nodes cost in a calendar month so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCost {
    /// The month in UTC, such as `2026-11`.
    pub month: String,
    /// Seconds for which there were nodes, summed over nodes.
    pub node_seconds: u64,
    /// Those of them in which no pod of a run was on the node.
    pub idle_node_seconds: u64,
    /// What they cost at the price that is set; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Up to when it is reckoned. Nothing is written while there are no nodes.
    pub as_of: Timestamp,
    /// The latest month before in which there were nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_month: Option<MonthCost>,
}

/// What a pool's nodes cost in a month that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonthCost {
    /// The month in UTC, such as `2026-10`.
    pub month: String,
    /// Seconds for which there were nodes, summed over nodes.
    pub node_seconds: u64,
    /// Those of them in which no pod of a run was on the node.
    pub idle_node_seconds: u64,
    /// What they cost at the price that is set; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// What the nodes were for a schedule in a calendar month so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleCost {
    /// The month in UTC, such as `2026-11`.
    pub month: String,
    /// Node-seconds of all its runs, those by hand included.
    pub node_seconds: u64,
    /// What they cost at the price that is set; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Up to when it is reckoned.
    pub as_of: Timestamp,
}

/// What the nodes were for a run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRunCost {
    /// The ScoringRun's name.
    pub run: String,
    /// Its node-seconds.
    pub node_seconds: u64,
    /// What they cost; absent where no price was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}
