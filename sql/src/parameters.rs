//! Values that are bound to a statement's parameters, as the types that the server says these have.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use spec::shown;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::numeric;
use crate::values::{Kind, of_civil, of_date, of_instant};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// A text, which a number, a UUID or a boolean is, too.
    Text(String),
    /// The first instant of a span. To a time without a zone, or a date, it is bound so that whatever lies in the span is not
    /// before it; what does not may still be found.
    From(Timestamp, TimeZone),
    /// The first instant behind a span, likewise.
    UpTo(Timestamp, TimeZone),
}

/// Why a value cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("{0:?} is no {1}, which the statement takes")]
    Text(String, String),
    #[error("a time cannot be bound to {0}")]
    Time(String),
    #[error("no parameter can be of the type {0}")]
    Type(String),
}

impl Unfit {
    /// The type as which it could be bound.
    fn fits(&self) -> &'static str {
        match self {
            Self::Time(_) => "timestamptz",
            Self::Text(..) | Self::Type(_) => "text",
        }
    }
}

/// What the client says of a value that could not be bound, with the number of its parameter, from 1.
pub(crate) fn unbound(error: &tokio_postgres::Error) -> Option<String> {
    let why = error.source()?.downcast_ref::<Unfit>()?;
    let at = error.to_string().strip_prefix("error serializing parameter ")?.parse::<usize>().ok()? + 1;
    Some(format!("parameter ${at}: {why}; cast the parameter, as in ${at}::{}", why.fits()))
}

impl Parameter {
    fn put(&self, of: &Type, out: &mut BytesMut) -> Result<(), Unfit> {
        match self {
            Self::Text(text) => put_text(text, of, out),
            Self::From(time, zone) => put_time(*time, wall_before(*time, zone), false, of, out),
            Self::UpTo(time, zone) => put_time(*time, wall_behind(*time, zone), true, of, out),
        }
    }
}

/// Numbers must be written as PostgreSQL writes them: else 7 and 007 were one sensor's.
fn put_text(text: &str, of: &Type, out: &mut BytesMut) -> Result<(), Unfit> {
    let unfit = || Unfit::Text(shown::cut(text), of.name().to_owned());
    fn same<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
        text.parse().ok().filter(|number: &T| number.to_string() == text)
    }
    match Kind::of(of) {
        Kind::Text => out.put_slice(text.as_bytes()),
        Kind::Bool => match text {
            "true" | "1" => out.put_u8(1),
            "false" | "0" => out.put_u8(0),
            _ => return Err(unfit()),
        },
        Kind::Int2 => out.put_i16(same(text).ok_or_else(unfit)?),
        Kind::Int4 => out.put_i32(same(text).ok_or_else(unfit)?),
        Kind::Int8 => out.put_i64(same(text).ok_or_else(unfit)?),
        Kind::Float4 => out.put_f32(text.parse().ok().filter(|n: &f32| n.is_finite()).ok_or_else(unfit)?),
        Kind::Float8 => out.put_f64(text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(unfit)?),
        Kind::Numeric => out.put_slice(&numeric::read(text).ok_or_else(unfit)?),
        Kind::Uuid => out.put_slice(&uuid(text).ok_or_else(unfit)?),
        Kind::Instant | Kind::Civil | Kind::Date => return Err(unfit()),
        Kind::Other(name) => return Err(Unfit::Type(name)),
    }
    Ok(())
}

/// As PostgreSQL writes them.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let dashes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at);
    if text.len() != 36 || !dashes.eq([8, 13, 18, 23]) || digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(uuid)
}

/// `up`: to the next day, of a time in the middle of one.
fn put_time(time: Timestamp, wall: DateTime, up: bool, of: &Type, out: &mut BytesMut) -> Result<(), Unfit> {
    let unfit = || Unfit::Time(of.name().to_owned());
    match Kind::of(of) {
        Kind::Instant => out.put_i64(of_instant(time)),
        Kind::Civil => out.put_i64(of_civil(wall).ok_or_else(unfit)?),
        Kind::Date => {
            let up = up && wall.time() != Time::midnight();
            let date = if up { wall.date().tomorrow().map_err(|_| unfit())? } else { wall.date() };
            out.put_i32(of_date(date).ok_or_else(unfit)?);
        }
        _ => return Err(unfit()),
    }
    Ok(())
}

/// What clocks of a zone show at an instant: of what they show twice, the readers of times take the first.
fn wall_before(time: Timestamp, zone: &TimeZone) -> DateTime {
    zone.to_datetime(time)
}

/// The same for what lies before it: where clocks show a time for the second time, a time behind all that they show twice.
fn wall_behind(time: Timestamp, zone: &TimeZone) -> DateTime {
    let wall = zone.to_datetime(time);
    let shown = zone.to_ambiguous_timestamp(wall);
    let (AmbiguousOffset::Fold { before, after }, offset) = (shown.offset(), zone.to_offset(time)) else { return wall };
    let again = offset == after;
    let back = i64::from(before.seconds()) - i64::from(after.seconds());
    if again { wall.checked_add(jiff::SignedDuration::from_secs(back)).unwrap_or(wall) } else { wall }
}

