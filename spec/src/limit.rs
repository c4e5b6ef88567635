//! How many of some may go wrong: a number, or a share of all.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::int_or_text;

/// A number such as `5`, or a percentage such as `5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    Number(u32),
    /// So many of a hundred, from 0 to 100.
    Percent(u8),
}

/// Why a text is no [`Limit`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is neither a whole number from 0, such as 5, nor a percentage from 0% to 100%")]
pub struct LimitError(String);

impl Limit {
    /// Whether so many of all are within it.
    #[must_use]
    pub fn allows(self, some: u64, all: u64) -> bool {
        match self {
            Self::Number(most) => some <= u64::from(most),
            Self::Percent(most) => u128::from(some) * 100 <= u128::from(all) * u128::from(most),
        }
    }

    /// Whether a run in which so many sensors failed is Complete (`maxFailedSensors`): without a limit, unless all did.
    #[must_use]
    pub fn tolerates(limit: Option<Self>, failed: u32, sensors: u32) -> bool {
        match limit {
            Some(limit) => limit.allows(failed.into(), sensors.into()),
            None => failed == 0 || failed < sensors,
        }
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let limit = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| *p <= 100).map(Self::Percent),
            None => text.parse().ok().map(Self::Number),
        };
        limit.ok_or_else(|| LimitError(text.to_owned()))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(most) => write!(f, "{most}"),
            Self::Percent(most) => write!(f, "{most}%"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(most) => serializer.serialize_u32(*most),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        int_or_text::deserialize(deserializer, "a number such as 5, or a percentage such as 5%")
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        int_or_text::schema(
            "string(self).matches('^([0-9]{1,9}|(100|[0-9]{1,2})%)$')",
            "it must be a number such as 5, or a percentage from 0% to 100% such as 10%",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_percentage() {
        for (json, limit) in [("5", Limit::Number(5)), ("\"5\"", Limit::Number(5)), ("\"5%\"", Limit::Percent(5))] {
            assert_eq!(serde_json::from_str::<Limit>(json).unwrap(), limit);
        }
        for json in ["-1", "4294967296", "\"101%\"", "\"x\"", "1.5", "null", "\"%\""] {
            let error = serde_json::from_str::<Limit>(json).unwrap_err().to_string();
            assert!(error.contains("number from 0, such as 5") || error.contains("a number such as 5, or"), "{error}");
        }
        assert_eq!(serde_json::to_string(&[Limit::Number(0), Limit::Percent(100)]).unwrap(), "[0,\"100%\"]");
    }

    #[test]
    fn a_limit_allows_up_to_what_it_says() {
        assert!(Limit::Number(2).allows(2, 2) && !Limit::Number(2).allows(3, 1_000));
        assert!(Limit::Percent(10).allows(10, 100) && !Limit::Percent(10).allows(11, 100));
        assert!(Limit::Percent(0).allows(0, 0));
        assert!(Limit::Percent(100).allows(20, 20));
    }

    #[test]
    fn without_a_limit_a_run_fails_when_every_sensor_failed() {
        assert!(Limit::tolerates(None, 23, 24) && Limit::tolerates(None, 0, 1) && Limit::tolerates(None, 0, 0));
        assert!(!Limit::tolerates(None, 24, 24) && !Limit::tolerates(None, 1, 1));
        assert!(Limit::tolerates(Some(Limit::Percent(100)), 24, 24));
    }
}
