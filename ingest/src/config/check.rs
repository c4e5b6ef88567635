//! What fields say together, or more than their types can tell. Each problem names its field.

use std::collections::BTreeSet;

use spec::time::TimeParser;
use spec::{Identifier, Span};

use super::files::HOUR;
use super::{Config, Duplicates, EventFormat, Over};
use crate::event::Decoder;

type Problem = (&'static str, String);

/// Names of columns are no longer.
const LONGEST: usize = 200;

impl Config {
    /// The first problem.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.check_kafka()?;
        self.check_event()?;
        self.check_windows()?;
        self.check_out()
    }

    fn check_kafka(&self) -> Result<(), Problem> {
        let kafka = &self.kafka;
        if kafka.brokers.is_empty() {
            return Err(("kafka.brokers", "name one broker at least, as HOST:PORT".to_owned()));
        }
        let is_broker = |broker: &String| {
            broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
                && !broker.contains([',', ' '])
        };
        if let Some(other) = kafka.brokers.iter().find(|broker| !is_broker(broker)) {
            return Err(("kafka.brokers", format!("{:?} is no broker; write HOST:PORT", spec::shown::cut(other))));
        }
        let is_name = |name: &str| {
            (1..=249).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
                && name != "."
                && name != ".."
        };
        if !is_name(&kafka.topic) {
            return Err((
                "kafka.topic",
                "a topic is named by at most 249 of a-z, A-Z, 0-9, '.', '_' and '-'".to_owned(),
            ));
        }
        if !(1..=249).contains(&kafka.group.len()) || kafka.group.contains(spec::shown::is_control) {
            return Err(("kafka.group", "a group has a name of at most 249 bytes".to_owned()));
        }
        Ok(())
    }

    fn check_event(&self) -> Result<(), Problem> {
        let event = &self.event;
        let columns = &event.columns;
        if columns.keys.is_empty() || columns.keys.len() > 8 {
            return Err(("event.columns.keys", "name 1 to 8 fields that name a sensor".to_owned()));
        }
        let mut seen = BTreeSet::new();
        for (field, name) in columns
            .keys
            .iter()
            .map(|key| ("event.columns.keys", key))
            .chain([("event.columns.time", &columns.time), ("event.columns.value", &columns.value)])
        {
            if name.is_empty() || name.len() > LONGEST || name.contains(spec::shown::is_control) {
                return Err((
                    field,
                    format!("a field has a name of at most {LONGEST} bytes, without control characters"),
                ));
            }
            // Files have them as columns, and readers of these do not tell a from A.
            if !seen.insert(name.to_lowercase()) {
                return Err((field, format!("{name} is named twice; each field is one thing")));
            }
        }
        for aggregate in self.aggregates() {
            if columns.keys.iter().chain([&columns.time]).any(|name| name.eq_ignore_ascii_case(&aggregate.to_string()))
            {
                return Err((
                    "windows.aggregates",
                    format!("{aggregate} is the name of a field, and would be another column of files"),
                ));
            }
        }
        if let Err(error) = TimeParser::checked(event.time_zone.as_deref(), event.time_format.as_deref()) {
            return Err(("event.timeFormat", error.to_string()));
        }
        if let Err(error) = Decoder::new(event) {
            return Err(("event.filter", error.to_string()));
        }
        match event.format {
            EventFormat::Json if !event.names.is_empty() => Err(("event.names", "only Csv has names".to_owned())),
            EventFormat::Json if event.delimiter.is_some() => {
                Err(("event.delimiter", "only Csv has a delimiter".to_owned()))
            }
            EventFormat::Json => Ok(()),
            EventFormat::Csv => self.check_csv(),
        }
    }

    fn check_csv(&self) -> Result<(), Problem> {
        let event = &self.event;
        if event
            .delimiter
            .as_ref()
            .is_some_and(|text| text.len() != 1 || matches!(text.as_bytes()[0], b'"' | b'\r' | b'\n'))
        {
            return Err(("event.delimiter", "a delimiter is one character of ASCII".to_owned()));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = event.names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(("event.names", format!("{twice} is there twice")));
        }
        let columns = &event.columns;
        let lacking =
            columns.keys.iter().chain([&columns.time, &columns.value]).find(|name| !event.names.contains(name));
        match lacking {
            Some(name) => Err((
                "event.names",
                format!("{name} is not among them; records have no header, so name each field of a line"),
            )),
            None => Ok(()),
        }
    }

    fn check_windows(&self) -> Result<(), Problem> {
        let windows = &self.windows;
        let length = windows.length.as_secs();
        if length == 0 || !HOUR.is_multiple_of(length) {
            return Err((
                "windows.length",
                format!("{} does not divide an hour; take 1s, 5s, 10s, 1m, 5m, 15m, 1h or the like", windows.length),
            ));
        }
        if windows.aggregates.is_empty() {
            return Err(("windows.aggregates", "name one at least, such as avg".to_owned()));
        }
        if windows.over == Over::Topic && self.event.duplicates == Duplicates::Drop {
            return Err((
                "event.duplicates",
                "with windows.over: Topic a duplicate may be in another partition, where nobody knows of it; take Keep"
                    .to_owned(),
            ));
        }
        let day = Span::from_secs(86_400);
        if windows.allowed_lateness > day {
            return Err(("windows.allowedLateness", "at most 1d: so long windows stay open, in memory".to_owned()));
        }
        if windows.idle_after.as_secs() == 0 || windows.idle_after > day {
            return Err(("windows.idleAfter", "1s to 1d".to_owned()));
        }
        if self.event.max_ahead > day {
            return Err(("event.maxAhead", "at most 1d: one event may take the watermark along by so much".to_owned()));
        }
        Ok(())
    }

    fn check_out(&self) -> Result<(), Problem> {
        if self.store.url.is_empty() {
            return Err(("store.url", "name the store".to_owned()));
        }
        if let Some(files) = self.files() {
            let (every, length) = (self.every().as_secs(), self.windows.length.as_secs());
            if every == 0 || !every.is_multiple_of(length) || !HOUR.is_multiple_of(every) {
                return Err((
                    "files.every",
                    format!(
                        "{} is no multiple of windows.length ({}) that divides an hour",
                        self.every(),
                        self.windows.length
                    ),
                ));
            }
            if !(1..=4096).contains(&files.max_mib) {
                return Err(("files.maxMib", "1 to 4096".to_owned()));
            }
        }
        if self.sql.is_some() {
            self.check_names()?;
        }
        if self.archive.as_ref().is_some_and(|archive| archive.path == self.dead_letter.path) {
            return Err(("archive.path", "dead letters go there: files of both would have the same names".to_owned()));
        }
        if self.watermarks().parse::<super::Folder>().is_err() || self.watermarks().contains('{') {
            return Err(("watermarks", "name a folder in the store, without braces".to_owned()));
        }
        let limits = self.limits;
        if limits.open_mib < 16 || limits.pending_mib < 8 {
            return Err(("limits", "openMib is 16 at least, pendingMib 8".to_owned()));
        }
        Ok(())
    }

    /// A table has fields by their names as columns.
    fn check_names(&self) -> Result<(), Problem> {
        let columns = &self.event.columns;
        let keys = columns.keys.iter().map(|key| ("event.columns.keys", key));
        for (field, name) in keys.chain([("event.columns.time", &columns.time)]) {
            if let Err(error) = name.parse::<Identifier>() {
                return Err((field, format!("{error}, since sql.table has it as a column")));
            }
        }
        Ok(())
    }
}
