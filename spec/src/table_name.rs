//! Names of tables and columns: the only part of a statement that is not written by hand, and so checked and quoted.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::shown::cut;

/// The most bytes of a name; PostgreSQL cuts longer ones.
const LONGEST: usize = 63;

/// The name of a table, schema or column: letters of ASCII, digits and `_`, no digit first. Shown, it is quoted: so `Value`
/// and `value` are two names, and `order` is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(String);

/// A table, with its schema or in that of the session: `readings`, `plant.readings`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    schema: Option<Identifier>,
    name: Identifier,
}

/// Why a text is no such name.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no name of a table or column; use at most 63 of A-Z, a-z, 0-9 and _, no digit first")]
pub struct NameError(String);

impl Identifier {
    /// The name, not quoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TableName {
    /// As it is written in manifests, without quotes.
    fn plain(&self) -> String {
        let schema = self.schema.as_ref().map_or_else(String::new, |schema| format!("{}.", schema.as_str()));
        schema + self.name.as_str()
    }
}

impl FromStr for Identifier {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match first && rest && text.len() <= LONGEST {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError(cut(text))),
        }
    }
}

impl FromStr for TableName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            Some((schema, name)) => Ok(Self { schema: Some(schema.parse()?), name: name.parse()? }),
            None => Ok(Self { schema: None, name: text.parse()? }),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        self.name.fmt(f)
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.plain())
    }
}

crate::from_text!(TableName, {
    "type": "string", "maxLength": 127,
    "pattern": "^([A-Za-z_][A-Za-z0-9_]{0,62}\\.)?[A-Za-z_][A-Za-z0-9_]{0,62}$",
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_quoted_and_a_table_may_have_a_schema() {
        assert_eq!("plant.Readings".parse::<TableName>().unwrap().to_string(), "\"plant\".\"Readings\"");
        let order: TableName = serde_json::from_str("\"order\"").unwrap();
        assert_eq!(
            (order.to_string().as_str(), serde_json::to_string(&order).unwrap().as_str()),
            ("\"order\"", "\"order\"")
        );
        assert_eq!(serde_json::to_string(&"a.b".parse::<TableName>().unwrap()).unwrap(), "\"a.b\"");
    }

    #[test]
    fn what_could_be_more_than_a_name_is_refused() {
        let long = "a".repeat(64);
        for text in ["", "a b", "a\"; DROP TABLE x; --", "1a", "é", "a.b.c", ".a", "a.", "a\0", long.as_str()] {
            assert!(text.parse::<TableName>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_name_has_its_two_quotes_alone(text in "\\PC{0,10}") {
            if let Ok(name) = text.parse::<Identifier>() {
                prop_assert_eq!(name.to_string(), format!("\"{text}\""));
                prop_assert!(!text.contains('"'));
            }
        }
    }
}