impl ToSql for Parameter {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.put(of, out)?;
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(parameter: &Parameter, of: &Type) -> Result<Vec<u8>, Unfit> {
        let mut out = BytesMut::new();
        parameter.put(of, &mut out).map(|()| out.to_vec())
    }

    fn text(text: &str, of: &Type) -> Result<Vec<u8>, Unfit> {
        bound(&Parameter::Text(text.to_owned()), of)
    }

    #[test]
    fn a_text_is_bound_as_it_is_whatever_is_in_it() {
        let hostile = "'; DROP TABLE readings; --";
        assert_eq!(text(hostile, &Type::TEXT).unwrap(), hostile.as_bytes());
        assert_eq!(text(hostile, &Type::VARCHAR).unwrap(), hostile.as_bytes());
    }

    #[test]
    fn a_number_is_bound_as_the_type_that_the_server_says() {
        assert_eq!(text("7", &Type::INT2).unwrap(), 7_i16.to_be_bytes());
        assert_eq!(text("-7", &Type::INT4).unwrap(), (-7_i32).to_be_bytes());
        assert_eq!(text("7", &Type::INT8).unwrap(), 7_i64.to_be_bytes());
        assert_eq!(text("0.5", &Type::FLOAT8).unwrap(), 0.5_f64.to_be_bytes());
        assert_eq!(text("true", &Type::BOOL).unwrap(), [1]);
        assert_eq!(text("abababab-abab-abab-abab-abababababab", &Type::UUID).unwrap(), [0xab; 16]);
        assert_eq!(text("12.50", &Type::NUMERIC).unwrap(), numeric::read("12.50").unwrap());
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_cast_that_would() {
        for (value, of) in [
            ("abc", Type::INT4),
            ("007", Type::INT4),
            ("+7", Type::INT8),
            ("99999", Type::INT2),
            ("inf", Type::FLOAT8),
            ("yes", Type::BOOL),
            ("ABABABAB-abab-abab-abab-abababababab", Type::UUID),
            ("é", Type::UUID),
            ("2018-08-28", Type::DATE),
            ("x", Type::JSONB),
        ] {
            assert_eq!(text(value, &of).unwrap_err().fits(), "text", "{value} {of}");
        }
        let time = Parameter::From(Timestamp::UNIX_EPOCH, TimeZone::UTC);
        for of in [Type::TEXT, Type::INT8, Type::FLOAT8] {
            assert_eq!(bound(&time, &of).unwrap_err().fits(), "timestamptz", "{of}");
        }
    }

    fn walls(zone: &str, time: &str) -> (String, String) {
        let (zone, time): (TimeZone, Timestamp) = (TimeZone::get(zone).unwrap(), time.parse().unwrap());
        (wall_before(time, &zone).to_string(), wall_behind(time, &zone).to_string())
    }

    #[test]
    fn a_time_on_the_wall_is_the_zones_and_leaves_out_nothing_where_clocks_go_back() {
        let same = |text: &str| (text.to_owned(), text.to_owned());
        assert_eq!(walls("UTC", "2018-10-28T01:30:00Z"), same("2018-10-28T01:30:00"));
        assert_eq!(walls("Europe/Berlin", "2018-08-28T23:00:00Z"), same("2018-08-29T01:00:00"));
        assert_eq!(walls("Europe/Berlin", "2018-10-28T00:30:00Z"), same("2018-10-28T02:30:00"), "for the first time");
        // 02:30 is read as the first one, 00:30Z: all that is read as before 01:30Z is before 03:00.
        let again = ("2018-10-28T02:30:00".to_owned(), "2018-10-28T03:30:00".to_owned());
        assert_eq!(walls("Europe/Berlin", "2018-10-28T01:30:00Z"), again);
        assert_eq!(walls("Europe/Berlin", "2018-03-25T01:00:00Z"), same("2018-03-25T03:00:00"));
    }

    #[test]
    fn a_date_is_bound_so_that_the_days_of_a_span_lie_in_it() {
        let date = |parameter: Parameter| {
            let bytes = bound(&parameter, &Type::DATE).unwrap();
            i32::from_be_bytes(bytes.try_into().unwrap())
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(date(Parameter::From(at("2000-01-02T00:00:00Z"), TimeZone::UTC)), 1);
        assert_eq!(date(Parameter::From(at("2000-01-02T12:00:00Z"), TimeZone::UTC)), 1);
        assert_eq!(date(Parameter::UpTo(at("2000-01-02T00:00:00Z"), TimeZone::UTC)), 1);
        assert_eq!(date(Parameter::UpTo(at("2000-01-02T12:00:00Z"), TimeZone::UTC)), 2);
    }
}
