//! Numbers in the project's own format: texts with the shortest digits that read back to the same bits, so that a
//! reader's JSON library cannot round them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number as such a text.
#[derive(Clone, Copy)]
pub(super) struct Exact(pub(super) f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom(format!("{text:?} is not a number")))
    }
}

pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Exact(*number).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Exact::deserialize(deserializer).map(|n| n.0)
}

/// For `#[serde(with = "exact::many")]`.
pub(super) mod many {
    use super::{Deserialize, Deserializer, Exact, Serializer};

    pub(in crate::model) fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().copied().map(Exact))
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Vec::<Exact>::deserialize(deserializer).map(|many| many.into_iter().map(|n| n.0).collect())
    }
}
