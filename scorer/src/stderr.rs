//! What the program says on stderr: each event on a line of its own.

use std::io::{Result, Write};

use crate::shown::on_one_line;

/// A writer of events, each written at once with its line end. A name from outside that is told in one neither begins a
/// line that looks like another event nor moves a terminal's cursor. Escape characters are left alone: of what is told,
/// `tracing_subscriber` has escaped them, and the others are its colours.
#[derive(Debug)]
pub struct OneLine<W>(pub W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if line.iter().any(|byte| *byte != ESCAPE as u8 && !matches!(byte, b' '..=b'~')) {
            let escaped: Vec<String> = String::from_utf8_lossy(line).split(ESCAPE).map(on_one_line).collect();
            self.0.write_all(escaped.join("\u{1b}").as_bytes())?;
            self.0.write_all(&event[line.len()..])?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

const ESCAPE: char = '\u{1b}';

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str) -> String {
        let mut out = OneLine(Vec::new());
        out.write_all(event.as_bytes()).unwrap();
        String::from_utf8(out.0).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_names_are_in_it() {
        assert_eq!(written("a\nERROR b\r\tc\u{9b}é\n"), "a\\nERROR b\\r\\tc\\u{9b}é\n");
        assert_eq!(written("\u{1b}[31mERROR\u{1b}[0m a b\n"), "\u{1b}[31mERROR\u{1b}[0m a b\n");
        assert_eq!(written("é ü"), "é ü");
    }
}
