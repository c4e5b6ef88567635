//! The lines of a log, and what a child process prints as such: in any pieces, with any bytes, in bounded memory.

use std::fmt::{Display, Write};

use jiff::Timestamp;
use spec::shown::is_control;

/// Marks the first line of a log: of what run, sensor and attempt it is.
pub const START: &str = "START";
/// Marks the last line that an attempt writes: what became of the sensor, and how long it took.
pub const END: &str = "END";
/// Marks the lines that archiving adds to the log of an attempt that was killed: how its pod ended.
pub const POD: &str = "POD";

/// Adds lines as all of them are: time, mark, text.
pub fn push_lines(out: &mut String, at: Timestamp, mark: &str, text: impl Display) {
    for line in text.to_string().lines() {
        // Writing to a String does not fail.
        let _ = write!(out, "{at:.3} {mark:<5} ");
        push_visible(out, line.as_bytes());
        out.push('\n');
    }
}

/// The mark of a log's last line.
#[must_use]
pub fn last_mark(log: &[u8]) -> &[u8] {
    let last = log.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    last.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

/// Whether a log ends as one does to which nothing is to be added: by the attempt itself, or by archiving.
#[must_use]
pub fn is_ended(log: &[u8]) -> bool {
    [END, POD].iter().any(|end| end.as_bytes() == last_mark(log))
}

/// A line that is longer goes on in the next.
pub(super) const LONGEST: usize = 16 * 1024;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// One stream's output, of which the unfinished line is kept.
#[derive(Debug, Default)]
pub(super) struct Lines {
    unfinished: Vec<u8>,
}

/// A line, or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    /// The next piece is the same line.
    pub(super) goes_on: bool,
}

impl Lines {
    /// Gives the lines that `bytes` finish, and pieces of those that are too long.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(Piece<'_>)) {
        while let Some(at) = memchr::memchr(b'\n', bytes) {
            let (end, rest) = (&bytes[..at], &bytes[at + 1..]);
            bytes = rest;
            if self.unfinished.is_empty() && end.len() <= LONGEST {
                line(Piece { bytes: without_return(end), goes_on: false });
            } else {
                self.keep(end, &mut line);
                line(Piece { bytes: without_return(&self.unfinished), goes_on: false });
                self.unfinished.clear();
            }
        }
        self.keep(bytes, &mut line);
    }

    /// Keeps a part of a line, and gives what is too long to be kept: where it is cut depends on the line alone.
    fn keep(&mut self, mut bytes: &[u8], line: &mut impl FnMut(Piece<'_>)) {
        while self.unfinished.len() + bytes.len() > LONGEST {
            let (fits, rest) = bytes.split_at(LONGEST - self.unfinished.len());
            self.unfinished.extend_from_slice(fits);
            bytes = rest;
            self.cut(&mut *line);
        }
        self.unfinished.extend_from_slice(bytes);
    }

    /// Gives what there is of an unfinished line, but for a character of which the rest is to come.
    pub(super) fn cut(&mut self, mut line: impl FnMut(Piece<'_>)) {
        let whole = self.unfinished.len() - begun(&self.unfinished);
        if whole > 0 {
            line(Piece { bytes: &self.unfinished[..whole], goes_on: true });
            self.unfinished.drain(..whole);
        }
    }

    /// Gives what is left: nothing follows.
    pub(super) fn end(&mut self, mut line: impl FnMut(Piece<'_>)) {
        if !self.unfinished.is_empty() {
            line(Piece { bytes: without_return(&self.unfinished), goes_on: false });
            self.unfinished.clear();
        }
    }

    pub(super) fn is_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }
}

/// Lines may end as on Windows.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How many bytes at the end may be the first of a character in UTF-8, or of an end of line.
fn begun(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let length = match bytes[bytes.len() - back] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            b'\r' if back == 1 => 2,
            _ => 1,
        };
        return if length > back { back } else { 0 };
    }
    0
}

