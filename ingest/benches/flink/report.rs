//! What each side took, and whether it is what was promised.

use crate::took::Took;

/// How many times Flink's events per second per core ours are, at least.
const FASTER: f64 = 3.0;
/// Which part of Flink's memory ours is, at most.
const SMALLER: f64 = 1.0 / 5.0;
/// By how much twice the partitions and replicas have to bring more events per second, where each has the same limit.
const GROWS: f64 = 1.6;
/// A smaller heap of Java's counts unless it costs more than this of the events per second per core.
const KEEPS: f64 = 0.95;

/// A side with so many partitions.
pub(crate) struct Run {
    pub(crate) label: String,
    pub(crate) partitions: u64,
    pub(crate) took: Took,
    /// How its output differs from a batch's over all events.
    pub(crate) differs: Option<String>,
}

/// All that was run.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) events: f64,
    /// With each heap, from the smallest on.
    pub(crate) theirs: Vec<Run>,
    pub(crate) ours: Vec<Run>,
    /// Each replica with a limit on processors.
    pub(crate) limited: Vec<Run>,
}

/// A promise, what was measured, and whether that is good enough.
struct Verdict(String, String, bool);

impl Report {
    /// Prints it; returns whether every promise was kept.
    pub(crate) fn print(&self) -> bool {
        println!("\n{:<56} | {:>10} {:>6} {:>14} | {:>8}", "", "events/s", "cores", "events/s/core", "MiB");
        for run in self.theirs.iter().chain(&self.ours).chain(&self.limited) {
            let Run { label, took, .. } = run;
            println!(
                "{label:<56} | {:>10.0} {:>6.2} {:>14.0} | {:>8.1}",
                took.per_second(self.events),
                took.cores(),
                took.per_core(self.events),
                took.peak
            );
        }
        println!();
        let verdicts = self.verdicts();
        for Verdict(promise, measured, kept) in &verdicts {
            println!("{promise:<62} | {measured:>44} | {}", if *kept { "pass" } else { "MISS" });
        }
        for run in self.theirs.iter().chain(&self.ours).chain(&self.limited) {
            if let Some(differs) = &run.differs {
                println!("{}: {differs}", run.label);
            }
        }
        verdicts.iter().all(|Verdict(_, _, kept)| *kept)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for ours in &self.ours {
            let partitions = ours.partitions;
            let Some(theirs) = self.smallest(partitions) else { continue };
            let faster = ours.took.per_core(self.events) / theirs.took.per_core(self.events);
            verdicts.push(Verdict(
                format!("partitions: {partitions}; 3 times Flink's events/s per core"),
                format!("{faster:.2} times"),
                faster >= FASTER,
            ));
            let part = ours.took.peak / theirs.took.peak;
            verdicts.push(Verdict(
                format!("partitions: {partitions}; a fifth of Flink's memory"),
                format!("{:.1} of {:.0} MiB, 1/{:.1}", ours.took.peak, theirs.took.peak, 1.0 / part),
                part <= SMALLER,
            ));
        }
        for pair in self.limited.windows(2) {
            let [fewer, more] = pair else { continue };
            let [few, many] = [fewer, more].map(|run| run.took.per_second_settled(self.events));
            let grows = many / few;
            verdicts.push(Verdict(
                format!("{} replicas in place of {}, limited: more events/s", more.partitions, fewer.partitions),
                format!("{few:.0} to {many:.0}, {grows:.2} times"),
                grows >= GROWS,
            ));
        }
        let all = self.theirs.iter().chain(&self.ours).chain(&self.limited);
        let differ = all.clone().filter(|run| run.differs.is_some()).count();
        verdicts.push(Verdict(
            "equal output: Flink's, ours, and a batch's over all events".to_owned(),
            format!("{differ} of {} runs differ", all.count()),
            differ == 0,
        ));
        verdicts
    }

    /// Flink's with the smallest heap that costs it no speed.
    fn smallest(&self, partitions: u64) -> Option<&Run> {
        let of = || self.theirs.iter().filter(move |run| run.partitions == partitions);
        let best = of().map(|run| run.took.per_core(self.events)).max_by(f64::total_cmp)?;
        of().find(|run| run.took.per_core(self.events) >= KEEPS * best)
    }
}
