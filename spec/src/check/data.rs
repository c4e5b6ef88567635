//! Whether readings can be as they are said to be.

use std::collections::BTreeSet;

use super::{WorkError, wrong};
use crate::time::{TimeParser, TimesError};
use crate::window::Window;
use crate::work::{DataFormat, DataSource};
use crate::{DataPath, Span};

/// Whether a window's files can be told.
pub(super) fn check_path(
    field: &'static str,
    path: &DataPath,
    window: Option<&Window>,
    keys: &BTreeSet<String>,
) -> Result<(), WorkError> {
    if path.finest().is_some()
        && let Some(key) = keys.iter().find(|key| matches!(key.as_str(), "yyyy" | "dd" | "mm"))
    {
        let message =
            format!("{{{key}}} could be the key {key} or a part of a time; rename the key, or leave times out");
        return wrong(field, message);
    }
    // Of which tick does not matter: only how many files are named, and whether there is a window. How long one is that
    // reaches from tick to tick, is known with the tick.
    let any = window.map(|window| Window { length: window.length.or(Some(Span::from_secs(60))), ..*window });
    let any = any.and_then(|window| window.at(jiff::Timestamp::UNIX_EPOCH, None).ok());
    path.files(any).map(|_| ()).or_else(|error| wrong(field, error.to_string()))
}

impl DataSource {
    /// Checks how readings are said to be written, which needs no other part of a schedule.
    ///
    /// # Errors
    /// At the first field that cannot work.
    pub fn check(&self) -> Result<(), WorkError> {
        check(self)
    }
}

/// At the first field that cannot work.
pub(super) fn check(data: &DataSource) -> Result<(), WorkError> {
    if let Some(delimiter) = &data.delimiter
        && delimiter.byte().is_none()
    {
        let message = format!("{:?} is not one ASCII character that is no quote; write ; or | or \\t", delimiter.0);
        return wrong("data.delimiter", message);
    }
    if data.format.is_some_and(|format| format != DataFormat::Csv) && data.delimiter.is_some() {
        return wrong("data.delimiter", "is a CSV's; leave it out, or data.format");
    }
    if let Some(names) = &data.names {
        if data.format.is_some_and(|format| format != DataFormat::Csv) {
            return wrong("data.names", "are those of a CSV without header; leave them out, or data.format");
        }
        if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
            return wrong("data.names", "must have one name for each column of the file, in order");
        }
    }
    match TimeParser::checked(data.time_zone.as_deref(), data.time_format.as_deref()) {
        Err(error @ TimesError::Zone(_)) => return wrong("data.timeZone", error.to_string()),
        Err(error @ TimesError::Format(_)) => return wrong("data.timeFormat", error.to_string()),
        Ok(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_names_its_field_and_what_to_write() {
        for (changes, field, hint) in [
            (r#""delimiter": "\"""#, "data.delimiter", "write ;"),
            (r#""delimiter": "ab""#, "data.delimiter", "write ;"),
            (r#""delimiter": ";", "format": "JsonLines""#, "data.delimiter", "leave it out"),
            (r#""names": ["a", ""]"#, "data.names", "each column"),
            (r#""names": ["a"], "format": "JsonLines""#, "data.names", "without header"),
            (r#""timeZone": "Berlin""#, "data.timeZone", "Europe/Berlin"),
            (r#""timeFormat": "dd.mm""#, "data.timeFormat", "%d.%m.%Y"),
            (r#""timeFormat": "%Q%J""#, "data.timeFormat", "is no format"),
            (r#""timeFormat": "%Q""#, "data.timeFormat", "tells no date and time"),
            (r#""timeFormat": "%H:%M:%S""#, "data.timeFormat", "tells no date and time"),
        ] {
            let data: DataSource = serde_json::from_str(&format!("{{\"path\": \"d\", {changes}}}")).unwrap();
            let error = check(&data).unwrap_err();
            assert_eq!(error.field, field, "{changes}: {error}");
            assert!(error.to_string().contains(hint), "{changes}: {error}");
        }
    }

    #[test]
    fn what_can_be_is_fine() {
        let data = r#"{"path": "d", "format": "Csv", "delimiter": "\\t", "names": ["a", "b"],
            "timeZone": "Europe/Berlin", "timeFormat": "%d.%m.%Y %H:%M:%S%.f", "maxBadRows": "5%"}"#;
        check(&serde_json::from_str(data).unwrap()).unwrap();
        for format in [
            "%s",
            "%Y-%m-%dT%H:%M:%S%z",
            "%d.%m.%Y",
            "%m/%d/%y %I:%M:%S %p",
            "%Y%j %H%M%S",
            "%F %T%.3f[%Q]",
            "%b %e %Y %H:%M",
        ] {
            let data = format!("{{\"path\": \"d\", \"timeFormat\": \"{format}\"}}");
            check(&serde_json::from_str(&data).unwrap()).unwrap();
        }
    }
}
