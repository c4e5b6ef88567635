//! The fields of a line, and which of them is what.

use super::Problem;

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

const TIME: [&str; 7] = ["time", "timestamp", "ts", "datetime", "date", "at", "start"];
const SENSORS: [&str; 5] = ["sensors", "sensorcount", "numberofsensors", "items", "count"];
const SECONDS: [&str; 5] = ["secondspersensor", "seconds", "secondseach", "duration", "durationseconds"];

impl Columns {
    /// In the order in which they are where no header says it.
    pub(super) fn of_width(width: usize) -> Self {
        Self { time: 0, sensors: 1, seconds: (width > 2).then_some(2), width: Some(width.clamp(2, 3)) }
    }

    /// By a header; `None`: the row is none.
    pub(super) fn of_header(row: &[String], is_value: impl Fn(&str) -> bool) -> Result<Option<Self>, Problem> {
        if row.iter().any(|field| is_value(field)) {
            return Ok(None);
        }
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let names: Vec<String> = row.iter().map(|name| plain(name)).collect();
        let find = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        let time = find(&TIME).ok_or(Problem::Column("time"))?;
        let sensors = find(&SENSORS).ok_or(Problem::Column("sensors"))?;
        Ok(Some(Self { time, sensors, seconds: find(&SECONDS), width: None }))
    }

    /// Those of a row. Without the last column only where `seconds` are known otherwise.
    pub(super) fn pick<'a>(&self, row: &'a [String], seconds: bool) -> Result<Picked<'a>, Problem> {
        let missing = Problem::Fields { found: row.len(), wanted: self.width.unwrap_or(3) };
        let field = |at: usize| row.get(at).map(String::as_str);
        let picked = field(self.time).zip(field(self.sensors)).ok_or(missing.clone())?;
        match self.seconds {
            None if !seconds && self.width.is_none() => return Err(Problem::Column("seconds")),
            None if !seconds => return Err(Problem::Fields { found: row.len(), wanted: 3 }),
            Some(at) if at >= row.len() => return Err(missing),
            _ => {}
        }
        if self.width.is_some_and(|width| width != row.len()) {
            return Err(missing);
        }
        Ok(Picked { time: picked.0, sensors: picked.1, seconds: self.seconds.and_then(field) })
    }
}
