//! The last that a program printed.

use crate::shown::on_one_line;

/// Bytes that are kept.
const BYTES: usize = 2048;
/// Lines that are told.
const LINES: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(BYTES)..]);
        let surplus = self.0.len().saturating_sub(BYTES);
        self.0.drain(..surplus);
    }

    /// Whether nothing but space was printed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(u8::is_ascii_whitespace)
    }

    /// The last lines. What is no text, and control characters, are made visible.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<String> = text.trim().lines().map(|line| on_one_line(line.trim_end())).collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_made_visible() {
        let mut tail = Tail::default();
        assert!(tail.is_empty());
        for n in 0..10_000 {
            tail.push(format!("line {n}\n").as_bytes());
        }
        assert!(tail.0.len() <= BYTES);
        assert_eq!(tail.text().lines().count(), LINES);
        assert!(tail.text().ends_with("line 9999"));
        tail.push(b"\x1b[31mred\xff\n");
        assert!(tail.text().ends_with("\\u{1b}[31mred\u{fffd}"), "{:?}", tail.text());
        tail.push(&[b'x'; 10 * BYTES]);
        assert_eq!(tail.text(), "x".repeat(BYTES));
    }
}
