//! Which of the ticks that are due starts a run now.

use jiff::Timestamp;

use super::{CatchUp, Due, Miss};

/// What to do when a tick is due and a run still goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Concurrency {
    /// The tick does not start another.
    #[default]
    Forbid,
    /// It starts another.
    Allow,
    /// It ends the one and starts another.
    Replace,
}

/// What is started, and what becomes of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The tick whose run is made.
    pub run: Option<Timestamp>,
    /// Whether the runs that go on are cancelled for it.
    pub replace: bool,
    /// The ticks that wait to be caught up, oldest first.
    pub waiting: Vec<Timestamp>,
    /// The ticks that will not run, oldest first.
    pub missed: Vec<(Timestamp, Miss)>,
}

/// Decides what starts. `busy`: whether a run of the schedule goes on, as the API server says now.
///
/// The present tick goes first, then those that wait, one after the other and the oldest first: catching up never holds up
/// the present. What waits starts only when no run goes on, whatever the policy.
#[must_use]
pub fn start(due: Due, busy: bool, concurrency: Concurrency, catch_up: CatchUp) -> Start {
    let Due { present, mut waiting, missed, suspended, invalid, .. } = due;
    let mut start = Start { missed, ..Start::default() };
    let mut put_off = |tick, most: usize| {
        waiting.push(tick);
        let gone = waiting.len().saturating_sub(most);
        start.missed.extend(waiting.drain(..gone).map(|tick| (tick, Miss::CatchUpLimit)));
    };
    match present {
        // It starts in time if the schedule is valid by then; also where nothing is caught up.
        Some(tick) if invalid => put_off(tick, catch_up.limit().max(1)),
        Some(tick) if !busy || concurrency != Concurrency::Forbid => {
            start.run = Some(tick);
            start.replace = busy && concurrency == Concurrency::Replace;
        }
        Some(tick) if catch_up == CatchUp::None => start.missed.push((tick, Miss::Forbidden)),
        // It waits its turn, which comes before all others' while it can start in time.
        Some(tick) => put_off(tick, catch_up.limit()),
        None if !busy && !suspended && !invalid && !waiting.is_empty() => start.run = Some(waiting.remove(0)),
        None => {}
    }
    start.waiting = waiting;
    start
}
