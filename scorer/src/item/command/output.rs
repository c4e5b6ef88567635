//! What a command has written, on its way to the store.

use std::fs::{self, File};
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;

use spec::work::PredictionFormat;

use super::files::no_space;
use super::json_lines::JsonLines;
use super::labels::Labels;
use crate::context::Context;
use crate::predictions::PREDICTION;
use crate::problem::Problem;

/// Bytes that are moved at once.
const CHUNK: usize = 256 << 10;
/// What a Parquet file begins and ends with.
const MAGIC: &[u8] = b"PAR1";
/// The most bytes of a field that is looked at.
const FIELD: usize = 64;

/// Why what a command left when it was told to end is not taken.
pub(super) const STOPPED: &str = "Stopped";

/// What became of an output.
pub(super) struct Written {
    pub(super) bytes: u64,
    /// Rows; none where they cannot be counted.
    rows: Option<u64>,
    /// Rows with predictions; as far as they can be counted.
    pub(super) scored: u64,
    pub(super) anomalies: u64,
    pub(super) warnings: Vec<String>,
}

/// Writes a command's output to the store whole, and counts what is in it. `expected`: how many rows, where that is known.
/// What lacks some of them, or is no output at all, is left to another attempt if the command had been `told` to end.
pub(super) async fn upload(
    context: &Context,
    output: &Path,
    path: &str,
    expected: Option<RangeInclusive<u64>>,
    told: bool,
) -> Result<Written, Problem> {
    let format = context.request.work.predictions.format;
    let unfinished = |problem: Problem| match told {
        true => Problem::again(STOPPED, format!("{}: it had been told to stop (SIGTERM)", problem.message)),
        false => problem,
    };
    check(output).map_err(unfinished)?;
    let mut file = File::open(output).map_err(|e| unreadable(output, &e))?;
    let mut upload = context.store.upload(path).map_err(|e| Problem::of_store(&e))?;
    let mut count = Count::new(format);
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let read = file.read(&mut chunk)?;
            count.add(&chunk[..read]);
            Ok::<_, std::io::Error>((file, chunk, count, read))
        });
        let read = read.await.map_err(|e| Problem::internal("reading predictions", e))?;
        let end;
        (file, chunk, count, end) = read.map_err(|e| unreadable(output, &e))?;
        if end == 0 {
            break;
        }
        upload.write(&chunk[..end]).await.map_err(|e| Problem::of_store(&e))?;
        bytes += end as u64;
    }
    let mut written = count.end(bytes).map_err(unfinished)?;
    if let (Some(expected), Some(rows)) = (expected, written.rows)
        && !expected.contains(&rows)
    {
        let what = format!("the command was given {} row(s), and its output has {rows}", expected.end());
        if told && rows < *expected.start() {
            return Err(unfinished(Problem::failed("NoOutput", what)));
        }
        written.warnings.push(what);
    }
    upload.finish().await.map_err(|e| Problem::of_store(&e))?;
    Ok(written)
}

/// Whether there is an output.
fn check(output: &Path) -> Result<(), Problem> {
    let none = |what: &str| {
        let message =
            format!("the command succeeded, but {what}; write the predictions to SCORING_OUTPUT ({{output}})");
        Err(Problem::failed("NoOutput", message))
    };
    match fs::symlink_metadata(output) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => none(&format!("{} is no regular file", output.display())),
        Err(_) => none(&format!("there is no {}", output.display())),
    }
}

fn unreadable(output: &Path, error: &std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            Problem::failed("NoOutput", format!("{} cannot be read: {error}", output.display()))
        }
        _ => no_space(output, error),
    }
}

/// Counts what is in an output while it goes by.
enum Count {
    Csv(Box<Csv>),
    JsonLines(Box<JsonLines>),
    Parquet { first: Vec<u8>, last: Vec<u8> },
}

impl Count {
    fn new(format: PredictionFormat) -> Self {
        match format {
            PredictionFormat::Csv => Self::Csv(Box::new(Csv::new())),
            PredictionFormat::JsonLines => Self::JsonLines(Box::default()),
            PredictionFormat::Parquet => Self::Parquet { first: Vec::new(), last: Vec::new() },
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Csv(csv) => csv.add(bytes),
            Self::JsonLines(lines) => lines.add(bytes),
            Self::Parquet { first, last } => {
                let wanted = MAGIC.len().saturating_sub(first.len()).min(bytes.len());
                first.extend_from_slice(&bytes[..wanted]);
                last.extend_from_slice(&bytes[bytes.len().saturating_sub(MAGIC.len())..]);
                last.drain(..last.len().saturating_sub(MAGIC.len()));
            }
        }
    }

    fn end(self, bytes: u64) -> Result<Written, Problem> {
        let written = Written { bytes, rows: None, scored: 0, anomalies: 0, warnings: Vec::new() };
        let empty = bytes == 0;
        match self {
            _ if empty => Err(Problem::failed("NoOutput", "the command succeeded, but its output is empty")),
            Self::JsonLines(lines) => {
                let (scored, whole, anomalies, warnings) = lines.end();
                Ok(Written { rows: Some(whole), scored, anomalies, warnings, ..written })
            }
            Self::Csv(csv) => {
                let (scored, anomalies, warning) = csv.end();
                Ok(Written {
                    rows: Some(scored),
                    scored,
                    anomalies,
                    warnings: warning.into_iter().collect(),
                    ..written
                })
            }
            Self::Parquet { first, last } if first == MAGIC && last == MAGIC => Ok(written),
            Self::Parquet { .. } => Err(Problem::failed(
                "OutputInvalid",
                "the command's output is no Parquet file; write one, or set predictions.format to what it is",
            )),
        }
    }
}

