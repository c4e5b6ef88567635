//! Where readings are: a path with a sensor's keys and parts of times in braces, and `*`:
//! `raw/{device}/{yyyy}/{MM}/{dd}/*.json`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::files::FilePattern;
use crate::template::{Piece, TemplateError, is_path, is_segment, key, pieces};
use crate::{SensorKeys, TimeRange};

/// The most files of a window.
pub const MAX_FILES: usize = 100_000;

/// A path in the store of one file or many. `{name}` stands for the value of a sensor's key; `{yyyy}`, `{MM}`, `{dd}`,
/// `{HH}` and `{mm}` for the year, month, day, hour and minute in UTC of the window's instants; `*` for any characters of
/// a name that does not begin with `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataPath {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Key(String),
    Time(TimePart),
    Any,
}

/// A part of a time, the coarsest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimePart {
    /// `{yyyy}`
    Year,
    /// `{MM}`
    Month,
    /// `{dd}`
    Day,
    /// `{HH}`
    Hour,
    /// `{mm}`
    Minute,
}

/// Why a text is not a [`DataPath`], or why the files of one cannot be told.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DataPathError {
    /// It is no path with names in braces.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A part of a time stands without one that it belongs to.
    #[error(
        "{path:?} has {} without {}: it would name files of every {}; put {} before it", .has.braces(), .lacks.braces(),
        .lacks.name(), .lacks.braces()
    )]
    Coarser {
        /// The part that is there.
        has: TimePart,
        /// The coarser one.
        lacks: TimePart,
        /// The whole path.
        path: String,
    },
    /// Two `*` without anything between them.
    #[error("{0:?} has **, which is not known; write */ for each folder between")]
    Stars(String),
    /// It names times, and there is no window.
    #[error("{0:?} names times, and only a window tells which; give window.length, or write * for them")]
    NoWindow(String),
    /// The window has too many files.
    #[error(
        "{path:?} names more than {MAX_FILES} files for the window; make the window shorter, or use coarser parts of times"
    )]
    TooMany {
        /// The path.
        path: String,
    },
}

impl TimePart {
    const ALL: [Self; 5] = [Self::Year, Self::Month, Self::Day, Self::Hour, Self::Minute];

    fn name(self) -> &'static str {
        ["year", "month", "day", "hour", "minute"][self as usize]
    }

    fn braces(self) -> &'static str {
        ["{yyyy}", "{MM}", "{dd}", "{HH}", "{mm}"][self as usize]
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.braces().trim_matches(['{', '}']) == name)
    }

    /// Its text at a time.
    fn text(self, at: DateTime) -> String {
        match self {
            Self::Year => format!("{:04}", at.year()),
            Self::Month => format!("{:02}", at.month()),
            Self::Day => format!("{:02}", at.day()),
            Self::Hour => format!("{:02}", at.hour()),
            Self::Minute => format!("{:02}", at.minute()),
        }
    }

    /// The first instant of the year, month, … that holds a time.
    fn floor(self, at: DateTime) -> DateTime {
        let keep = |part: Self, value: i8, least: i8| if self >= part { value } else { least };
        let (month, day) = (keep(Self::Month, at.month(), 1), keep(Self::Day, at.day(), 1));
        DateTime::new(at.year(), month, day, keep(Self::Hour, at.hour(), 0), keep(Self::Minute, at.minute(), 0), 0, 0)
            .unwrap_or(at)
    }

    /// The first instant of the next one; none after the last year.
    fn next(self, at: DateTime) -> Option<DateTime> {
        let span = jiff::Span::new();
        let span = match self {
            Self::Year => span.years(1),
            Self::Month => span.months(1),
            Self::Day => span.days(1),
            Self::Hour => span.hours(1),
            Self::Minute => span.minutes(1),
        };
        at.checked_add(span).ok()
    }
}

