//! What memory may hold. Too much that waits to be written: nothing is read until it is. Too many open windows: once nothing is on
//! its way, the oldest of the largest partition close early.

use std::sync::atomic::AtomicBool;

use rdkafka::consumer::Consumer;

use super::Member;
use crate::config;

/// What memory may hold, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    open: usize,
    pending: usize,
}

impl Limits {
    pub(super) fn new(limits: config::Limits) -> Self {
        let bytes = |mib: u32| usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Self { open: bytes(limits.open_mib), pending: bytes(limits.pending_mib) }
    }
}

/// What the bytes that there are ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Read,
    Pause,
    Close,
    /// As it is.
    Nothing,
}

/// What is asked for. `writes`: something is on its way, or could be, that makes room.
fn wanted(limits: Limits, open: usize, pending: usize, writes: bool) -> Wanted {
    match () {
        () if pending > limits.pending || (open > limits.open && writes) => Wanted::Pause,
        () if open > limits.open => Wanted::Close,
        () if pending > limits.pending / 2 || (open > limits.open / 10 * 9 && writes) => Wanted::Nothing,
        () => Wanted::Read,
    }
}

impl Member {
    pub(super) fn keep_to_memory(&mut self, stop: &AtomicBool) {
        let open = self.hands.values().map(|hand| hand.partition.open_bytes()).sum();
        let pending = self.hands.values().map(crate::hand::Hand::pending_bytes).sum();
        let writes = self.hands.values().any(|hand| hand.is_writing() || hand.partition.closes());
        match wanted(self.limits, open, pending, writes) {
            Wanted::Nothing => {}
            Wanted::Read => self.pause(false),
            Wanted::Pause => self.pause(true),
            Wanted::Close => {
                self.pause(false);
                self.close_early(stop);
            }
        }
    }

    /// Closes the oldest windows of the partition that holds the most.
    fn close_early(&mut self, stop: &AtomicBool) {
        let can =
            self.hands.iter().filter_map(|(partition, hand)| Some((*partition, hand, hand.partition.after_oldest()?)));
        let largest = can.max_by_key(|(_, hand, _)| hand.partition.open_bytes());
        if let Some((partition, _, to)) = largest {
            tracing::warn!(
                partition,
                "limits.openMib is reached: the oldest windows close early, and what comes for them is late"
            );
            self.jump(&[(partition, to)], "Memory", stop);
        }
    }

    pub(super) fn pause(&mut self, pause: bool) {
        if self.paused == pause {
            return;
        }
        let consumer = &self.source.consumer;
        let done =
            consumer.assignment().and_then(|all| if pause { consumer.pause(&all) } else { consumer.resume(&all) });
        match done {
            Ok(()) => {
                self.paused = pause;
                self.metrics.paused.set(i64::from(pause));
            }
            Err(error) => tracing::warn!("reading cannot be paused or resumed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { open: 100, pending: 40 };

    #[test]
    fn nothing_is_read_while_too_much_waits_and_until_half_of_it_is_written() {
        assert_eq!(wanted(LIMITS, 0, 41, true), Wanted::Pause);
        assert_eq!(wanted(LIMITS, 0, 30, true), Wanted::Nothing);
        assert_eq!(wanted(LIMITS, 0, 20, true), Wanted::Read);
    }

    #[test]
    fn windows_close_early_only_when_no_write_would_make_room() {
        assert_eq!(wanted(LIMITS, 101, 0, true), Wanted::Pause);
        assert_eq!(wanted(LIMITS, 101, 0, false), Wanted::Close);
        assert_eq!(wanted(LIMITS, 95, 0, true), Wanted::Nothing);
        assert_eq!(wanted(LIMITS, 89, 0, true), Wanted::Read);
        assert_eq!(wanted(LIMITS, 95, 0, false), Wanted::Read, "nothing else would ever end the pause");
    }
}