/// Adds bytes as text: those that are no UTF-8 as `\xff`, control characters as they are written in quotes. A log may be
/// read on a terminal, which what was printed must not move about.
pub(super) fn push_visible(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c: char| is_control(c) && c != '\t') {
            let (plain, hidden) = rest.split_at(at);
            out.push_str(plain);
            let mut chars = hidden.chars();
            chars.next().into_iter().for_each(|c| out.extend(c.escape_debug()));
            rest = chars.as_str();
        }
        out.push_str(rest);
        for byte in chunk.invalid() {
            out.push_str("\\x");
            [byte >> 4, byte & 15].iter().for_each(|digit| out.push(char::from(HEX[usize::from(*digit)])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text, and what follows it in the same line.
    fn lines_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, bool)> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        let mut add = |piece: Piece<'_>| {
            let mut text = String::new();
            push_visible(&mut text, piece.bytes);
            all.push((text, piece.goes_on));
        };
        for piece in pieces {
            lines.push(piece, &mut add);
            assert!(lines.unfinished.len() <= LONGEST);
        }
        lines.end(&mut add);
        all
    }

    fn in_one(bytes: &[u8]) -> Vec<String> {
        lines_of([bytes]).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_log_tells_whether_it_was_ended() {
        let mut log = String::new();
        push_lines(&mut log, Timestamp::UNIX_EPOCH, "OUT", "x END   printed\nEND");
        assert_eq!(log, "1970-01-01T00:00:00.000Z OUT   x END   printed\n1970-01-01T00:00:00.000Z OUT   END\n");
        assert!(!is_ended(log.as_bytes()) && !is_ended(b""));
        push_lines(&mut log, Timestamp::UNIX_EPOCH, END, "succeeded");
        assert!(is_ended(log.as_bytes()));
    }

    #[test]
    fn bytes_that_are_no_text_are_seen() {
        assert_eq!(in_one(b"a\xff\xc3\x28b\n"), [r"a\xff\xc3(b"]);
        assert_eq!(in_one("grün 25 °C\tok\n".as_bytes()), ["grün 25 °C\tok"]);
        assert_eq!(in_one(b"\x1b[2Jcleared\x00\n"), [r"\u{1b}[2Jcleared\0"]);
        assert_eq!(in_one("\u{9b}31m".as_bytes()), [r"\u{9b}31m"]);
        assert_eq!(in_one(b"10%\r20%\r\nunix\n\nend"), [r"10%\r20%", "unix", "", "end"]);
    }

    #[test]
    fn output_without_any_end_of_line_is_cut_between_characters() {
        let text = "ü".repeat(LONGEST * 3);
        let odd = format!("x{text}");
        let lines = lines_of([odd.as_bytes()]);
        let (last, before) = lines.split_last().unwrap();
        assert!(before.iter().all(|(line, goes_on)| *goes_on && line.len() == LONGEST - 1 || line.len() == LONGEST));
        assert!(!last.1);
        assert_eq!(lines.iter().map(|(line, _)| line.as_str()).collect::<String>(), odd);
    }

    #[test]
    fn a_line_that_waits_is_given_without_the_character_that_is_on_its_way() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut add = |piece: Piece<'_>| seen.push((piece.bytes.to_vec(), piece.goes_on));
        lines.push(b"half \xe2\x82", &mut add);
        lines.cut(&mut add);
        lines.cut(&mut add);
        lines.push(b"\xac\n", &mut add);
        assert_eq!(seen, [(b"half ".to_vec(), true), ("€".as_bytes().to_vec(), false)]);
    }

    fn printed() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            any::<Vec<u8>>(),
            "\\PC{0,20}\r?\n".prop_map(String::into_bytes),
            (any::<u8>(), 0..2 * LONGEST).prop_map(|(byte, times)| vec![byte; times]),
            (".", 0..LONGEST).prop_map(|(text, times)| text.repeat(times).into_bytes()),
        ];
        proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    #[test]
    fn a_line_cannot_be_made_to_read_otherwise_by_directions_or_ends_of_lines_of_unicode() {
        let printed = "a\u{202e}b\u{2066}\u{2028}é";
        assert_eq!(lines_of([printed.as_bytes()]), [("a\\u{202e}b\\u{2066}\\u{2028}é".to_owned(), false)]);
    }

    proptest! {
        #[test]
        fn the_same_bytes_give_the_same_lines_in_whatever_pieces_they_come(
            bytes in printed(), sizes in proptest::collection::vec(1usize..40_000, 1..20)
        ) {
            let (mut rest, mut pieces) = (bytes.as_slice(), Vec::new());
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*size));
                pieces.push(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(lines_of(pieces), lines_of([bytes.as_slice()]));
        }

        #[test]
        fn nothing_of_what_was_printed_is_lost(bytes in printed()) {
            let (mut lines, mut all) = (Lines::default(), Vec::new());
            let mut add = |piece: Piece<'_>| {
                all.extend_from_slice(piece.bytes);
                if !piece.goes_on {
                    all.push(b'\n');
                }
            };
            lines.push(&bytes, &mut add);
            lines.end(&mut add);
            let ended = if bytes.is_empty() || bytes.ends_with(b"\n") { bytes } else { [&bytes[..], b"\n"].concat() };
            let unix: Vec<u8> = ended.iter().enumerate()
                .filter(|(at, byte)| **byte != b'\r' || ended.get(at + 1) != Some(&b'\n')).map(|(_, byte)| *byte).collect();
            prop_assert_eq!(all, unix);
        }

        #[test]
        fn no_line_has_a_control_character(bytes: Vec<u8>) {
            for (line, _) in lines_of([bytes.as_slice()]) {
                prop_assert!(!line.chars().any(|c| is_control(c) && c != '\t'), "{:?}", line);
            }
        }
    }
}
