//! Values of columns as texts: as a CSV would have them, and as Parquet's become.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use tokio_postgres::types::{Kind as TypeKind, Type};

use crate::numeric;

/// Seconds from 1970 to 2000, from which PostgreSQL counts.
const SINCE_1970: i64 = 946_684_800;
const DAY: i64 = 86_400;

/// What the values of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `boolean`: 1 or 0.
    Bool,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `real`: the double that it is exactly.
    Float4,
    /// `double precision`.
    Float8,
    /// `numeric`, with all its digits.
    Numeric,
    /// `text`, `varchar`, `char`, `name`, `citext` and enums.
    Text,
    /// `uuid`.
    Uuid,
    /// `timestamp with time zone`: an instant, as RFC 3339.
    Instant,
    /// `timestamp` without a zone.
    Civil,
    /// `date`: its beginning.
    Date,
    /// Not read: the type's name.
    Other(String),
}

impl Kind {
    /// Of a type; a domain is what it is made of.
    #[must_use]
    pub fn of(of: &Type) -> Self {
        match *of {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => Self::Numeric,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UNKNOWN => Self::Text,
            Type::UUID => Self::Uuid,
            Type::TIMESTAMPTZ => Self::Instant,
            Type::TIMESTAMP => Self::Civil,
            Type::DATE => Self::Date,
            ref of => match of.kind() {
                TypeKind::Domain(base) => Self::of(base),
                TypeKind::Enum(_) => Self::Text,
                TypeKind::Simple if of.name() == "citext" => Self::Text,
                _ => Self::Other(of.name().to_owned()),
            },
        }
    }

    /// Whether its values are times, however times of texts are said to be written.
    #[must_use]
    pub fn is_time(&self) -> bool {
        matches!(self, Self::Instant | Self::Civil | Self::Date)
    }

    /// Writes a value as text; none where the bytes are no value of the kind. Of what is not read, nothing.
    pub(crate) fn write(&self, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        // Writing to memory does not fail.
        let _ = match self {
            Self::Bool => write!(out, "{}", u8::from(bytes.first().copied()? != 0)),
            Self::Int2 => write!(out, "{}", i16::from_be_bytes(bytes.try_into().ok()?)),
            Self::Int4 => write!(out, "{}", i32::from_be_bytes(bytes.try_into().ok()?)),
            Self::Int8 => write!(out, "{}", i64::from_be_bytes(bytes.try_into().ok()?)),
            Self::Float4 => write!(out, "{:?}", f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
            Self::Float8 => write!(out, "{:?}", f64::from_be_bytes(bytes.try_into().ok()?)),
            Self::Numeric => return numeric::write(bytes, out),
            Self::Text => out.write_all(bytes),
            Self::Uuid => return uuid(bytes, out),
            Self::Instant => match micros(i64::from_be_bytes(bytes.try_into().ok()?)) {
                Ok(time) => write!(out, "{time}"),
                Err(other) => write!(out, "{other}"),
            },
            Self::Civil => match micros(i64::from_be_bytes(bytes.try_into().ok()?)) {
                Ok(time) => write!(out, "{}", TimeZone::UTC.to_datetime(time)),
                Err(other) => write!(out, "{other}"),
            },
            Self::Date => match days(i32::from_be_bytes(bytes.try_into().ok()?)) {
                Ok(date) => write!(out, "{}", date.to_datetime(jiff::civil::Time::midnight())),
                Err(other) => write!(out, "{other}"),
            },
            Self::Other(_) => Ok(()),
        };
        Some(())
    }
}

fn uuid(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        let _ = write!(out, "{dash}{byte:02x}");
    }
    Some(())
}

/// A time that no calendar here has, as a text that is no time.
fn other(infinite: bool, value: i64, unit: &str) -> String {
    match infinite {
        true if value > 0 => "infinity".to_owned(),
        true => "-infinity".to_owned(),
        false => format!("{value} {unit} since 2000"),
    }
}

