//! The rows of a command's JSON lines, and the anomalies among them.

use serde::Deserialize;
use serde_json::Value;

use super::labels::Labels;

/// The most bytes of a line whose prediction is looked at.
const LONGEST: usize = 64 << 10;

/// JSON lines that go by, of which no more than a line is kept.
#[derive(Default)]
pub(super) struct JsonLines {
    line: Vec<u8>,
    /// Whether the line has more.
    long: bool,
    rows: u64,
    labels: Labels,
    /// Lines that are no JSON objects, and the place of the first.
    odd: u64,
    first_odd: u64,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    prediction: Option<Value>,
}

impl JsonLines {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        self.extend(pieces.next().unwrap_or_default());
        for piece in pieces {
            self.end_line();
            self.extend(piece);
        }
    }

    fn extend(&mut self, piece: &[u8]) {
        let room = LONGEST - self.line.len();
        self.long |= piece.len() > room;
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn end_line(&mut self) {
        let (line, long) = (self.line.trim_ascii(), std::mem::take(&mut self.long));
        if long || !line.is_empty() {
            self.rows += 1;
        }
        if !long && !line.is_empty() {
            match serde_json::from_slice::<Line>(line) {
                Ok(Line { prediction: None | Some(Value::Null) }) => {}
                Ok(Line { prediction: Some(Value::String(text)) }) => self.labels.add(text.as_bytes()),
                Ok(Line { prediction: Some(value @ (Value::Number(_) | Value::Bool(_))) }) => {
                    self.labels.add(value.to_string().as_bytes());
                }
                Ok(Line { prediction: Some(other) }) => self.labels.add_other(other.to_string().as_bytes()),
                Err(_) => {
                    self.odd += 1;
                    self.first_odd = if self.odd == 1 { self.rows } else { self.first_odd };
                }
            }
        }
        self.line.clear();
    }

    /// Rows, those of them that are whole, anomalies among them, and what is to be said of them.
    pub(super) fn end(mut self) -> (u64, u64, u64, Vec<String>) {
        self.end_line();
        let odd = (self.odd > 0).then(|| {
            format!("{} line(s) of the output are no JSON objects; the first is of row {}", self.odd, self.first_odd)
        });
        let warnings = odd.into_iter().chain(self.labels.warning()).collect();
        (self.rows, self.rows - self.odd, self.labels.anomalies, warnings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(text: &[u8], pieces: usize) -> (u64, u64, Vec<String>) {
        let mut lines = JsonLines::default();
        text.chunks(pieces).for_each(|bytes| lines.add(bytes));
        let (rows, _, anomalies, warnings) = lines.end();
        (rows, anomalies, warnings)
    }

    #[test]
    fn rows_and_anomalies_are_counted_whatever_a_prediction_is_written_as() {
        let text = b"{\"prediction\": 1, \"x\": [1]}\n{\"prediction\":0}\r\n\n{\"prediction\":true}\n{\"y\":1}\n{\"prediction\":\"1\"}";
        assert_eq!(counted(text, 7), (5, 3, Vec::new()));
    }

    #[test]
    fn what_is_no_object_or_no_label_is_told() {
        let (rows, anomalies, warnings) = counted(b"{\"prediction\":-1}\n{\"prediction\":[1]}\n1,2\n", 100);
        assert_eq!((rows, anomalies), (3, 0));
        assert_eq!(warnings[0], "1 line(s) of the output are no JSON objects; the first is of row 3");
        assert!(warnings[1].starts_with("2 of prediction are neither 1 (an anomaly) nor 0, such as \"-1\""));
    }

    #[test]
    fn an_endless_line_is_a_row_and_takes_no_memory() {
        let mut lines = JsonLines::default();
        for _ in 0..1_000 {
            lines.add(&[b'{'; 1000]);
        }
        assert!(lines.line.capacity() <= 2 * LONGEST);
        lines.add(b"\n{\"prediction\":1}\n");
        assert_eq!(lines.end(), (2, 2, 1, Vec::new()));
    }

    #[test]
    fn a_line_that_was_cut_short_is_not_whole() {
        let mut lines = JsonLines::default();
        lines.add(b"{\"prediction\":1}\n{\"pred");
        let (rows, whole, _, warnings) = lines.end();
        assert_eq!((rows, whole, warnings.len()), (2, 1, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_whatever_the_pieces(text in "(\\{\"prediction\":[01]\\}|[a{}1\"]{0,3}|\n){0,12}", pieces in 1..9_usize) {
            prop_assert_eq!(counted(text.as_bytes(), pieces), counted(text.as_bytes(), 1_000));
        }
    }
}
