//! The name of a version of models.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// The name of a version: letters, digits, `-`, `_` and `.`, at most 64, a letter or digit first. Versions that runs train
/// are named after the end of the window, or the tick without one: `20180828T230000Z`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelVersion(String);

/// Why a text names no version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no version of a model; write it as 20180828T230000Z: letters, digits, -, _ and . only, at most 64, a letter or \
     digit first, and not .json at the end"
)]
pub struct ModelVersionError(String);

impl ModelVersion {
    /// That of models that are trained on readings up to a time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(time.strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelVersion {
    type Err = ModelVersionError;

    fn from_str(text: &str) -> Result<Self, ModelVersionError> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let all = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        // What tells of the versions ends so.
        match first && all && text.len() <= 64 && !text.ends_with(".json") {
            true => Ok(Self(text.to_owned())),
            false => Err(ModelVersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::as_text!(ModelVersion, {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "x-kubernetes-validations": [{
        "rule": "self.matches('^[A-Za-z0-9][-A-Za-z0-9_.]*$') && !self.endsWith('.json')",
        "message": "a version is named by letters, digits, -, _ and ., a letter or digit first, such as 20180828T230000Z",
    }],
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_trained_version_is_named_after_a_time() {
        let version = ModelVersion::at("2018-08-28T23:00:00.5Z".parse().unwrap());
        assert_eq!(version.as_str(), "20180828T230000Z");
        assert_eq!(version.as_str().parse(), Ok(version));
    }

    proptest! {
        #[test]
        fn a_version_is_one_segment_of_a_path(text in "\\PC{0,70}") {
            if let Ok(version) = text.parse::<ModelVersion>() {
                prop_assert!(crate::template::is_segment(version.as_str()) && version.as_str() != "index.json");
            }
        }

        #[test]
        fn later_versions_sort_behind(one in 0i64..4_000_000_000, other in 0i64..4_000_000_000) {
            let at = |second| ModelVersion::at(Timestamp::from_second(second).unwrap());
            prop_assert_eq!(at(one).cmp(&at(other)), one.cmp(&other));
        }
    }
}
