//! What a pool's nodes have to do: all runs of its schedules, or of a trace.

use planner::simulate::report::count;
use planner::simulate::trace::Trace;
use planner::simulate::{Demand, Dice, Recurring, Setting, StoreRequests, StoreUse, Ticked};
use spec::Span;

use super::args::Arguments;
use super::error::SimulateError;
use super::pool::{Pool, too_large};
use super::runs::Packed;

/// The most pods put onto nodes, those of a run that come to one node as one.
const MAX_PLACED: u64 = 20_000_000;
/// So many times the nodes that there may be can be needed: more would only wait.
const MAX_LOAD: i128 = 3;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// No backlog may take longer than this.
const MAX_LENGTH: i128 = 3_660 * 86_400;

/// What a pool's nodes have to do.
pub(super) struct Load<'a> {
    pub(super) setting: Setting,
    pub(super) packed: Vec<Packed<'a>>,
    pub(super) demand: Demand,
    /// What became of the ticks of each of its works.
    pub(super) ticked: Vec<Ticked>,
    pub(super) requests: StoreRequests,
    pub(super) notes: Vec<String>,
}

impl Pool {
    /// All its runs, with pods as they are set or with so many threads.
    pub(super) fn load(
        &self,
        setting: Setting,
        threads: Option<u32>,
        arguments: &Arguments,
    ) -> Result<Load<'_>, SimulateError> {
        let wrong = |why: String| SimulateError::Pool { pool: self.name.clone(), why };
        if setting.max_nodes == 0 {
            return Err(match &self.cluster {
                Some(found) => found.wrong("spec.maxNodes", "with 0 nodes nothing is ever scored").into(),
                None => wrong("with 0 nodes nothing is ever scored".to_owned()),
            });
        }
        let packed = self.packed(&setting, threads);
        if let Some((large, why)) = too_large(&packed, &setting) {
            let why = format!("a pod {why}");
            return Err(match &large.work.found {
                Some((found, _)) => found.wrong("spec.scorer.resources", why).into(),
                None => wrong(why),
            });
        }
        let mut load = match &self.trace {
            Some(trace) => self.of_trace(trace, setting, packed, arguments),
            None => self.of_schedules(setting, packed, arguments)?,
        };
        self.bounded(&mut load)?;
        Ok(load)
    }

    fn of_schedules<'a>(
        &'a self,
        setting: Setting,
        packed: Vec<Packed<'a>>,
        arguments: &Arguments,
    ) -> Result<Load<'a>, SimulateError> {
        let mut demand = Demand::lasting(i64::from(arguments.days.unwrap_or(super::DAYS)) * DAY);
        let mut dice = Dice::new(arguments.seed);
        let (mut ticked, mut requests, mut notes) = (Vec::new(), StoreRequests::default(), self.notes());
        for Packed { work, shape, store, .. } in &packed {
            let Some((_, ticks)) = work.found.as_ref().filter(|_| !work.suspended) else {
                notes.push(format!("{} is suspended: it has no runs", work.name));
                ticked.push(Ticked::default());
                continue;
            };
            let schedule = Recurring { ticks, jitter: work.jitter, exclusive: work.exclusive, shape: shape.clone() };
            let told = demand
                .recur(arguments.start, &schedule, &setting, &mut dice)
                .map_err(|source| SimulateError::Runs { pool: self.name.clone(), source })?;
            let at_best = Span::from_secs(u64::try_from(setting.at_best(shape).unwrap_or(0)).unwrap_or(0));
            if told.missed > 0 {
                let ticks = told.missed + told.runs;
                notes.push(format!(
                    "{} misses {} of {ticks} ticks: a run takes {at_best} at best, and no other begins meanwhile",
                    work.name, told.missed
                ));
            }
            if at_best > work.deadline {
                notes.push(format!(
                    "a run of {} takes {at_best} at best, longer than its deadline, {}; it is simulated to its end",
                    work.name, work.deadline
                ));
            }
            requests = requests.plus(store.of_run().times(told.runs.into()));
            ticked.push(told);
        }
        Ok(Load { setting, packed, demand: demand.sorted(), ticked, requests, notes })
    }

    fn of_trace<'a>(
        &'a self,
        trace: &Trace,
        setting: Setting,
        packed: Vec<Packed<'a>>,
        arguments: &Arguments,
    ) -> Load<'a> {
        let end = arguments.days.map(|days| i64::from(days) * DAY);
        let rows = trace.rows.iter().filter(|row| end.is_none_or(|end| row.at <= end));
        let mut demand = Demand::lasting(end.unwrap_or(0));
        let mut dice = Dice::new(arguments.seed);
        let (mut requests, mut runs) = (StoreRequests::default(), 0);
        for (packed, row) in packed.iter().flat_map(|packed| rows.clone().map(move |row| (packed, row))) {
            let shape = packed.of_run(row.sensors, row.seconds);
            demand.end = demand.end.max(row.at + shape.lasts);
            demand.add(row.at, &shape, arguments.foretold, &mut dice);
            requests = requests.plus(StoreUse { sensors: row.sensors.into(), ..packed.store }.of_run());
            runs += 1;
        }
        let left_out = trace.rows.len() - rows.count();
        let mut notes = self.notes();
        let mut tell = |rows: usize, why: &str| {
            if rows > 0 {
                notes.push(format!("{rows} rows of the trace {why}"));
            }
        };
        tell(trace.empty, "have no sensors, and are no runs");
        tell(left_out, "are later than --days");
        if !trace.seconds_assumed && !arguments.seconds_per_sensor.is_empty() {
            notes.push("--seconds-per-sensor is not used: the trace says how long sensors take".to_owned());
        }
        Load { setting, packed, demand: demand.sorted(), ticked: vec![Ticked { runs, missed: 0 }], requests, notes }
    }

    /// Refuses what would take for ever.
    fn bounded(&self, load: &mut Load) -> Result<(), SimulateError> {
        let wrong = |why: String| SimulateError::Pool { pool: self.name.clone(), why };
        let (setting, demand) = (&load.setting, &load.demand);
        let most = i128::from(setting.max_nodes);
        let (mut placed, mut busy) = (0_u64, 0_i128);
        for (at, job) in demand.jobs.iter().enumerate() {
            let slots = demand.requests.get(job.kind).map_or(1, |request| setting.capacity.fits(request)).max(1);
            placed = placed.saturating_add(job.pods.div_ceil(slots).into());
            busy += i128::from(job.pods) * i128::from(job.lasts + setting.pod_start) / i128::from(slots);
            if placed <= MAX_PLACED && busy / most <= MAX_LENGTH {
                continue;
            }
            // The runs of a trace are its rows, both in the order of time.
            let row = self.trace.as_ref().and_then(|trace| trace.rows.get(at)).zip(load.packed.first());
            return Err(match row {
                Some((row, packed)) => SimulateError::Row {
                    path: packed.work.name.clone(),
                    line: row.line,
                    why: format!(
                        "{} sensors of {} s, and the rows before, keep {most} nodes busy for more than ten years, or are \
                         too many pods to simulate; take fewer or shorter ones, more --sensors-per-pod, or more nodes",
                        count(row.sensors.into()),
                        row.seconds
                    ),
                },
                None => wrong("there are too many pods to simulate; simulate fewer days or sensors".to_owned()),
            });
        }
        let length = i128::from(demand.end.max(1));
        let wanted = busy.div_euclid(length) + 1;
        let told = format!("need {wanted} nodes all the time, and there are {most} at most (maxNodes)");
        if self.trace.is_none() && busy > MAX_LOAD * most * length {
            return Err(wrong(format!("its runs {told}: they would only pile up")));
        }
        if busy > most * length {
            load.notes.push(format!("pool {}: its runs {told}: they pile up", self.name));
        }
        Ok(())
    }
}
