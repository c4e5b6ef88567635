//! The runs of schedules, as demand.

use jiff::{SignedDuration, Timestamp};

use super::Setting;
use super::demand::{Demand, Shape};
use super::dice::Dice;
use crate::ticks::Ticks;

/// More runs than this are not simulated.
pub const MAX_RUNS: usize = 2_000_000;

/// A schedule.
#[derive(Clone, Debug)]
pub struct Recurring<'a> {
    /// When it is due.
    pub ticks: &'a Ticks,
    /// How long after its ticks its runs start.
    pub jitter: SignedDuration,
    /// A tick that comes while a run goes on has none.
    pub exclusive: bool,
    /// What its runs are like.
    pub shape: Shape,
}

/// What became of a schedule's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// So many have a run.
    pub runs: u32,
    /// So many have none, as the run before goes on even at best.
    pub missed: u32,
}

/// There are more runs than can be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_RUNS} runs; simulate fewer days")]
pub struct TooManyRuns;

impl Setting {
    /// How long a run takes from its tick to its last pod's end where all nodes there may be are ready and its own, in
    /// seconds; `None`: its pods fit onto no node.
    #[must_use]
    pub fn at_best(&self, shape: &Shape) -> Option<i64> {
        let slots = u64::from(self.capacity.fits(&shape.request)) * u64::from(self.max_nodes);
        let waves = i64::try_from(u64::from(shape.pods).checked_div(slots)?).ok()?
            + i64::from(!u64::from(shape.pods).is_multiple_of(slots));
        Some((self.pod_start + shape.lasts).saturating_mul(waves).saturating_add(self.planning))
    }
}

impl Demand {
    /// The runs of a schedule for its ticks after `from`, up to the demand's end. Second 0 is `from`.
    ///
    /// Which ticks are missed is told by how long runs take at best, so that every policy has the same runs.
    ///
    /// # Errors
    /// When there are too many.
    pub fn recur(
        &mut self,
        from: Timestamp,
        schedule: &Recurring,
        setting: &Setting,
        dice: &mut Dice,
    ) -> Result<Ticked, TooManyRuns> {
        let at_best = setting.at_best(&schedule.shape).unwrap_or(0);
        let (mut ticked, mut tick, mut free) = (Ticked::default(), from, i64::MIN);
        while let Some(next) = schedule.ticks.after(tick) {
            tick = next;
            let at = next.duration_since(from).saturating_add(schedule.jitter).as_secs();
            if at > self.end {
                break;
            }
            if schedule.exclusive && at < free {
                ticked.missed += 1;
                continue;
            }
            if self.jobs.len() == MAX_RUNS {
                return Err(TooManyRuns);
            }
            free = at.saturating_add(at_best);
            ticked.runs += 1;
            self.add(at, &schedule.shape, true, dice);
        }
        Ok(ticked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Resources;

    fn cores(cpu: &str) -> Resources {
        Resources::parse([("cpu", cpu)]).unwrap()
    }

    fn ticked(cron: &str, pods: u32, lasts: i64, exclusive: bool, jitter: i64) -> (Ticked, Vec<i64>) {
        let from: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let ticks = Ticks::parse(cron, None, from).unwrap();
        let shape = Shape { request: cores("1"), pods, lasts, spread: 10 };
        let mut demand = Demand::lasting(6 * 3_600);
        let schedule = Recurring { ticks: &ticks, jitter: SignedDuration::from_secs(jitter), exclusive, shape };
        let setting = Setting::new(cores("4"), 2, 60.0);
        let ticked = demand.recur(from, &schedule, &setting, &mut Dice::new(1)).unwrap();
        (ticked, demand.jobs.iter().map(|job| job.at).collect())
    }

    #[test]
    fn each_tick_after_the_start_has_a_run_jitter_later() {
        let (hourly, at) = ticked("@hourly", 3, 60, true, 90);
        assert_eq!(hourly, Ticked { runs: 5, missed: 0 });
        assert_eq!(at[..2], [3_690, 7_290]);
        assert_eq!(ticked("@hourly", 3, 60, true, 0).0.runs, 6);
    }

    #[test]
    fn a_tick_during_a_run_is_missed_unless_runs_may_overlap() {
        // Eight slots: 20 pods are three waves of 40 minutes.
        assert_eq!(ticked("@hourly", 20, 2_400, true, 0).0, Ticked { runs: 2, missed: 4 });
        assert_eq!(ticked("@hourly", 20, 2_400, false, 0).0, Ticked { runs: 6, missed: 0 });
    }

    #[test]
    fn pods_that_fit_onto_no_node_have_no_best() {
        let setting = Setting::new(cores("4"), 2, 60.0);
        let shape = |cpu, pods| Shape { request: cores(cpu), pods, lasts: 100, spread: 0 };
        assert_eq!(setting.at_best(&shape("5", 1)), None);
        assert_eq!(setting.at_best(&shape("1", 9)), Some(5 + 2 * 102));
    }
}
