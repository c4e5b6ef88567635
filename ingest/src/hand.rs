//! A partition in hand: what is made of its records, and what of it waits to be written.

use std::time::Instant;

use crate::config::Over;
use crate::event::{Decoded, Decoder};
use crate::mark::Mark;
use crate::marks::Grip;
use crate::metrics::Metrics;
use crate::out::{Batch, Letter, Letters, Raw, Reason, Record, Windows};
use crate::partition::{Partition, Verdict};
use crate::{Micros, timestamp};

mod silence;

use silence::Silence;

/// What waits beside windows is written once it is so large, in bytes.
const LARGE: usize = 4 << 20;

/// A partition in hand.
pub struct Hand {
    /// What its log makes of its events.
    pub partition: Partition,
    number: u32,
    /// Which one of this process's it is: what was on its way of an earlier one of the same partition is no concern of this.
    life: u64,
    letters: Letters,
    raw: Option<Raw>,
    /// None while a batch is on its way, and so a mark.
    grip: Option<Grip>,
    /// Bytes of the batch on its way.
    sent: usize,
    /// Since when something waits beside windows.
    waits_since: Option<Instant>,
    /// When the last batch was taken.
    taken: Option<Instant>,
    silence: Silence,
    /// Where the log ends, as far as is known.
    end: i64,
    /// Whether the client has given all that there was, and nothing since.
    has_all: bool,
}

impl Hand {
    /// A partition that was taken over. `end`: where its log ends.
    #[must_use]
    pub fn new(number: u32, partition: Partition, grip: Grip, archives: bool, end: i64) -> Self {
        Self {
            partition,
            number,
            life: grip.life(),
            letters: Letters::default(),
            raw: archives.then(Raw::default),
            grip: Some(grip),
            sent: 0,
            waits_since: None,
            taken: None,
            silence: Silence::default(),
            end,
            has_all: false,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Which one of this process's it is.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Takes a record.
    pub fn read(&mut self, decoder: &mut Decoder, record: &Record<'_>, metrics: &Metrics) {
        let Self { partition, letters, raw, .. } = self;
        let offset = record.offset;
        if offset < partition.position() {
            // The client gives each once; were it not so, nothing would count twice.
            return;
        }
        self.silence.end();
        self.has_all = false;
        partition.begin(offset);
        let behind = partition.is_behind(offset);
        if let Some(raw) = raw.as_mut().filter(|_| !behind) {
            raw.push(record);
        }
        // What was received stands with the first letter of its record: a record may hold very many.
        let mut first = true;
        decoder.decode(record.value.unwrap_or_default(), |index, decoded| {
            let mut dead = |reason: Reason, detail: &str| {
                if !behind {
                    metrics.dead_letter(reason);
                    let bare = Record { key: None, value: None, ..*record };
                    letters.push(&Letter { reason, detail, index, record: if first { *record } else { bare } });
                    first = false;
                }
            };
            match decoded {
                Decoded::Event(event) => match partition.event(offset, record.stamp, &event) {
                    Verdict::Counted => metrics.counted(),
                    Verdict::Durable => metrics.durable(),
                    Verdict::Late { watermark } => dead(Reason::Late, &late(event.time, watermark)),
                    Verdict::Future { stamp } => dead(Reason::Future, &future(event.time, stamp)),
                    Verdict::Duplicate => dead(Reason::Duplicate, "the sensor has an event for this time already"),
                },
                Decoded::Filtered => metrics.filtered(),
                Decoded::Malformed(why) => dead(Reason::Malformed, &why.to_string()),
            }
        });
        partition.end(offset);
    }

    fn side_bytes(&self) -> usize {
        self.letters.bytes() + self.raw.as_ref().map_or(0, Raw::bytes)
    }

    /// Whether nothing waits beside windows.
    fn is_clear(&self) -> bool {
        self.side_bytes() == 0
    }

    /// Bytes that are on their way, or wait beside windows.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.sent + self.side_bytes()
    }

    /// Whether a batch is on its way.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        self.grip.is_none()
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.partition.closes() || !self.is_clear()
    }

