//! Whether the world is, at a moment, as the oracle says.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::oracle::Policy;
use crate::plan::{DAWN, Planned, Second};
use crate::world::Seen;

/// The first thing about a schedule that is not, or not yet, as the oracle says.
pub(crate) fn differs(planned: &Planned, now: Second, seen: &Seen) -> Option<String> {
    let name = &planned.name;
    let Some(schedule) = seen.schedules.get(name) else { return Some(format!("{name} is not there")) };
    let Some(status) = &schedule.status else { return Some(format!("{name} has no status")) };
    let differs = |what: &str, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
        Some(format!("{name}: {what}: {found:?}; the oracle says {expected:?}"))
    };
    if status.observed_generation != schedule.metadata.generation {
        return differs("observedGeneration", &status.observed_generation, &schedule.metadata.generation);
    }
    let of_now = |at: Second| at <= now;
    let runs = seen.runs_of(name);
    let made: BTreeSet<Second> = runs.keys().copied().collect();
    let expected: BTreeSet<Second> = planned.runs().filter(|(_, at, _)| of_now(*at)).map(|(tick, ..)| tick).collect();
    if made != expected {
        let odd: Vec<_> =
            made.symmetric_difference(&expected).map(|tick| (shown(*tick), made.contains(tick))).collect();
        return Some(format!(
            "{name}: ticks that have a run (true), or have none (false), against the oracle: {odd:?}"
        ));
    }
    let last = planned.runs().filter(|(_, at, _)| of_now(*at)).map(|(_, at, _)| at).max();
    for (tick, at, end) in planned.runs().filter(|(_, at, _)| of_now(*at)) {
        let replaced = planned.rules.policy == Policy::Replace && Some(at) < last;
        let ended = runs.get(&tick).is_some_and(|run| run.ended);
        if ended != (replaced || of_now(end)) {
            return differs(&format!("the run of {} has ended", shown(tick)), &ended, &!ended);
        }
    }
    let missed: Vec<_> = planned.missed().filter(|(_, at, _)| of_now(*at)).collect();
    let latest = missed.iter().map(|(_, at, _)| *at).max();
    let latest: BTreeSet<_> =
        missed.iter().filter(|(_, at, _)| Some(*at) == latest).map(|(t, at, why)| (*t, *at, *why)).collect();
    let told = status.last_missed.as_ref();
    let told = told.map(|m| (m.tick.as_second(), m.time.map_or(0, Timestamp::as_second), m.reason.as_str()));
    if told.is_none_or(|told| !latest.contains(&told)) && (told.is_some() || !latest.is_empty()) {
        return differs("lastMissed", &told, &latest);
    }
    let gone: BTreeSet<Second> = missed.iter().map(|(tick, ..)| *tick).chain(made).collect();
    let due: Vec<Second> = planned.ticks.iter().copied().filter(|tick| of_now(tick + planned.rules.jitter)).collect();
    let waiting: Vec<Second> = due.iter().copied().filter(|tick| !gone.contains(tick)).collect();
    let found: Vec<Second> = status.waiting.iter().map(|tick| tick.as_second()).collect();
    if found != waiting {
        return differs("waiting", &found, &waiting);
    }
    let decided = status.decided_until.map_or(0, Timestamp::as_second);
    let last = due.last().copied().unwrap_or(DAWN);
    (decided < last).then(|| format!("{name}: decided until {}; the last tick was {}", shown(decided), shown(last)))
}

pub(crate) fn shown(second: Second) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |at| at.to_string())
}