/// Reads CSV field by field, and keeps no more than a part of one.
struct Csv {
    reader: csv_core::Reader,
    field: [u8; FIELD],
    length: usize,
    /// Whether the field has more.
    long: bool,
    column: usize,
    /// Records that have ended, the header included.
    records: u64,
    prediction: Option<usize>,
    labels: Labels,
}

impl Csv {
    fn new() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            field: [0; FIELD],
            length: 0,
            long: false,
            column: 0,
            records: 0,
            prediction: None,
            labels: Labels::default(),
        }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes).0..];
        }
    }

    /// Reads on in some bytes, or at the end of them where there are none; and whether there may be more.
    fn step(&mut self, bytes: &[u8]) -> (usize, bool) {
        let (result, read, written) = self.reader.read_field(bytes, &mut self.field[self.length..]);
        self.length += written;
        match result {
            csv_core::ReadFieldResult::InputEmpty => {}
            csv_core::ReadFieldResult::OutputFull => (self.length, self.long) = (0, true),
            csv_core::ReadFieldResult::Field { record_end } => {
                self.end_field();
                (self.length, self.long) = (0, false);
                self.column += 1;
                if record_end {
                    self.records += 1;
                    self.column = 0;
                }
            }
            csv_core::ReadFieldResult::End => return (read, false),
        }
        (read, true)
    }

    fn end_field(&mut self) {
        let field = self.field[..self.length].trim_ascii();
        if self.records == 0 {
            if !self.long && field == PREDICTION.as_bytes() && self.prediction.is_none() {
                self.prediction = Some(self.column);
            }
        } else if self.prediction == Some(self.column) {
            match self.long {
                false => self.labels.add(field),
                true => self.labels.add_other(field),
            }
        }
    }

    /// Rows, anomalies among them, and what is to be said of them.
    fn end(mut self) -> (u64, u64, Option<String>) {
        while self.step(&[]).1 {}
        (self.records.saturating_sub(1), self.labels.anomalies, self.labels.warning())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(format: PredictionFormat, text: &[u8], pieces: usize) -> Result<Written, Problem> {
        let mut count = Count::new(format);
        text.chunks(pieces).for_each(|bytes| count.add(bytes));
        count.end(text.len() as u64)
    }

    #[test]
    fn rows_and_anomalies_of_a_csv_are_counted() {
        let text = "ts,note,prediction\n1,\"a,\n\"\"b\",1\n2,,0\r\n3,x,True\n4,y,1.0";
        let written = counted(PredictionFormat::Csv, text.as_bytes(), 7).unwrap();
        assert_eq!((written.scored, written.anomalies, written.warnings.len()), (4, 3, 0));
        let without = counted(PredictionFormat::Csv, b"ts,score\n1,2\n", 100).unwrap();
        assert_eq!((without.scored, without.anomalies), (1, 0));
    }

    #[test]
    fn verdicts_as_scikit_learn_has_them_are_told() {
        let written = counted(PredictionFormat::Csv, b"prediction\n1\n-1\n-1\n", 100).unwrap();
        assert_eq!((written.scored, written.anomalies), (3, 1));
        assert!(written.warnings[0].starts_with("2 of prediction are neither 1 (an anomaly) nor 0, such as \"-1\""));
    }

    #[test]
    fn what_is_no_output_says_so() {
        let reason = |format, text: &[u8]| counted(format, text, 3).err().map(|problem| problem.reason);
        assert_eq!(reason(PredictionFormat::Csv, b"").as_deref(), Some("NoOutput"));
        assert_eq!(reason(PredictionFormat::JsonLines, b"").as_deref(), Some("NoOutput"));
        assert_eq!(reason(PredictionFormat::Parquet, b"").as_deref(), Some("NoOutput"));
        assert_eq!(reason(PredictionFormat::Parquet, b"a,b\n1,2\n").as_deref(), Some("OutputInvalid"));
        assert_eq!(reason(PredictionFormat::Parquet, b"PAR1 and so on PAR1"), None);
    }

    #[test]
    fn an_endless_field_takes_no_memory() {
        let mut csv = Csv::new();
        csv.add(b"prediction\n\"");
        for _ in 0..1_000 {
            csv.add(&[b'1'; 1000]);
        }
        csv.add(b"\"\n1\n");
        let (scored, anomalies, warning) = csv.end();
        assert_eq!((scored, anomalies, warning.is_some()), (2, 1, true));
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_whatever_the_pieces(text in prop::collection::vec(prop::sample::select(b"a1,\"\n\r".to_vec()), 0..60), pieces in 1..9_usize) {
            let once = |pieces| counted(PredictionFormat::Csv, &text, pieces).map(|w| (w.scored, w.anomalies)).ok();
            prop_assert_eq!(once(pieces), once(1_000));
        }
    }
}
