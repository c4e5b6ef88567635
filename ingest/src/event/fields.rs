//! Which fields of an event matter, and where they stand in a record.

use std::borrow::Cow;

use crate::config::Columns;

/// The fields that matter: time, value and keys, in this order, and what else a filter asks for.
#[derive(Debug)]
pub(super) struct Fields {
    names: Vec<Box<str>>,
    keys: usize,
}

impl Fields {
    pub(super) const TIME: usize = 0;
    pub(super) const VALUE: usize = 1;
    const KEYS: usize = 2;

    pub(super) fn new<'a>(columns: &Columns, others: impl Iterator<Item = &'a str>) -> Self {
        let mut names: Vec<Box<str>> =
            [&columns.time, &columns.value].into_iter().chain(&columns.keys).map(|name| name.as_str().into()).collect();
        for other in others {
            if !names.iter().any(|name| **name == *other) {
                names.push(other.into());
            }
        }
        Self { names, keys: columns.keys.len() }
    }

    /// The number of a field, if it matters. Objects of a stream mostly have their fields in one order: `guess` is where to look
    /// first.
    #[inline]
    pub(super) fn find(&self, name: &[u8], guess: usize) -> Option<usize> {
        if self.names.get(guess).is_some_and(|known| known.as_bytes() == name) {
            return Some(guess);
        }
        self.names.iter().position(|known| known.as_bytes() == name)
    }

    pub(super) fn name(&self, field: usize) -> &str {
        self.names.get(field).map_or("", |name| name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn is_key(&self, field: usize) -> bool {
        self.keys().contains(&field)
    }

    /// The numbers of the keys.
    pub(super) fn keys(&self) -> std::ops::Range<usize> {
        Self::KEYS..Self::KEYS + self.keys
    }
}

/// A field as it stands in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raw<'a> {
    /// There is none.
    Absent,
    /// A text, of which JSON has no escapes. Of CSV it need not be UTF-8.
    Text(&'a [u8]),
    /// A string of JSON with escapes, with its quotes.
    Escaped(&'a str),
    /// A number of JSON.
    Number(&'a str),
    /// true or false.
    Bool(bool),
    /// null.
    Null,
    /// A list or an object of JSON.
    Nested(&'a str),
}

impl<'a> Raw<'a> {
    /// Its characters, if it is a text or a number. `None` too, if it is a string with half a character.
    #[inline]
    pub(super) fn text(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Raw::Text(text) => Some(Cow::Borrowed(text)),
            Raw::Number(text) => Some(Cow::Borrowed(text.as_bytes())),
            Raw::Escaped(quoted) => serde_json::from_str(quoted).ok().map(|text: String| Cow::Owned(text.into_bytes())),
            Raw::Absent | Raw::Bool(_) | Raw::Null | Raw::Nested(_) => None,
        }
    }

    /// For a message: cut, and on one line.
    pub(super) fn shown(self) -> String {
        match self {
            Raw::Absent | Raw::Text([]) => "nothing".to_owned(),
            Raw::Bool(is) => is.to_string(),
            Raw::Null => "null".to_owned(),
            Raw::Text(text) => spec::shown::name(&String::from_utf8_lossy(text.get(..200).unwrap_or(text))),
            Raw::Escaped(text) | Raw::Number(text) | Raw::Nested(text) => spec::shown::name(text),
        }
    }
}

/// An empty list that takes the place of another: what was allocated stays, what was borrowed does not.
pub(super) fn recycled<'b>(mut raws: Vec<Raw<'_>>) -> Vec<Raw<'b>> {
    raws.clear();
    raws.into_iter().map(|_| Raw::Absent).collect()
}
