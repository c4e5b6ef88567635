//! JSON, taken apart where it stands. Lists and objects in it are serde_json's to pass over; the rest is a few kinds of token, and
//! serde_json knows no position in a text of several values without looking at each twice.

use serde::de::IgnoredAny;

use super::fields::{Fields, Raw};

/// The text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// At which of its bytes.
    pub(super) at: usize,
    pub(super) why: &'static str,
}

/// Goes through a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
}

/// What ends the plain part of a string: `"`, `\` and control characters.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0 }
    }

    /// The next byte behind white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
        None
    }

    /// Passes over a byte, if it is the next one behind white space.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    pub(super) fn broken<T>(&self, why: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, why })
    }

    /// Notes the fields of an object that matter, whose `{` is next. Gives one that is there twice.
    pub(super) fn object(&mut self, fields: &Fields, raws: &mut [Raw<'a>]) -> Result<Option<usize>, Broken> {
        raws.fill(Raw::Absent);
        self.at += 1;
        if self.take(b'}') {
            return Ok(None);
        }
        let (mut twice, mut guess) = (None, 0);
        loop {
            if self.peek() != Some(b'"') {
                return self.broken("no name of a field");
            }
            let name = self.string()?;
            if !self.take(b':') {
                return self.broken("no colon behind a name");
            }
            let value = self.value()?;
            let field = match name {
                Raw::Text(name) => fields.find(name, guess),
                other => other.text().and_then(|name| fields.find(&name, guess)),
            };
            if let Some(field) = field
                && let Some(raw) = raws.get_mut(field)
            {
                if *raw != Raw::Absent {
                    twice = Some(field);
                }
                *raw = value;
                // Time, keys, value; and time, value, keys.
                guess = field + 1;
            }
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(twice);
                }
                None => return self.broken("an object does not end"),
                _ => return self.broken("no comma between two fields"),
            }
        }
    }

    /// A value.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Raw<'a>, Broken> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{' | b'[') => self.nested(),
            Some(b't') => self.word("true", Raw::Bool(true)),
            Some(b'f') => self.word("false", Raw::Bool(false)),
            Some(b'n') => self.word("null", Raw::Null),
            _ => self.broken("no value"),
        }
    }

    /// The string whose quote is next.
    #[inline]
    fn string(&mut self) -> Result<Raw<'a>, Broken> {
        let start = self.at;
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            while self.bytes.get(at).is_some_and(|byte| !ENDS[usize::from(*byte)]) {
                at += 1;
            }
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at = at;
                    at = self.escape(at + 1)?;
                }
                Some(_) => return Err(Broken { at, why: "a control character in a string" }),
                None => return Err(Broken { at, why: "a string does not end" }),
            }
        }
        self.at = at + 1;
        Ok(match escaped {
            false => Raw::Text(self.bytes.get(start + 1..at).unwrap_or_default()),
            true => Raw::Escaped(self.between(start, at + 1)),
        })
    }

    /// What is behind an escape, whose kind is at `at`.
    fn escape(&self, at: usize) -> Result<usize, Broken> {
        let length = match self.bytes.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') if self.bytes.get(at + 1..at + 5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 5,
            Some(_) => return self.broken("an escape that there is not"),
            None => return Err(Broken { at, why: "a string does not end" }),
        };
        Ok(at + length)
    }

    #[inline]
    fn number(&mut self) -> Result<Raw<'a>, Broken> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.broken("a number without digits"),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Raw::Number(self.between(start, self.at)))
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { self.broken("a number without digits") } else { Ok(()) }
    }

    fn word(&mut self, word: &str, raw: Raw<'a>) -> Result<Raw<'a>, Broken> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return self.broken("no value");
        }
        self.at += word.len();
        Ok(raw)
    }

    /// A list or an object, whose bracket is next. serde_json does not recurse in it.
    fn nested(&mut self) -> Result<Raw<'a>, Broken> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        let Some(Ok(_)) = values.next() else { return self.broken("a list or object that is none") };
        self.at = start + values.byte_offset();
        Ok(Raw::Nested(self.between(start, self.at)))
    }

    /// Both are beside a byte of ASCII, or at an end.
    fn between(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }
}
