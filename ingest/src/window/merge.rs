//! Windows of several partitions, put together.

use std::collections::BTreeMap;

use hashbrown::hash_map::Entry;

use super::open::{Sensors, rows};
use super::{Row, Slice, Stats};
use crate::Micros;

/// A slice of several partitions. Equal shares in an equal order give equal rows, to the last bit.
#[derive(Debug, Default)]
pub struct Merge {
    windows: BTreeMap<Micros, Sensors>,
}

impl Merge {
    /// Takes what a partition has.
    pub fn add(&mut self, share: Slice<Stats>) {
        for Row { start, sensor, values } in share.rows {
            match self.windows.entry(start).or_default().entry(sensor) {
                Entry::Occupied(mut found) => found.get_mut().merge(values),
                Entry::Vacant(free) => drop(free.insert(values)),
            }
        }
    }

    /// What all of them have.
    #[must_use]
    pub fn finish(self, start: Micros) -> Slice<Stats> {
        Slice { start, rows: rows(self.windows) }
    }
}
