//! What names a sensor: a set of keys, such as `device=1, tag=5`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shown::visible;

/// The keys that name one sensor. Names are lower case; values are texts, as they stand in paths and columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SensorKeys(pub BTreeMap<String, String>);

impl SensorKeys {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The sensor's name as one path segment: `device=1,tag=5`, every other byte percent-encoded.
    #[must_use]
    pub fn slug(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            if !out.is_empty() {
                out.push(',');
            }
            encode(name, &mut out);
            out.push('=');
            encode(value, &mut out);
        }
        out
    }
}

/// Percent-encodes what is not a letter, digit, `.`, `_` or `-`; a value of dots alone cannot climb out of a folder.
fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

impl fmt::Display for SensorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={}", visible(value))?;
        }
        Ok(())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for SensorKeys {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(keys: I) -> Self {
        Self(keys.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_one_path_segment_whatever_the_values() {
        let sensor: SensorKeys = [("device", "1"), ("tag", "../a b,=é")].into_iter().collect();
        assert_eq!(sensor.slug(), "device=1,tag=..%2Fa%20b%2C%3D%C3%A9");
        assert_eq!(sensor.to_string(), "device=1, tag=../a b,=é");
    }
}