/// A time of so many microseconds since 2000, or why it is none.
fn micros(value: i64) -> Result<Timestamp, String> {
    let out = || other(matches!(value, i64::MAX | i64::MIN), value, "microseconds");
    let since_1970 = value.checked_add(SINCE_1970 * 1_000_000).ok_or_else(out)?;
    Timestamp::from_microsecond(since_1970).map_err(|_| out())
}

/// A date so many days after the first of 2000, or why it is none.
fn days(value: i32) -> Result<Date, String> {
    let out = || other(matches!(value, i32::MAX | i32::MIN), value.into(), "days");
    let second = (i64::from(value) * DAY).checked_add(SINCE_1970).ok_or_else(out)?;
    Ok(TimeZone::UTC.to_datetime(Timestamp::from_second(second).map_err(|_| out())?).date())
}

/// Microseconds since 2000.
pub(crate) fn of_instant(time: Timestamp) -> i64 {
    time.as_microsecond().saturating_sub(SINCE_1970 * 1_000_000)
}

/// The same of a time on the wall.
pub(crate) fn of_civil(time: DateTime) -> Option<i64> {
    TimeZone::UTC.to_timestamp(time).ok().map(of_instant)
}

/// Days since the first of 2000.
pub(crate) fn of_date(date: Date) -> Option<i32> {
    let second = TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?.as_second();
    i32::try_from((second - SINCE_1970).div_euclid(DAY)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(kind: &Kind, bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        kind.write(bytes, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_written_as_those_of_parquet() {
        for (kind, bytes, expected) in [
            (Kind::Bool, &[1][..], "1"),
            (Kind::Bool, &[0], "0"),
            (Kind::Int2, &(-7_i16).to_be_bytes(), "-7"),
            (Kind::Int4, &7_i32.to_be_bytes(), "7"),
            (Kind::Int8, &i64::MIN.to_be_bytes(), "-9223372036854775808"),
            (Kind::Float4, &0.1_f32.to_be_bytes(), "0.10000000149011612"),
            (Kind::Float8, &1.0_f64.to_be_bytes(), "1.0"),
            (Kind::Float8, &f64::NAN.to_be_bytes(), "NaN"),
            (Kind::Text, "é 'x'".as_bytes(), "é 'x'"),
            (Kind::Uuid, &[0xab; 16], "abababab-abab-abab-abab-abababababab"),
            (Kind::Instant, &1_500_000_i64.to_be_bytes(), "2000-01-01T00:00:01.5Z"),
            (Kind::Civil, &(-1_000_000_i64).to_be_bytes(), "1999-12-31T23:59:59"),
            (Kind::Instant, &i64::MAX.to_be_bytes(), "infinity"),
            (Kind::Civil, &i64::MIN.to_be_bytes(), "-infinity"),
            (Kind::Instant, &(i64::MAX - 1).to_be_bytes(), "9223372036854775806 microseconds since 2000"),
            (Kind::Date, &60_i32.to_be_bytes(), "2000-03-01T00:00:00"),
            (Kind::Date, &(-1_i32).to_be_bytes(), "1999-12-31T00:00:00"),
            (Kind::Date, &i32::MAX.to_be_bytes(), "infinity"),
            (Kind::Other("json".to_owned()), b"{}", ""),
        ] {
            assert_eq!(text(&kind, bytes).as_deref(), Some(expected), "{kind:?} {bytes:?}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_size_is_none() {
        for kind in [Kind::Bool, Kind::Int2, Kind::Int4, Kind::Int8, Kind::Float4, Kind::Uuid, Kind::Civil, Kind::Date]
        {
            assert_eq!(text(&kind, &[]), None, "{kind:?}");
        }
        assert_eq!(text(&Kind::Int4, &[0; 8]), None);
    }

    proptest! {
        #[test]
        fn times_are_read_as_they_are_bound(micro in -210_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let time = Timestamp::from_microsecond(micro).unwrap();
            prop_assert_eq!(micros(of_instant(time)), Ok(time));
            let date = TimeZone::UTC.to_datetime(time).date();
            prop_assert_eq!(days(of_date(date).unwrap()), Ok(date));
        }
    }
}
