//! The rows of JSON: one object a line, or an array of objects, as Stream Analytics writes both.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ReadingsError;
use super::lines::Lines;
use super::record::{Record, Records};

/// The most fields of an object; what is behind them is ignored.
const MAX_FIELDS: usize = 4_096;
const NO_OBJECT: &str = "it is no JSON object; write one object a line, or an array of objects";
const CUT: &str = "the file ends in the middle of the object; was it written whole?";
const OPEN: &str = "the file ends before its array does, which has no ]; was it written whole?";

/// Whether what is wrong with a row is that the file ends in an array: it was cut short, or still grows.
pub(super) fn ends_in_array(why: &str) -> bool {
    why == CUT || why == OPEN
}

/// The rows of JSON. The fields of a row are those that the objects so far have had, in the order in which they came.
pub(super) struct JsonRecords<R> {
    lines: Lines<R>,
    /// Whether the objects stand in an array.
    array: bool,
    /// Whether an array has begun that has not ended, and it was not said yet that the file ends in it.
    in_array: bool,
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// Whether names are still added.
    open: bool,
    values: Vec<Vec<u8>>,
    /// Which of the names the row does not have.
    absent: Vec<bool>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: Read> JsonRecords<R> {
    pub(super) fn new(mut lines: Lines<R>) -> Result<Self, ReadingsError> {
        lines.skip_bom()?;
        let array = loop {
            if let Some(at) = lines.rest().iter().position(|b| !b.is_ascii_whitespace()) {
                break lines.rest()[at] == b'[';
            }
            if !lines.fill()? {
                break false;
            }
        };
        Ok(Self {
            lines,
            array,
            in_array: false,
            names: Vec::new(),
            places: HashMap::new(),
            open: true,
            values: Vec::new(),
            absent: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// The next object; `start` is behind it then.
    fn next_span(&mut self) -> Result<Option<Span>, ReadingsError> {
        loop {
            let Some(byte) = self.lines.rest().first().copied() else {
                if self.lines.fill()? {
                    continue;
                }
                let at = self.lines.start;
                let cut = std::mem::take(&mut self.in_array).then_some(OPEN);
                return Ok(cut.map(|why| Span { start: at, end: at, line: self.lines.line, cut: Some(why) }));
            };
            let between = byte.is_ascii_whitespace() || (self.array && matches!(byte, b'[' | b',' | b']'));
            if !between {
                break;
            }
            match byte {
                b'\n' => self.lines.line += 1,
                b'[' => self.in_array = true,
                b']' => self.in_array = false,
                _ => {}
            }
            self.lines.start += 1;
        }
        let line = self.lines.line;
        if !self.array || self.lines.rest().first() != Some(&b'{') {
            // What is no object ends with its line, so that the next one is read again.
            let Some((end, next)) = self.lines.line_end()? else { return Ok(None) };
            let start = std::mem::replace(&mut self.lines.start, next);
            self.lines.line += 1;
            self.in_array &= !self.lines.buffer[start..end].trim_ascii_end().ends_with(b"]");
            return Ok(Some(Span { start, end, line, cut: None }));
        }
        let mut object = Object::default();
        let mut seen = 0;
        loop {
            if let Some(at) = self.lines.rest()[seen..].iter().position(|byte| object.ends(*byte)) {
                let (start, end) = (self.lines.start, self.lines.start + seen + at + 1);
                self.lines.line += memchr::memchr_iter(b'\n', &self.lines.buffer[start..end]).count() as u64;
                self.lines.start = end;
                return Ok(Some(Span { start, end, line, cut: None }));
            }
            seen = self.lines.rest().len();
            if !self.lines.fill()? {
                let (start, end) = (self.lines.start, self.lines.end);
                self.lines.start = end;
                self.in_array = false;
                return Ok(Some(Span { start, end, line, cut: Some(CUT) }));
            }
        }
    }
}

/// Where an object is in the buffer, and the line it starts on.
struct Span {
    start: usize,
    end: usize,
    line: u64,
    /// What the file ends in the middle of.
    cut: Option<&'static str>,
}

/// Finds the end of an object.
#[derive(Default)]
struct Object {
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Object {
    /// Whether the object ends with this byte.
    fn ends(&mut self, byte: u8) -> bool {
        if self.quoted {
            if self.escaped {
                self.escaped = false;
            } else {
                self.escaped = byte == b'\\';
                self.quoted = byte != b'"';
            }
            return false;
        }
        match byte {
            b'"' => self.quoted = true,
            b'{' => self.depth += 1,
            b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        byte == b'}' && self.depth == 0
    }
}

impl<R: Read> Records for JsonRecords<R> {
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError> {
        let Some(Span { start, end, line, cut }) = self.next_span()? else { return Ok(None) };
        self.values.iter_mut().for_each(Vec::clear);
        self.absent.fill(true);
        let row = self.lines.buffer[start..end].trim_ascii();
        let Self { names, places, values, absent, open, .. } = self;
        let mut fields = Fields { names, places, values, absent, open: *open };
        let mut json = serde_json::Deserializer::from_slice(row);
        let read = json.deserialize_map(&mut fields).and_then(|()| json.end());
        let broken = read.is_err().then_some(cut.unwrap_or(NO_OBJECT));
        self.text.clear();
        self.ends.clear();
        for value in &self.values {
            self.text.extend_from_slice(value);
            self.ends.push(self.text.len());
        }
        Ok(Some(Record { text: &self.text, ends: &self.ends, gap: 0, line, broken, absent: &self.absent }))
    }

    fn names(&mut self, last: bool) -> Option<&[String]> {
        self.open &= !last;
        Some(&self.names)
    }
}

/// Puts an object's fields into columns.
struct Fields<'a> {
    names: &'a mut Vec<String>,
    places: &'a mut HashMap<String, usize>,
    values: &'a mut Vec<Vec<u8>>,
    absent: &'a mut Vec<bool>,
    open: bool,
}

impl<'de> Visitor<'de> for &mut Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let value: &RawValue = map.next_value()?;
            let place = match self.places.get(name.0.as_ref()) {
                Some(place) => *place,
                None if self.open && self.names.len() < MAX_FIELDS => {
                    self.names.push(name.0.to_string());
                    self.values.push(Vec::new());
                    self.absent.push(false);
                    self.places.insert(name.0.into_owned(), self.names.len() - 1);
                    self.names.len() - 1
                }
                None => continue,
            };
            if let (Some(text), Some(absent)) = (self.values.get_mut(place), self.absent.get_mut(place)) {
                put(value.get(), text);
                *absent = false;
            }
        }
        Ok(())
    }
}

/// A name, copied only where it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value as a text: strings without their quotes, null as nothing, all else as it stands.
fn put(json: &str, text: &mut Vec<u8>) {
    text.clear();
    if json.starts_with('"') {
        match serde_json::from_str(json) {
            Ok(Name(string)) => text.extend_from_slice(string.as_bytes()),
            // It has half a character (`\ud83d`), which UTF-8 cannot have: nor can what stands for it here.
            Err(_) => text.extend_from_slice(&[json.trim_matches('"').as_bytes(), b"\xff"].concat()),
        }
    } else if json != "null" {
        text.extend_from_slice(json.as_bytes());
    }
}

#[cfg(test)]
mod tests;
