//! Lengths of time as people write them on a command line, and programs in JSON.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::friendly::{Spacing, SpanPrinter};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time: `90s` or `1m30s` on a command line, seconds in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no length of time: write it as 20s, 1m30s or 500ms")]
pub struct SpanError {
    text: String,
}

impl Span {
    /// So many whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The moment that comes so long after another one.
    pub(super) fn after(self, start: Timestamp) -> Timestamp {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        start.saturating_add(span).unwrap_or(Timestamp::MAX)
    }

    /// How long it is until a moment; nothing once that has passed.
    pub(super) fn until(end: Timestamp, now: Timestamp) -> Self {
        Self(Duration::try_from(end.duration_since(now)).unwrap_or_default())
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError { text: text.to_owned() };
        let span: SignedDuration = text.parse().map_err(|_| wrong())?;
        Duration::try_from(span).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        out.write_str(&SpanPrinter::new().spacing(Spacing::None).duration_to_string(&span))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole seconds as a whole number: `30` reads better than `30.0`.
        if self.0.subsec_nanos() == 0 {
            return self.0.as_secs().serialize(serializer);
        }
        self.0.as_secs_f64().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let span = Duration::try_from_secs_f64(seconds);
        span.map(Self).map_err(|error| serde::de::Error::custom(format!("{seconds} seconds: {error}")))
    }
}

/// `serde(with)` for what is written as its text.
pub(super) mod as_text {
    use super::{Deserialize, Deserializer, FromStr, Serializer, fmt};

    pub(in super::super) fn serialize<T: fmt::Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them_and_written_so_that_they_are_read_again() {
        for (text, milliseconds) in [("20s", 20_000), ("1m30s", 90_000), ("500ms", 500), ("2h", 7_200_000)] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
        for text in ["", "20", "-5s", "soon"] {
            assert!(text.parse::<Span>().unwrap_err().to_string().contains("write it as 20s"), "{text}");
        }
    }

    #[test]
    fn in_json_they_are_seconds() {
        assert_eq!(serde_json::to_string(&Span::seconds(30)).unwrap(), "30");
        assert_eq!(serde_json::from_str::<Span>("0.5").unwrap().0, Duration::from_millis(500));
        assert!(serde_json::from_str::<Span>("-1").is_err());
    }
}
