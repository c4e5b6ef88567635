//! Readings in a database: one query, with values bound to its parameters.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::{Piece, TemplateError, key, pieces};
use crate::work::SecretRef;
use crate::{SensorKeys, TimeRange};

/// The most parameters of a query.
pub const MAX_PARAMETERS: usize = 100;

/// Readings in a PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqlSource {
    /// A Secret of the schedule's namespace that names the database: `url` (`postgres://USER:PASSWORD@HOST:5432/DATABASE`), or
    /// `host`, `port`, `user`, `password`, `database`, `sslmode`; with `ca.crt`, a certificate to trust. The operator never
    /// reads it; pods mount it.
    pub secret_ref: SecretRef,
    /// One SELECT, whose columns are those of a file: time, values, and the keys that no parameter fixes. `$1`, `$2`, … stand
    /// for the values of `parameters`; no value is ever put into the text.
    #[schemars(length(min = 1, max = 65536))]
    pub query: String,
    /// The values of `$1`, `$2`, …: texts in which `{device}` is a sensor's key, or `{window.start}` or `{window.end}` alone.
    /// With a key the query is asked once for each of its values; without any, once for all sensors of a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub parameters: Vec<SqlParameter>,
}

/// What is bound to one parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlParameter {
    /// The first instant of the window.
    WindowStart,
    /// The first instant behind it.
    WindowEnd,
    /// A text, with keys of the sensor.
    Text(Vec<TextPart>),
}

/// A part of such a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextPart {
    /// As it stands there.
    Text(String),
    /// The value of a key.
    Key(String),
}

/// What a parameter is for a sensor and a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlValue {
    /// A text.
    Text(String),
    /// The first instant of the window.
    Start(jiff::Timestamp),
    /// The first instant behind it.
    End(jiff::Timestamp),
}

/// Why a text is not a [`SqlParameter`], or has no value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SqlParameterError {
    /// It is no text with keys in braces.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A time stands beside something else.
    #[error(
        "{0:?} has a time beside something else; write {{window.start}} and {{window.end}} alone, each as a parameter of its own"
    )]
    TimeInText(String),
    /// There is no such time.
    #[error("{{{0}}} is no time; there are {{window.start}} and {{window.end}}")]
    UnknownTime(String),
    /// The sensor lacks the key.
    #[error("sensor {sensor} has no key {key}")]
    NoKey {
        /// The key.
        key: String,
        /// The sensor.
        sensor: String,
    },
    /// There is no window.
    #[error("{0} needs a window")]
    NoWindow(String),
}

impl SqlSource {
    /// The keys that its parameters name.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        self.parameters.iter().flat_map(SqlParameter::keys).collect()
    }

    /// What messages call the rows that are asked for a sensor: alike for sensors of which the same is asked, and for no
    /// others.
    #[must_use]
    pub fn place(&self, sensor: &SensorKeys) -> String {
        let keys = self.keys();
        let fixed: SensorKeys = sensor.0.iter().filter(|(key, _)| keys.contains(key.as_str())).collect();
        if keys.is_empty() { "data.sql".to_owned() } else { format!("data.sql of {}", fixed.slug()) }
    }

    /// What is bound for sensors of these keys.
    ///
    /// # Errors
    /// When a key or the window is lacking.
    pub fn values(&self, sensor: &SensorKeys, window: Option<TimeRange>) -> Result<Vec<SqlValue>, SqlParameterError> {
        self.parameters.iter().map(|parameter| parameter.value(sensor, window)).collect()
    }
}

impl SqlParameter {
    fn keys(&self) -> impl Iterator<Item = &str> {
        let parts = if let Self::Text(parts) = self { parts.as_slice() } else { &[] };
        parts.iter().filter_map(|part| if let TextPart::Key(key) = part { Some(key.as_str()) } else { None })
    }

