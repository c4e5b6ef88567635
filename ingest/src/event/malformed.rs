//! Why something is no event.

/// Why something is no event: short, for a dead letter and the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The record has nothing, or is a tombstone.
    #[error("it is empty")]
    Empty,
    /// JSON is UTF-8.
    #[error("byte {at} is no UTF-8")]
    NotUtf8 {
        /// Where in the record, from 0.
        at: usize,
    },
    /// It is no JSON from here on.
    #[error("no JSON at byte {at}: {why}")]
    NotJson {
        /// Where in the record, from 0.
        at: usize,
        /// What is there, or is not.
        why: &'static str,
    },
    /// JSON, but no object.
    #[error("byte {at} begins no object")]
    NotAnObject {
        /// Where in the record, from 0.
        at: usize,
    },
    /// A line of CSV with too few fields, or too many.
    #[error("{found} fields, but event.names has {expected}")]
    FieldCount {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Quotes that are not closed.
    #[error("a quote is never closed")]
    OpenQuote,
    /// An object without a field.
    #[error("there is no {field}")]
    Missing {
        /// Its name.
        field: String,
    },
    /// An object has a field more than once, and nobody can tell which counts.
    #[error("{field} is there twice")]
    Twice {
        /// Its name.
        field: String,
    },
    /// The value is no finite number.
    #[error("{field} is no finite number: {text}")]
    NotANumber {
        /// Its name.
        field: String,
        /// As it stands, cut.
        text: String,
    },
    /// The time is none.
    #[error("{field} is no time: {text}")]
    NoTime {
        /// Its name.
        field: String,
        /// As it stands, cut.
        text: String,
    },
    /// A key that no sensor has.
    #[error("{field} {why}: {text}")]
    BadKey {
        /// Its name.
        field: String,
        /// What is wrong with it.
        why: Cause,
        /// As it stands, cut.
        text: String,
    },
    /// The filter gives neither true nor false.
    #[error("event.filter: {why}")]
    Filter {
        /// What it says, cut.
        why: String,
    },
    /// The rest of the record is not read.
    #[error("more than {} events in a record; the rest is not read", super::MAX_EVENTS)]
    TooManyEvents,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// White space alone.
    #[error("is empty")]
    Empty,
    /// More bytes than paths take.
    #[error("has more than {} bytes", super::reading::MAX_KEY)]
    TooLong,
    /// `.` or `..`: folders.
    #[error("is a folder's name")]
    Dots,
    /// `\`: a folder's end on some systems.
    #[error("has a \\")]
    Backslash,
    /// Control characters, and what is not shown but changes how others are.
    #[error("has a control character")]
    Control,
    /// No UTF-8, or half a character of JSON (`\ud83d` alone).
    #[error("is no Unicode")]
    NotUnicode,
    /// true, false, null, a list or an object.
    #[error("is neither text nor number")]
    Kind,
}
