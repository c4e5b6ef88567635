//! The workloads, and by how much their times are scaled down.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};

/// What is run at each tick, on all sides. Times are those of the real thing; all are divided by `scale`.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) period: Duration,
    /// How long each pod takes.
    pub(crate) item: Duration,
    /// From when a node is asked for until it is there.
    pub(crate) provisioning: Duration,
    /// Pods of a tick, each of which fills a node.
    pub(crate) pods: u32,
    pub(crate) scale: u32,
    /// Ticks that count, after the first few.
    pub(crate) ticks: u32,
}

const MINUTE: u64 = 60;
/// So many first ticks do not count: with them the operator learns what a node has, how long nodes take and how many pods come.
/// Its very first run takes longer than five minutes.
pub(crate) const UNCOUNTED: u32 = 3;

/// Both, at the scale and for as many ticks as the variables SCALE and TICKS say.
pub(crate) fn all() -> Result<Vec<Workload>> {
    let (item, provisioning) = (Duration::from_secs(2 * MINUTE), Duration::from_secs(2 * MINUTE));
    let hourly = Workload {
        name: "hourly",
        period: Duration::from_secs(60 * MINUTE),
        item,
        provisioning,
        pods: 20,
        scale: 10,
        ticks: 3,
    };
    let often =
        Workload { name: "five-minutes", period: Duration::from_secs(5 * MINUTE), scale: 1, ticks: 4, ..hourly };
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().context(text)).transpose();
    let (scale, ticks) = (asked("SCALE")?, asked("TICKS")?);
    [hourly, often]
        .into_iter()
        .map(|all| Workload { scale: scale.unwrap_or(all.scale), ticks: ticks.unwrap_or(all.ticks), ..all })
        .map(|one| one.check().map(|()| one))
        .collect()
}

impl Workload {
    /// Schedules tick at whole minutes, and Karpenter takes whole seconds.
    fn check(&self) -> Result<()> {
        let whole = |time: Duration, unit: u64| time.as_secs().is_multiple_of(u64::from(self.scale) * unit);
        ensure!(self.scale > 0, "SCALE=0");
        ensure!(
            whole(self.period, MINUTE),
            "{}: a period of {:?} / {} is no whole minute",
            self.name,
            self.period,
            self.scale
        );
        for time in [self.item, self.provisioning, Duration::from_secs(30)] {
            ensure!(whole(time, 1), "{}: {time:?} / {} is no whole second", self.name, self.scale);
        }
        Ok(())
    }

    /// A time as it is here.
    pub(crate) fn scaled(&self, time: Duration) -> Duration {
        time / self.scale
    }

    fn minutes(&self) -> u64 {
        self.scaled(self.period).as_secs() / MINUTE
    }

    pub(crate) fn cron(&self) -> String {
        format!("*/{} * * * *", self.minutes())
    }

    /// The first tick after a moment.
    pub(crate) fn first_tick(&self, after: Timestamp) -> Result<Timestamp> {
        let period = i64::try_from(self.scaled(self.period).as_secs())?;
        Ok(Timestamp::from_second((after.as_second() / period + 1) * period)?)
    }

    pub(crate) fn tick(&self, first: Timestamp, number: u32) -> Timestamp {
        let period = SignedDuration::try_from(self.scaled(self.period)).unwrap_or(SignedDuration::ZERO);
        first + period * i32::try_from(number).unwrap_or(i32::MAX)
    }

    /// From when until when nodes count: as many whole periods as there are ticks that count, each with what comes before its
    /// tick.
    pub(crate) fn counted(&self, first: Timestamp) -> (Timestamp, Timestamp) {
        let half = SignedDuration::try_from(self.scaled(self.period) / 2).unwrap_or(SignedDuration::ZERO);
        (self.tick(first, UNCOUNTED) - half, self.tick(first, UNCOUNTED + self.ticks) - half)
    }
}