impl DataPath {
    /// The names of its keys.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        self.parts.iter().filter_map(|p| if let Part::Key(k) = p { Some(k.as_str()) } else { None }).collect()
    }

    /// The finest part of a time that it names.
    #[must_use]
    pub fn finest(&self) -> Option<TimePart> {
        self.times().max()
    }

    /// Whether it may name more files than one.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Time(_) | Part::Any))
    }

    /// Whether it has a `*`.
    #[must_use]
    pub fn has_star(&self) -> bool {
        self.parts.contains(&Part::Any)
    }

    fn times(&self) -> impl Iterator<Item = TimePart> {
        self.parts.iter().filter_map(|p| if let Part::Time(part) = p { Some(*part) } else { None })
    }

    /// The path of one sensor, in which parts of times and `*` still stand.
    ///
    /// # Errors
    /// When the sensor lacks a key, or a value would leave its path segment or be taken for a pattern.
    pub fn render(&self, sensor: &SensorKeys) -> Result<String, TemplateError> {
        let mut path = String::new();
        for part in &self.parts {
            let Part::Key(key) = part else {
                path.push_str(&part.to_string());
                continue;
            };
            let usable = |value: &&str| is_segment(value) && !(self.is_pattern() && value.contains(['*', '{', '}']));
            match sensor.get(key).filter(usable) {
                Some(value) => path.push_str(value),
                None => return Err(TemplateError::Value { key: key.clone(), sensor: sensor.to_string() }),
            }
        }
        if is_path(&path) { Ok(path) } else { Err(TemplateError::Path(path)) }
    }

    /// The files that a path without keys names for a window: one pattern for each of the window's years, months, … at
    /// the path's finest part, in order.
    ///
    /// # Errors
    /// When it names times and there is no window, or names too many.
    pub fn files(&self, window: Option<TimeRange>) -> Result<Vec<FilePattern>, DataPathError> {
        let Some(finest) = self.finest() else { return Ok(vec![self.pattern(None)]) };
        let window = window.ok_or_else(|| DataPathError::NoWindow(self.to_string()))?;
        let civil = |at: Timestamp| TimeZone::UTC.to_datetime(at);
        let mut files = Vec::new();
        let (mut next, end) = (Some(finest.floor(civil(window.start))), civil(window.end));
        while let Some(at) = next.filter(|at| *at < end && window.start < window.end) {
            if files.len() == MAX_FILES {
                return Err(DataPathError::TooMany { path: self.to_string() });
            }
            files.push(self.pattern(Some(at)));
            next = finest.next(at);
        }
        Ok(files)
    }

    fn pattern(&self, at: Option<DateTime>) -> FilePattern {
        let mut texts = vec![String::new()];
        for part in &self.parts {
            let text = match (part, at) {
                (Part::Any, _) => {
                    texts.push(String::new());
                    continue;
                }
                (Part::Text(text), _) => Cow::Borrowed(text.as_str()),
                (Part::Time(part), Some(at)) => Cow::Owned(part.text(at)),
                (other, _) => Cow::Owned(other.to_string()),
            };
            if let Some(last) = texts.last_mut() {
                last.push_str(&text);
            }
        }
        FilePattern::new(&texts)
    }
}

impl FromStr for DataPath {
    type Err = DataPathError;

    fn from_str(text: &str) -> Result<Self, DataPathError> {
        let mut parts = Vec::new();
        for piece in pieces(text)? {
            match piece {
                Piece::Braces(name) => parts.push(match TimePart::of(name) {
                    Some(part) => Part::Time(part),
                    None => Part::Key(key(name, text)?),
                }),
                Piece::Text(literal) if literal.contains("**") => return Err(DataPathError::Stars(text.to_owned())),
                Piece::Text(literal) => {
                    for (at, literal) in literal.split('*').enumerate() {
                        if at > 0 {
                            parts.push(Part::Any);
                        }
                        if !literal.is_empty() {
                            parts.push(Part::Text(literal.to_owned()));
                        }
                    }
                }
            }
        }
        let path = Self { parts };
        if path.parts.windows(2).any(|two| matches!(two, [Part::Key(_), Part::Key(_)])) {
            return Err(TemplateError::Adjacent(text.to_owned()).into());
        }
        if let Some(has) = path.finest() {
            let lacks = TimePart::ALL.into_iter().find(|part| *part < has && !path.times().any(|p| p == *part));
            if let Some(lacks) = lacks {
                return Err(DataPathError::Coarser { has, lacks, path: text.to_owned() });
            }
        }
        let probe = |part: &Part| if let Part::Text(text) = part { text.clone() } else { "x".to_owned() };
        let probe: String = path.parts.iter().map(probe).collect();
        if is_path(&probe) { Ok(path) } else { Err(TemplateError::Path(text.to_owned()).into()) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Key(key) => write!(f, "{{{key}}}"),
            Self::Time(part) => f.write_str(part.braces()),
            Self::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| part.fmt(f))
    }
}

crate::as_text!(DataPath, { "type": "string", "minLength": 1, "maxLength": 1024 });

#[cfg(test)]
mod tests;
