//! What was seen, as tables, and whether it is what was promised.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tests::histogram::Histogram;
use tests::shares;

use crate::pods::Pods;
use crate::setting::Setting;

/// How long it may take, in seconds, from a pod's end until the next one of its slot is on a node: the end is seen, the slot
/// given, a pod let go and bound.
const TURNOVER: f64 = 5.0;
/// The longest that a decision may take at the 99th percentile, in seconds.
const DECISION: f64 = 0.050;
/// Lines of the table of slots over time.
const LINES: u32 = 25;

pub(crate) struct Report {
    pub(crate) setting: Setting,
    pub(crate) tick: Timestamp,
    pub(crate) pods: Pods,
    pub(crate) nodes: Vec<Timestamp>,
    pub(crate) admitted: Vec<Timestamp>,
    /// The operator's, at the end.
    pub(crate) metrics: String,
}

/// A promise, what was measured, and whether that is good enough.
struct Verdict(&'static str, String, bool);

impl Report {
    fn shares(&self) -> shares::Setting {
        let Setting { runs, sensors, .. } = self.setting;
        shares::Setting { runs, items: sensors, slots: self.setting.slots(), turnover: TURNOVER }
    }

    fn after_tick(&self, times: &[Timestamp]) -> f64 {
        let last = times.iter().max().copied().unwrap_or(self.tick);
        last.duration_since(self.tick).as_secs_f64()
    }

    /// Prints it; returns whether every promise was kept.
    pub(crate) fn print(&self) -> bool {
        let setting = &self.setting;
        println!(
            "{} nodes of {} slots, {} runs of {} items, items of {} (mean {:.1} s)\n",
            setting.nodes,
            setting.per_node,
            setting.runs,
            setting.sensors,
            setting.item,
            self.mean()
        );
        self.print_slots();
        let (last_admitted, last_node) = (self.after_tick(&self.admitted), self.after_tick(&self.nodes));
        println!(
            "\nseconds after the tick: last run admitted {last_admitted:.0}, last of {} nodes Ready {last_node:.0}",
            self.nodes.len()
        );
        let mut verdicts = self.fairness(last_admitted.max(last_node));
        verdicts.extend([self.decision("Slots"), self.decision("Nodes")]);
        self.print_total(last_node);
        println!();
        for Verdict(promise, measured, kept) in &verdicts {
            println!("{promise:<62} | {measured:>44} | {}", if *kept { "pass" } else { "MISS" });
        }
        verdicts.iter().all(|Verdict(_, _, kept)| *kept)
    }

    /// How many slots runs had over time.
    fn print_slots(&self) {
        println!("{:>8} | {:>7} {:>7} {:>7} | {:>6}", "second", "in use", "least", "most", "ended");
        let end = self.end();
        for line in 0..=LINES {
            let moment = end * f64::from(line) / f64::from(LINES);
            let has = self.shares().at(&self.pods.events, moment);
            let ended = self.pods.events.iter().filter(|event| !event.begins && event.at <= moment).count();
            let (least, most) = (has.iter().min().unwrap_or(&0), has.iter().max().unwrap_or(&0));
            println!("{moment:>8.0} | {:>7} {least:>7} {most:>7} | {ended:>6}", has.iter().sum::<u32>());
        }
    }

    fn fairness(&self, from: f64) -> Vec<Verdict> {
        let (setting, longest) = (self.shares(), self.setting.longest());
        let seen = setting.judge(&self.pods.events, from);
        let reached =
            seen.reached.map_or("never".to_owned(), |after| format!("{after:.1} s, an item takes up to {longest} s"));
        println!(
            "from then until all items of a run are on nodes, {:.0} s after the tick: {:.1} of {} slots in use on average; \
             a run was within one slot of its {:.1} for {:.1} % of the time, at most {:.1} above and {:.1} below it",
            seen.until,
            seen.in_use,
            setting.slots,
            setting.part(),
            100.0 * seen.within,
            seen.above,
            seen.below
        );
        vec![
            Verdict(
                "fair shares, from when runs and nodes are there",
                reached,
                seen.reached.is_some_and(|after| after <= longest),
            ),
            Verdict(
                "no run more than one slot above its share, while all have work",
                format!("{:.1} above at most", seen.above),
                seen.reached.is_some() && seen.above <= 1.0,
            ),
            Verdict(
                "nor, for longer than a slot's turnover, more than one below",
                format!("fair for {:.1} % of the time", 100.0 * seen.fair),
                seen.reached.is_some() && seen.fair >= 1.0,
            ),
        ]
    }

    fn decision(&self, what: &'static str) -> Verdict {
        let label = format!("decision=\"{what}\"");
        let took = Histogram::read(&self.metrics, "batchscoring_pool_decision_seconds", &[&label]);
        let at = |share| took.quantile(share).unwrap_or(f64::NAN);
        let promise =
            if what == "Slots" { "decisions on slots, p99 under 50 ms" } else { "decisions on nodes, p99 under 50 ms" };
        let measured = format!("{} of them, p50 {:.1} ms, p99 {:.1} ms", took.count(), 1e3 * at(0.5), 1e3 * at(0.99));
        Verdict(promise, measured, at(0.99) < DECISION)
    }

    fn print_total(&self, from: f64) {
        let ideal = f64::from(self.setting.items()) / f64::from(self.setting.slots()) * self.mean();
        let took = self.end() - from;
        println!(
            "all {} items in {took:.0} s from the last node; {} items on {} slots without a gap would take {ideal:.0} s: {:.2} times that",
            self.setting.items(),
            self.setting.items(),
            self.setting.slots(),
            took / ideal
        );
    }

    /// Seconds that a pod ran, on average.
    fn mean(&self) -> f64 {
        self.pods.ran.iter().sum::<f64>() / f64::from(u32::try_from(self.pods.ran.len()).unwrap_or(u32::MAX))
    }

    /// When the last pod ended.
    fn end(&self) -> f64 {
        self.pods.events.last().map_or(0.0, |event| event.at)
    }

    /// Writes every second's slots of each run.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = "second".to_owned();
        for run in 0..self.setting.runs {
            write!(text, ",run_{run}")?;
        }
        let mut second = 0.0;
        while second <= self.end() {
            let has = self.shares().at(&self.pods.events, second);
            let has: Vec<String> = has.iter().map(u32::to_string).collect();
            write!(text, "\n{second},{}", has.join(","))?;
            second += 1.0;
        }
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }
}
