//! Demand that somebody wrote down, and sizes of machines.

use planner::simulate::trace::{MAX_SECONDS, MAX_SENSORS, MAX_SPAN, parse};
use planner::simulate::vm::VmSize;

/// A trace is refused in few words, or its rows are in order and in range, and read the same when they are written again.
/// So are sizes.
pub fn demand(input: &[u8]) {
    match parse(input, Some(1.0)) {
        Err(error) => assert!(error.line > 0 && error.to_string().len() < 1_000, "{error}"),
        Ok(trace) => {
            assert!(trace.rows.is_sorted_by_key(|row| row.at));
            for row in &trace.rows {
                assert!((0..=MAX_SPAN).contains(&row.at) && (1..=MAX_SENSORS).contains(&row.sensors), "{row:?}");
                assert!(row.seconds > 0.0 && row.seconds <= MAX_SECONDS, "{row:?}");
            }
            let first = trace.rows.first().map_or(0, |row| row.at);
            let lines = trace.rows.iter().map(|row| format!("{},{},{}\n", row.at - first, row.sensors, row.seconds));
            let written: String = lines.collect();
            if let Ok(again) = parse(written.as_bytes(), None) {
                let same = again.rows.iter().zip(&trace.rows);
                assert!(
                    same.clone().count() == trace.rows.len() && same.into_iter().all(|(a, b)| a.at + first == b.at)
                );
            } else {
                assert!(trace.rows.is_empty(), "{written}");
            }
        }
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    for sizes in [VmSize::list(text), VmSize::file(text)] {
        match sizes {
            Err(error) => assert!(error.to_string().len() < 1_000 + 2 * text.len(), "{error}"),
            Ok(sizes) => sizes.iter().for_each(|size| assert!(!size.capacity().is_empty(), "{size:?}")),
        }
    }
}
