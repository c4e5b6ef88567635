//! The fields of a line, and which of them is what.

use super::{Problem, shown};

/// Which field is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    time: usize,
    sensors: usize,
    seconds: Option<usize>,
    /// So many fields every row has: where there is no header, that is all that can be checked.
    width: Option<usize>,
}

/// The fields of a row that matter.
pub(super) struct Picked<'a> {
    pub(super) time: &'a str,
    pub(super) sensors: &'a str,
    pub(super) seconds: Option<&'a str>,
}

/// Names of columns, without blanks, marks and capitals. Where several are known, the first of a list is meant.
const TIME: [&str; 7] = ["time", "timestamp", "ts", "datetime", "date", "at", "start"];
const SENSORS: [&str; 5] = ["sensors", "sensorcount", "numberofsensors", "items", "count"];
const SECONDS: &str = "secondspersensor";
/// Words of which the name of the last column is made: those that tell a length of time, and others.
const LENGTHS: [&str; 10] =
    ["s", "sec", "secs", "second", "seconds", "duration", "runtime", SECONDS, "secondseach", "durationseconds"];
const FILLERS: [&str; 5] = ["per", "each", "a", "in", "sensor"];

/// So many columns a message names.
const MOST_SHOWN: usize = 12;

impl Columns {
    /// In the order in which they are where no header says it.
    pub(super) fn of_width(width: usize) -> Self {
        Self { time: 0, sensors: 1, seconds: (width > 2).then_some(2), width: Some(width.clamp(2, 3)) }
    }

    /// By a header; `None`: the row is none. Without the last column only where `seconds` are known otherwise.
    pub(super) fn of_header(
        row: &[String],
        is_value: impl Fn(&str) -> bool,
        seconds: bool,
    ) -> Result<Option<Self>, Problem> {
        if row.iter().any(|field| is_value(field)) {
            return Ok(None);
        }
        let time = one("time", row, |name| TIME.contains(&plain(name).as_str()))?;
        let sensors = one("sensors", row, |name| SENSORS.contains(&plain(name).as_str()))?;
        let lasts = one(SECONDS, row, is_seconds)?;
        let columns = Self {
            time: time.ok_or(Problem::Column("time"))?,
            sensors: sensors.ok_or(Problem::Column("sensors"))?,
            seconds: lasts,
            width: None,
        };
        if lasts.is_none() && !seconds {
            let found = row.iter().take(MOST_SHOWN).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            let more = if row.len() > MOST_SHOWN { ", …" } else { "" };
            return Err(Problem::NoSeconds(format!("{found}{more}")));
        }
        Ok(Some(columns))
    }

    /// Whether a column says how long a sensor takes.
    pub(super) fn tells_seconds(&self) -> bool {
        self.seconds.is_some()
    }

    /// Those of a row. Without the last column only where `seconds` are known otherwise.
    pub(super) fn pick<'a>(&self, row: &'a [String], seconds: bool) -> Result<Picked<'a>, Problem> {
        let wanted = if seconds { self.width.unwrap_or(3) } else { 3 };
        let missing = Problem::Fields { found: row.len(), wanted };
        let field = |at: usize| row.get(at).map(String::as_str);
        let picked = field(self.time).zip(field(self.sensors)).ok_or(missing.clone())?;
        let lacks = self.seconds.map_or(!seconds, |at| at >= row.len());
        if lacks || self.width.is_some_and(|width| width != row.len()) {
            return Err(missing);
        }
        Ok(Picked { time: picked.0, sensors: picked.1, seconds: self.seconds.and_then(field) })
    }
}

/// The column that is meant. Of several one has to have the very name.
fn one(name: &'static str, row: &[String], fits: impl Fn(&str) -> bool) -> Result<Option<usize>, Problem> {
    let fit: Vec<usize> = row.iter().enumerate().filter(|(_, field)| fits(field)).map(|(at, _)| at).collect();
    let named: Vec<usize> = fit.iter().copied().filter(|at| plain(&row[*at]) == name).collect();
    match (fit.as_slice(), named.as_slice()) {
        ([], _) => Ok(None),
        ([one], _) | (_, [one]) => Ok(Some(*one)),
        ([one, other, ..], _) => Err(Problem::Doubled { one: shown(&row[*one]), other: shown(&row[*other]) }),
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// Whether a name such as `seconds/sensor`, `duration_s` or `secPerSensor` says how many seconds a sensor takes. What names
/// another unit, such as `duration_ms`, does not.
fn is_seconds(name: &str) -> bool {
    let mut words = String::new();
    let mut small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && small {
            words.push(' ');
        }
        small = c.is_ascii_lowercase();
        words.push(if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    }
    let mut words = words.split_whitespace();
    let tells = words.clone().any(|word| LENGTHS.contains(&word));
    tells && words.all(|word| LENGTHS.contains(&word) || FILLERS.contains(&word))
}
