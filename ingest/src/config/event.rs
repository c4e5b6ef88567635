//! How an event is read.

use serde::{Deserialize, Serialize};
use spec::Span;

/// How an event is read. By default as the reference's simulated sensors write them: JSON objects with `TS`, `Device`, `Tag` and
/// `Value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EventConfig {
    /// What a record is.
    pub format: EventFormat,
    /// Of Csv: what is between two fields. Default `,`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Of Csv: the names of the fields, in their order; a record has no header.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Which field is what.
    pub columns: Columns,
    /// The zone of times that name none. Default UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How times are written, as for strptime. Default: RFC 3339, or seconds to nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// A condition in the Common Expression Language (CEL), over the fields by their names; events of which it is not true are passed
    /// over: `Tag != "test" && Value > -50.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// By how much an event's time may be ahead of when the broker got it. Default 5m.
    pub max_ahead: Span,
    /// What becomes of a second event of a sensor for the same time, in the same window.
    pub duplicates: Duplicates,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self {
            format: EventFormat::Json,
            delimiter: None,
            names: Vec::new(),
            columns: Columns::default(),
            time_zone: None,
            time_format: None,
            filter: None,
            max_ahead: Span::from_secs(300),
            duplicates: Duplicates::Keep,
        }
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventFormat {
    /// An object, several one after another or in lines, or an array of them.
    #[default]
    Json,
    /// A line, or several.
    Csv,
}

/// Which field is what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Columns {
    /// The event's time. Default `TS`.
    pub time: String,
    /// The number. Default `Value`.
    pub value: String,
    /// The fields that name the sensor, in the order in which files have them. Default `[Device, Tag]`.
    pub keys: Vec<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { time: "TS".to_owned(), value: "Value".to_owned(), keys: vec!["Device".to_owned(), "Tag".to_owned()] }
    }
}

/// What becomes of a second event of a sensor for the same time, in the same window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duplicates {
    /// It counts, as in Stream Analytics.
    #[default]
    Keep,
    /// It is a dead letter; the one that came first counts.
    Drop,
}