    /// Takes what is due, if anything is and nothing is on its way: closed windows at most twice a second, what waits beside them
    /// at most every ten seconds, or with them, or once it is large. `at_once`: all that there is.
    #[must_use]
    pub fn due(&mut self, now: Instant, at_once: bool) -> Option<(Batch, Mark, Grip)> {
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        let side = self.side_bytes();
        self.waits_since = if side == 0 { None } else { self.waits_since.or(Some(now)) };
        let waited = since(self.waits_since).is_some_and(|waited| waited.as_secs() >= 10);
        let rested = since(self.taken).is_none_or(|rested| rested.as_millis() >= 500);
        let due = (self.partition.closes() && rested) || side >= LARGE || waited || (at_once && self.has_work());
        if !due {
            return None;
        }
        let grip = self.grip.take()?;
        self.taken = Some(now);
        self.waits_since = None;
        let open = self.partition.open_bytes();
        let taken = self.partition.take();
        self.sent = side + open.saturating_sub(self.partition.open_bytes());
        let rules = self.partition.rules();
        let windows = match rules.over {
            Over::Partition => {
                Windows::Finished(taken.slices.into_iter().map(|slice| slice.finish(&rules.aggregates)).collect())
            }
            Over::Topic => Windows::Shares(taken.slices),
        };
        let raw = self.raw.as_mut().and_then(Raw::take);
        Some((Batch { windows, letters: self.letters.take(), raw }, taken.mark, grip))
    }

    /// The batch is durable, and so is its mark.
    pub fn written(&mut self, mark: Mark, grip: Grip) {
        self.partition.mark(mark);
        self.grip = Some(grip);
        self.sent = 0;
    }

    /// The client has given all that there is.
    pub fn has_all(&mut self) {
        self.has_all = true;
    }

    /// Where the log ends, as the client knows.
    pub fn ends(&mut self, end: Option<i64>) {
        self.end = end.unwrap_or(self.end).max(self.partition.position());
    }

    /// The broker has answered. `drained`: the client has fetched all.
    pub fn heard(&mut self, now: Instant, drained: bool) {
        if drained && self.has_all {
            // Be the last offsets those of the ends of transactions.
            self.end = self.partition.position();
            self.partition.caught_up();
        }
        match self.lag() > 0 {
            true => self.silence.end(),
            false => self.silence.heard(now),
        }
    }

    /// The broker has not answered, or nobody has looked: that is no silence.
    pub fn not_heard(&mut self) {
        self.silence.not_heard();
    }

    /// How many records there are yet to read.
    #[must_use]
    pub fn lag(&self) -> i64 {
        (self.end - self.partition.position()).max(0)
    }

    /// Whether it has read all that there is.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.silence.is_heard() && self.lag() == 0
    }

    /// Where to its watermark goes on for silence. Not while a mark is on its way.
    #[must_use]
    pub fn after_silence(&self) -> Option<Micros> {
        let silent = self.is_at_end() && !self.is_writing();
        silent.then(|| self.partition.after_silence(self.silence.length())).flatten()
    }

    /// Where to its watermark goes on if others are there. Not while a mark is on its way.
    #[must_use]
    pub fn after_others(&self, least: Micros) -> Option<Micros> {
        let at_end = self.is_at_end() && !self.is_writing();
        at_end.then(|| self.partition.after_others(least, self.silence.length())).flatten()
    }

    /// Has the watermark go on. The mark is to be written before anything else.
    #[must_use]
    pub fn jump(&mut self, to: Micros) -> Option<(Mark, Grip)> {
        let grip = self.grip.take()?;
        let clear = self.is_clear();
        Some((self.partition.jump(to, clear), grip))
    }
}

fn late(time: Micros, watermark: Micros) -> String {
    format!("of {}, and its window had ended when it came: the watermark was {}", timestamp(time), timestamp(watermark))
}

fn future(time: Micros, stamp: Option<Micros>) -> String {
    match stamp {
        Some(stamp) => format!(
            "of {}, further ahead than event.maxAhead of when the broker got it: {}",
            timestamp(time),
            timestamp(stamp)
        ),
        None => "the broker does not tell when it got it, so nobody can say whether its time is ahead".to_owned(),
    }
}
