//! A partition: what its log makes of its events. Nothing here knows a clock or a broker: what was made once is made again, the
//! same, from a [`Mark`] and the log behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Micros;
use crate::event::Event;
use crate::mark::{Jump, MOST_JUMPS, Mark};
use crate::window::{Open, Origin, Rules, Slice, Stats};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts in its window.
    Counted,
    /// It counted in an earlier life, and its window is in the store.
    Durable,
    /// Its window had ended.
    Late {
        /// The watermark that it met.
        watermark: Micros,
    },
    /// Its time is too far ahead of when the broker got it, or the broker does not tell when.
    Future {
        /// When the broker got it.
        stamp: Option<Micros>,
    },
    /// Its sensor has an event for that time already.
    Duplicate,
}

/// A partition that is read.
#[derive(Debug)]
pub struct Partition {
    rules: Arc<Rules>,
    /// The next offset.
    position: i64,
    watermark: Option<Micros>,
    /// The watermark before the record that is read: a replay begins with whole records.
    entered: Option<Micros>,
    /// The watermark when the silence began: the clock goes on from it, once there were events.
    settled: Option<Micros>,
    events: bool,
    open: Open,
    /// As it stands in the store.
    marked: Mark,
    /// Records below this offset an earlier life may have judged, and written what came of them without getting to say so.
    judged: i64,
    /// Slices that end at or before this have been taken.
    taken: Option<Micros>,
    /// Jumps that open windows have seen, and those that a replay has yet to come to.
    seen: Vec<Jump>,
    ahead: VecDeque<Jump>,
}

/// What is to be written, and the mark that says so once it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Closed slices; none of them empty.
    pub slices: Vec<Slice<Stats>>,
    /// For when all is durable.
    pub mark: Mark,
}

impl Partition {
    /// Goes on from a mark. `log_end`: the offset behind the last record that there is now.
    #[must_use]
    pub fn resume(rules: Arc<Rules>, mark: Mark, log_end: i64) -> Self {
        let mut partition = Self {
            rules,
            position: mark.offset,
            watermark: mark.watermark,
            entered: mark.watermark,
            settled: None,
            events: mark.events,
            open: Open::default(),
            taken: mark.durable,
            seen: Vec::new(),
            ahead: mark.jumps.iter().copied().collect(),
            judged: log_end.max(mark.side),
            marked: mark,
        };
        partition.reach(partition.position);
        partition.settled = partition.watermark;
        partition
    }

    /// By which events are judged.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The next offset.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Windows that end at or before this get no more events.
    #[must_use]
    pub fn watermark(&self) -> Option<Micros> {
        self.watermark
    }

    /// As it stands in the store.
    #[must_use]
    pub fn marked(&self) -> &Mark {
        &self.marked
    }