    /// Whether it is a time of the window.
    #[must_use]
    pub fn is_time(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

    fn value(&self, sensor: &SensorKeys, window: Option<TimeRange>) -> Result<SqlValue, SqlParameterError> {
        let window = || window.ok_or_else(|| SqlParameterError::NoWindow(self.to_string()));
        let parts = match self {
            Self::WindowStart => return Ok(SqlValue::Start(window()?.start)),
            Self::WindowEnd => return Ok(SqlValue::End(window()?.end)),
            Self::Text(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            match part {
                TextPart::Text(literal) => text.push_str(literal),
                TextPart::Key(key) => {
                    let lacks = || SqlParameterError::NoKey { key: key.clone(), sensor: sensor.to_string() };
                    text.push_str(sensor.get(key).ok_or_else(lacks)?);
                }
            }
        }
        Ok(SqlValue::Text(text))
    }
}

impl FromStr for SqlParameter {
    type Err = SqlParameterError;

    fn from_str(text: &str) -> Result<Self, SqlParameterError> {
        match text {
            "{window.start}" => return Ok(Self::WindowStart),
            "{window.end}" => return Ok(Self::WindowEnd),
            _ => {}
        }
        let part = |piece: Piece<'_>| match piece {
            Piece::Text(literal) => Ok(TextPart::Text(literal.to_owned())),
            Piece::Braces("window.start" | "window.end") => Err(SqlParameterError::TimeInText(text.to_owned())),
            Piece::Braces(name) if name.contains('.') => Err(SqlParameterError::UnknownTime(name.to_owned())),
            Piece::Braces(name) => Ok(TextPart::Key(key(name, text)?)),
        };
        Ok(Self::Text(pieces(text)?.into_iter().map(part).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for SqlParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = match self {
            Self::WindowStart => return f.write_str("{window.start}"),
            Self::WindowEnd => return f.write_str("{window.end}"),
            Self::Text(parts) => parts,
        };
        parts.iter().try_for_each(|part| match part {
            TextPart::Text(text) => f.write_str(text),
            TextPart::Key(key) => write!(f, "{{{key}}}"),
        })
    }
}

crate::as_text!(SqlParameter, { "type": "string", "maxLength": 1024 });

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(parameters: &[&str]) -> Result<SqlSource, String> {
        let source = serde_json::json!({"secretRef": {"name": "db"}, "query": "SELECT 1", "parameters": parameters});
        serde_json::from_value(source).map_err(|error| error.to_string())
    }

    fn sensor() -> SensorKeys {
        [("device", "'; DROP TABLE readings; --"), ("tag", "5")].into_iter().collect()
    }

    #[test]
    fn values_are_those_of_the_sensor_and_the_window_in_order() {
        let window =
            TimeRange { start: "2026-01-01T00:00:00Z".parse().unwrap(), end: "2026-01-01T01:00:00Z".parse().unwrap() };
        let source = source(&["{device}", "t{tag}/x", "{window.start}", "{window.end}", "plant", ""]).unwrap();
        assert_eq!(source.keys().into_iter().collect::<Vec<_>>(), ["device", "tag"]);
        let text = |text: &str| SqlValue::Text(text.to_owned());
        assert_eq!(
            source.values(&sensor(), Some(window)).unwrap(),
            [
                text("'; DROP TABLE readings; --"),
                text("t5/x"),
                SqlValue::Start(window.start),
                SqlValue::End(window.end),
                text("plant"),
                text(""),
            ]
        );
        assert_eq!(source.values(&sensor(), None), Err(SqlParameterError::NoWindow("{window.start}".to_owned())));
        let lacks = SqlParameterError::NoKey { key: "device".to_owned(), sensor: String::new() };
        assert_eq!(source.values(&SensorKeys::default(), Some(window)), Err(lacks));
    }

    #[test]
    fn sensors_of_which_the_same_is_asked_have_one_place() {
        let place = |parameters: &[&str], device: &str, tag: &str| {
            source(parameters).unwrap().place(&[("device", device), ("tag", tag)].into_iter().collect())
        };
        assert_eq!(place(&["{window.start}"], "1", "5"), "data.sql");
        assert_eq!(place(&["{device}"], "1", "5"), place(&["{device}"], "1", "6"));
        assert_eq!(place(&["{device}", "{tag}"], "1", "5"), "data.sql of device=1,tag=5");
        assert_ne!(place(&["{device}", "{tag}"], "1,tag=2", "3"), place(&["{device}", "{tag}"], "1", "2,tag=3"));
    }

    #[test]
    fn what_is_no_parameter_is_told() {
        for (text, hint) in [
            ("{device", "brace without its partner"),
            ("{Device}", "is not a key"),
            ("from {window.start}", "alone"),
            ("{window.length}", "there are {window.start} and {window.end}"),
        ] {
            let error = source(&[text]).unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was_or_refused(text in "\\PC{0,30}") {
            if let Ok(parameter) = text.parse::<SqlParameter>() {
                prop_assert_eq!(parameter.to_string(), text);
            }
        }
    }
}
