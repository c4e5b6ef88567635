//! How long before a tick its nodes are asked for, as people write it: `Auto`, `Off`, `5m`.

use std::fmt;
use std::str::FromStr;

use spec::Span;

/// How long before a tick its nodes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prewarm {
    /// As long as 95 of a hundred nodes take to come, as measured.
    Auto,
    /// Not at all: nodes are asked for when work waits.
    Off,
    /// So long.
    Lead(Span),
}

/// Why a text is not a [`Prewarm`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not when to ask for nodes; write Auto, Off, or a duration such as 5m")]
pub struct PrewarmError(String);

impl FromStr for Prewarm {
    type Err = PrewarmError;

    fn from_str(text: &str) -> Result<Self, PrewarmError> {
        match text {
            "Auto" => Ok(Self::Auto),
            "Off" => Ok(Self::Off),
            span => span.parse().map(Self::Lead).map_err(|_| PrewarmError(text.to_owned())),
        }
    }
}

impl fmt::Display for Prewarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("Auto"),
            Self::Off => f.write_str("Off"),
            Self::Lead(span) => span.fmt(f),
        }
    }
}

spec::as_text!(Prewarm, {
    "type": "string", "minLength": 2, "maxLength": 32,
    "pattern": "^(Auto|Off|([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?)$",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["Auto", "Off", "5m", "1h30m"] {
            assert_eq!(text.parse::<Prewarm>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_neither_a_word_nor_a_duration_is_refused_with_what_to_write() {
        for text in ["", "auto", "Always", "-5m", "5"] {
            assert!(text.parse::<Prewarm>().unwrap_err().to_string().contains("Auto, Off, or a duration"), "{text:?}");
        }
    }
}
