//! A length of time as people write it in a manifest: `90s`, `5m`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A non-negative length of time with a resolution of one second; written `90s`, `5m`, `1h30m`, `2d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// Why a text is not a [`Span`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a duration; write whole numbers with units, largest first, such as 90s, 5m, 1h30m or 2d")]
pub struct SpanError {
    text: String,
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn to_std(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// As jiff has it, for arithmetic on timestamps.
    #[must_use]
    pub fn to_signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError { text: text.to_owned() };
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = rest[digits..].chars().next().ok_or_else(wrong)?;
            let (_, secs) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            total = count.checked_mul(*secs).and_then(|s| total.checked_add(s)).ok_or_else(wrong)?;
            rest = &rest[digits + unit.len_utf8()..];
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, secs) in UNITS {
            if rest >= secs {
                write!(f, "{}{name}", rest / secs)?;
                rest %= secs;
            }
        }
        Ok(())
    }
}

// Not empty, and no amount that is too large to be a time.
crate::as_text!(Span, {
    "type": "string", "minLength": 2, "maxLength": 32,
    "pattern": "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$",
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_durations_with_units() {
        for (text, secs) in [("90s", 90), ("5m", 300), ("1h30m", 5_400), ("2d", 172_800), ("0s", 0)] {
            assert_eq!(text.parse::<Span>().unwrap().as_secs(), secs, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "m", "5m5h", "-5m", "1.5h", "5 m", "5m5m", "99999999999999999999s"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_span_reads_back_as_written(secs in 0u64..10_000_000_000) {
            let span = Span::from_secs(secs);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
