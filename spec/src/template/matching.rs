//! From a path back to the sensor whose path it is.

use std::collections::HashSet;

use super::{Part, is_dots, is_segment, may_stand_in_segment};
use crate::SensorKeys;

/// A search for values that give a path, the shortest first; where the text after a value stands in the path more than
/// once, or a key stands twice, the first try is not always the right one.
pub(super) struct Search<'a> {
    parts: &'a [Part],
    path: &'a str,
    bound: Vec<(&'a str, &'a str)>,
    /// Parts from here on do not look back at values: whether they give the rest of the path depends on nothing else.
    independent: usize,
    /// Whether values may be what no sensor's can.
    loose: bool,
    /// Places (part, byte of the path) from which independent parts did not give the rest of the path: with them, a path
    /// takes no more than its length squared.
    failed: HashSet<(usize, usize)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(parts: &'a [Part], path: &'a str) -> Self {
        let repeats = |at: &usize| matches!(&parts[*at], Part::Key(_)) && parts[..*at].contains(&parts[*at]);
        let independent = (0..parts.len()).rev().find(repeats).map_or(0, |last| last + 1);
        Self { parts, path, bound: Vec::new(), independent, loose: false, failed: HashSet::new() }
    }

    /// The same with values that no sensor can have, such as two dots, but for slashes.
    pub(super) fn loose(self) -> Self {
        Self { loose: true, ..self }
    }

    pub(super) fn sensor(mut self) -> Option<SensorKeys> {
        self.rest(0, 0).then(|| self.bound.into_iter().collect())
    }

    /// Whether the parts from one on give the path from a byte on.
    fn rest(&mut self, part: usize, from: usize) -> bool {
        let (parts, left) = (self.parts, &self.path[from..]);
        match parts.get(part) {
            None => left.is_empty(),
            Some(Part::Text(text)) => left.starts_with(text.as_str()) && self.rest(part + 1, from + text.len()),
            Some(Part::Key(key)) => {
                if let Some((_, value)) = self.bound.iter().find(|(known, _)| known == key) {
                    return left.starts_with(value) && self.rest(part + 1, from + value.len());
                }
                if self.failed.contains(&(part, from)) {
                    return false;
                }
                let found = match parts.get(part + 1) {
                    Some(Part::Text(next)) => self.value(key, part, from, next),
                    // Nothing follows: no two keys are adjacent.
                    _ => self.is_segment(left) && self.is(key, part, from, self.path.len()),
                };
                if !found && part >= self.independent {
                    self.failed.insert((part, from));
                }
                found
            }
        }
    }

    fn is_segment(&self, value: &str) -> bool {
        if self.loose { !value.is_empty() && !value.contains('/') } else { is_segment(value) }
    }

    /// Whether a value of the key that ends before the text gives the rest.
    fn value(&mut self, key: &'a str, part: usize, from: usize, next: &str) -> bool {
        let mut end = from;
        for c in self.path[from..].chars() {
            if !(if self.loose { c != '/' } else { may_stand_in_segment(c) }) {
                return false;
            }
            end += c.len_utf8();
            if self.path[end..].starts_with(next) && self.is(key, part, from, end) {
                return true;
            }
        }
        false
    }

    /// Whether the bytes up to `end` are the key's value, and the rest follows. They may all stand in a segment.
    fn is(&mut self, key: &'a str, part: usize, from: usize, end: usize) -> bool {
        let value = &self.path[from..end];
        if !self.loose && is_dots(value) {
            return false;
        }
        self.bound.push((key, value));
        let found = self.rest(part + 1, end);
        if !found {
            self.bound.pop();
        }
        found
    }
}
