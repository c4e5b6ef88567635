//! The windows of a partition that may still get events.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Row, Rules, Slice, Stats};
use crate::Micros;
use crate::event::Event;

/// Where in a partition's log a slice begins: from here on it can be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The offset of a record.
    pub offset: i64,
    /// The watermark before that record.
    pub watermark: Option<Micros>,
}

/// The windows of a partition that may still get events, by slices.
#[derive(Debug, Default)]
pub struct Open {
    slices: BTreeMap<Micros, OpenSlice>,
    bytes: usize,
}

/// What a window has of each sensor.
pub(super) type Sensors = HashMap<Box<[u8]>, Stats, FixedState>;

#[derive(Debug)]
struct OpenSlice {
    origin: Origin,
    windows: BTreeMap<Micros, Sensors>,
    bytes: usize,
}

/// A sensor of a window takes its key, its numbers, and room in the map.
const ENTRY: usize = size_of::<(Box<[u8]>, Stats)>() + 24;

impl Open {
    /// Takes an event of the record at `origin`; false where it is a duplicate that does not count.
    pub fn add(&mut self, rules: &Rules, origin: Origin, event: &Event<'_>) -> bool {
        let slice = self.slices.entry(rules.slice(event.time)).or_insert_with(|| OpenSlice {
            origin,
            windows: BTreeMap::new(),
            bytes: 0,
        });
        let window = slice.windows.entry(rules.window(event.time)).or_default();
        let (counted, grown) = match window.get_mut(event.sensor) {
            Some(stats) => {
                let before = stats.kept_bytes();
                let counted = stats.add(rules, event.time, event.value);
                (counted, stats.kept_bytes() - before)
            }
            None => {
                let mut stats = Stats::new(rules);
                let counted = stats.add(rules, event.time, event.value);
                let bytes = ENTRY + event.sensor.len() + stats.kept_bytes();
                window.insert(event.sensor.into(), stats);
                (counted, bytes)
            }
        };
        slice.bytes += grown;
        self.bytes += grown;
        counted
    }

    /// About how many bytes they hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// When the oldest slice ends.
    #[must_use]
    pub fn oldest_end(&self, rules: &Rules) -> Option<Micros> {
        self.slices.keys().next().map(|start| start.saturating_add(rules.every))
    }

    /// The least origin of them all.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.slices.values().map(|slice| slice.origin).min_by_key(|origin| origin.offset)
    }

    /// Closes what ends at or before a time.
    pub fn close(&mut self, rules: &Rules, until: Micros) -> Vec<Slice<Stats>> {
        let mut closed = Vec::new();
        while self.oldest_end(rules).is_some_and(|end| end <= until)
            && let Some((start, slice)) = self.slices.pop_first()
        {
            self.bytes -= slice.bytes;
            closed.push(Slice { start, rows: rows(slice.windows) });
        }
        closed
    }
}

/// The rows of windows, by window and then sensor.
pub(super) fn rows(windows: BTreeMap<Micros, Sensors>) -> Vec<Row<Stats>> {
    let mut rows = Vec::with_capacity(windows.values().map(Sensors::len).sum());
    for (start, sensors) in windows {
        let begin = rows.len();
        rows.extend(sensors.into_iter().map(|(sensor, values)| Row { start, sensor, values }));
        rows[begin..].sort_unstable_by(|one: &Row<Stats>, other| one.sensor.cmp(&other.sensor));
    }
    rows
}
