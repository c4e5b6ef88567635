//! Dead letters: events that count in no window, kept as they were received.

use serde::Serialize;

use super::lines::{Line, Lines, Record};

/// Why an event counts in no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Reason {
    /// It cannot be read, or a field of it is not what it should be.
    Malformed,
    /// The watermark had passed the end of its window.
    Late,
    /// Its time is too far ahead of when the broker got it.
    Future,
    /// Its sensor has an event of that time already.
    Duplicate,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Late, Self::Future, Self::Duplicate];

    /// As lines and metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "Malformed",
            Self::Late => "Late",
            Self::Future => "Future",
            Self::Duplicate => "Duplicate",
        }
    }
}

/// An event that counts in no window. As a line it is that of its record, with `reason` and `detail` before and `index` in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter<'a> {
    /// Why.
    pub reason: Reason,
    /// The same for people.
    pub detail: &'a str,
    /// Which event of its record, from 0.
    pub index: u32,
    /// The record; without key and value in all but the first letter of one, which may hold very many events.
    pub record: Record<'a>,
}

/// Dead letters that wait to be written.
pub type Letters = Lines;

impl<'a> From<&Letter<'a>> for Line<'a> {
    fn from(letter: &Letter<'a>) -> Self {
        let mut line = Self::from(&letter.record);
        line.reason = Some(letter.reason);
        line.detail = Some(letter.detail);
        line.index = Some(letter.index);
        line
    }
}