    /// About how many bytes its open windows hold.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        self.open.bytes()
    }

    /// Whether dead letters and the archive of a record are in the store already.
    #[must_use]
    pub fn is_behind(&self, offset: i64) -> bool {
        offset < self.marked.side
    }

    /// Comes to a record: its events follow.
    #[inline]
    pub fn begin(&mut self, offset: i64) {
        self.reach(offset);
        self.entered = self.watermark;
    }

    /// Judges an event of the record at this offset. `stamp`: when the broker got the record.
    pub fn event(&mut self, offset: i64, stamp: Option<Micros>, event: &Event<'_>) -> Verdict {
        let Some(stamp) = stamp.filter(|stamp| event.time <= stamp.saturating_add(self.rules.max_ahead)) else {
            return Verdict::Future { stamp };
        };
        let end = self.rules.window(event.time).saturating_add(self.rules.length);
        if let Some(watermark) = self.watermark.filter(|watermark| end <= *watermark) {
            return Verdict::Late { watermark };
        }
        let verdict = match self.taken.filter(|taken| end <= *taken) {
            // By other rules than those of the earlier life, it may never have counted.
            Some(watermark) if !self.is_behind(offset) => return Verdict::Late { watermark },
            Some(_) => Verdict::Durable,
            None if self.open.add(&self.rules, Origin { offset, watermark: self.entered }, event) => Verdict::Counted,
            None => Verdict::Duplicate,
        };
        self.events = true;
        // A clock that is ahead, if within bounds, makes no other sensor's events late.
        let time = event.time.min(stamp);
        self.watermark = self.watermark.max(Some(time.saturating_sub(self.rules.lateness)));
        verdict
    }

    /// Leaves a record.
    #[inline]
    pub fn end(&mut self, offset: i64) {
        self.reach(offset.saturating_add(1));
        self.settled = self.watermark;
    }

    /// The end of the slices that are complete.
    fn complete(&self) -> Option<Micros> {
        self.watermark.map(|watermark| self.rules.slice(watermark))
    }

    /// Whether slices have become complete since the last were taken, be they empty.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.complete() > self.taken
    }

    /// Takes what is complete. What was taken before must be marked by now.
    pub fn take(&mut self) -> Taken {
        self.taken = self.taken.max(self.complete());
        let slices = self.taken.map_or_else(Vec::new, |until| self.open.close(&self.rules, until));
        let here = Origin { offset: self.position, watermark: self.watermark };
        let origin = self.open.origin().unwrap_or(here);
        // An origin's watermark is behind the jumps at its offset.
        self.seen.retain(|jump| jump.0 > origin.offset);
        let jumps = self.seen.iter().chain(&self.ahead).copied().collect();
        let Origin { offset, watermark } = origin;
        Taken {
            slices,
            mark: Mark {
                offset,
                watermark,
                durable: self.taken,
                side: self.position.max(self.marked.side),
                events: self.events,
                silent: self.is_silent(),
                joining: false,
                jumps,
            },
        }
    }

    /// A mark stands in the store.
    pub fn mark(&mut self, mark: Mark) {
        self.marked = mark;
    }

    /// Where to the watermark goes on after a silence of so many microseconds, if that completes a slice.
    #[must_use]
    pub fn after_silence(&self, silence: Micros) -> Option<Micros> {
        let on =
            self.settled.filter(|_| self.events)?.saturating_add(silence.saturating_sub(self.rules.idle_after).max(0));
        self.further(on)
    }

    /// Where to the watermark goes on if others that have events are there: of a partition that never had one, or that is silent. By
    /// the clock alone, one that is silent would be behind by each restart, and each time it waited to be sure.
    #[must_use]
    pub fn after_others(&self, least: Micros, silence: Micros) -> Option<Micros> {
        match self.events && silence < self.rules.idle_after {
            true => None,
            false => self.further(least),
        }
    }

    /// Whether the watermark is where it is without an event.
    fn is_silent(&self) -> bool {
        self.watermark > self.settled
    }

    /// All records up to here were seen, though the log may end later: with the ends of transactions, which nobody sees.
    pub fn caught_up(&mut self) {
        self.judged = self.judged.min(self.position);
    }

    fn further(&self, on: Micros) -> Option<Micros> {
        let on = self.rules.slice(on);
        (Some(on) > self.complete() && self.may_jump()).then_some(on)
    }

    /// Where to the watermark has to go so that the oldest slice closes early, for lack of memory.
    #[must_use]
    pub fn after_oldest(&self) -> Option<Micros> {
        self.further(self.open.oldest_end(&self.rules)?)
    }

    /// Not where an earlier life may have been: a replay that judges otherwise leaves what that life wrote.
    fn may_jump(&self) -> bool {
        self.position >= self.judged && self.seen.len() + self.ahead.len() < MOST_JUMPS
    }

    /// Has the watermark go on here, without an event. The mark that this gives must stand in the store before anything else
    /// happens to the partition, since a replay is to do the same; nothing that was taken may be without its mark.
    ///
    /// `clear`: there is no dead letter and nothing for the archive that is not in the store.
    #[must_use]
    pub fn jump(&mut self, to: Micros, clear: bool) -> Mark {
        match self.seen.last_mut() {
            Some(last) if last.0 == self.position => last.1 = last.1.max(to),
            _ => self.seen.push(Jump(self.position, to)),
        }
        self.watermark = self.watermark.max(Some(to));
        if clear && self.open.is_empty() {
            return self.take().mark;
        }
        Mark { jumps: self.seen.iter().chain(&self.ahead).copied().collect(), ..self.marked.clone() }
    }

    /// The next offset is this one: jumps up to it are made.
    #[inline]
    fn reach(&mut self, position: i64) {
        self.position = position;
        while let Some(jump) = self.ahead.front().copied().filter(|jump| jump.0 <= position) {
            self.ahead.pop_front();
            self.watermark = self.watermark.max(Some(jump.1));
            self.seen.push(jump);
        }
    }
}

#[cfg(test)]
mod tests;
