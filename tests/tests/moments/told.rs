//! What people were told of missed ticks: each once, by an event, and none that has a run.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use tests::control_plane::NAMESPACE;

use crate::diary::shown;
use crate::plan::{Planned, Second};

/// Compares the events with the oracle's misses. Of suspended schedules nothing is told.
pub(crate) async fn check(client: &Client, all: &[Planned]) -> Result<usize> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    let missed = ListParams::default().fields("reason=MissedTick");
    let mut told = BTreeMap::<(String, Second, String), u64>::new();
    for event in events.list(&missed).await?.items {
        let name = event.regarding.as_ref().and_then(|about| about.name.clone()).unwrap_or_default();
        let planned = all.iter().find(|planned| planned.name == name);
        let planned = planned.with_context(|| format!("an event tells of a miss of {name}"))?;
        let times = event.series.as_ref().map_or(1, |series| u64::try_from(series.count).unwrap_or(0));
        let (ticks, why) = ticks(&event, planned)?;
        for tick in ticks {
            *told.entry((name.clone(), tick, why.clone())).or_default() += times;
        }
    }
    let mut wrong = Vec::new();
    for planned in all {
        for (tick, _, why) in planned.missed().filter(|(.., why)| *why != "Suspended") {
            let times = told.remove(&(planned.name.clone(), tick, why.to_owned())).unwrap_or(0);
            if times != 1 {
                wrong.push(format!("{}: the miss of {} ({why}) is told {times} times", planned.name, shown(tick)));
            }
        }
    }
    wrong.extend(
        told.keys().map(|(name, tick, why)| format!("{name}: {} is told as {why}, and was not missed", shown(*tick))),
    );
    ensure!(wrong.is_empty(), "{} misses are not told once:\n  {}", wrong.len(), wrong.join("\n  "));
    Ok(all.iter().flat_map(Planned::missed).filter(|(.., why)| *why != "Suspended").count())
}

/// The ticks that an event tells of, and why they were missed: `no run for <tick>: …`, or `no run for 3 ticks from <tick> to
/// <tick>: …`.
fn ticks(event: &Event, planned: &Planned) -> Result<(Vec<Second>, String)> {
    let note = event.note.clone().unwrap_or_default();
    let why: String = event.action.iter().flat_map(|action| action.chars()).filter(char::is_ascii_alphabetic).collect();
    let words: Vec<&str> = note.split(' ').map(|word| word.trim_end_matches(':')).collect();
    let time = |word: &str| word.parse::<Timestamp>().map(Timestamp::as_second).with_context(|| note.clone());
    let ticks = match words.as_slice() {
        ["no", "run", "for", count, "ticks", "from", first, "to", last, ..] => {
            let span = time(first)?..=time(last)?;
            let of_span = planned.missed().filter(|(tick, _, of)| span.contains(tick) && *of == why);
            let ticks: Vec<Second> = of_span.map(|(tick, ..)| tick).collect();
            ensure!(ticks.len().to_string() == *count, "{}: {note}; the oracle says {}", planned.name, ticks.len());
            ticks
        }
        ["no", "run", "for", tick, ..] => vec![time(tick)?],
        _ => anyhow::bail!("{}: {note}", planned.name),
    };
    Ok((ticks, why))
}
