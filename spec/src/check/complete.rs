//! Whether it can be told when readings are complete.

use std::collections::BTreeSet;

use super::data::check_path;
use super::{LONGEST, WorkError, wrong};
use crate::window::Window;
use crate::{Complete, DataPath, Template};

/// At the first field that cannot work.
pub(super) fn check(complete: &Complete, window: Option<&Window>) -> Result<(), WorkError> {
    match (&complete.watermark, &complete.marker) {
        (Some(folder), None) => check_watermark(folder, window)?,
        (None, Some(marker)) => check_marker(marker, window)?,
        (Some(_), Some(_)) => return wrong("data.complete", "has both watermark and marker; keep one"),
        (None, None) => {
            let message = "has neither watermark nor marker; give one, or leave complete out to wait for nothing";
            return wrong("data.complete", message);
        }
    }
    if complete.wait_up_to > LONGEST {
        let message = format!("{} is longer than {LONGEST}; write such as 10m", complete.wait_up_to);
        return wrong("data.complete.waitUpTo", message);
    }
    Ok(())
}

fn check_watermark(folder: &str, window: Option<&Window>) -> Result<(), WorkError> {
    const FIELD: &str = "data.complete.watermark";
    if !folder.trim_end_matches('/').parse::<Template>().is_ok_and(|path| path.keys().is_empty()) {
        return wrong(FIELD, format!("{folder:?} is no folder of the store; write it as data/_watermarks"));
    }
    if window.is_none() {
        return wrong(FIELD, "tells up to which time readings are there, and only a window has an end; give window");
    }
    Ok(())
}

fn check_marker(marker: &DataPath, window: Option<&Window>) -> Result<(), WorkError> {
    const FIELD: &str = "data.complete.marker";
    if let Some(key) = marker.keys().first() {
        return wrong(FIELD, format!("has {{{key}}}, and is for all sensors of a run; write parts of times alone"));
    }
    if marker.has_star() {
        return wrong(FIELD, "has *, which leaves open which file is meant; write its name");
    }
    if window.is_some() && marker.finest().is_none() {
        let message = "names no times, and would hold for every window; put such as {yyyy}/{MM}/{dd}/{HH} into it";
        return wrong(FIELD, message);
    }
    check_path(FIELD, marker, window, &BTreeSet::new())
}
