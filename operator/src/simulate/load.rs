//! What a pool's nodes have to do: all runs of its schedules, or of a trace.

use planner::simulate::trace::Trace;
use planner::simulate::{Demand, Dice, Recurring, Setting, StoreRequests, StoreUse, Ticked};
use spec::Span;

use super::args::Arguments;
use super::error::SimulateError;
use super::output;
use super::pool::Pool;
use super::runs::{at_a_time, shape};

/// The most pods put onto nodes, those of a run that come to one node as one.
const MAX_PLACED: u64 = 20_000_000;
/// So many times the nodes that there may be can be needed: more would only wait.
const MAX_LOAD: i128 = 3;
/// No backlog may take longer than this.
const MAX_LENGTH: i128 = 3_660 * 86_400;

/// What a pool's nodes have to do.
pub(super) struct Load {
    pub(super) setting: Setting,
    pub(super) demand: Demand,
    /// What became of the ticks of each of its works.
    pub(super) ticked: Vec<Ticked>,
    pub(super) requests: StoreRequests,
    pub(super) notes: Vec<String>,
}

impl Pool {
    /// All its runs.
    pub(super) fn load(&self, setting: Setting, arguments: &Arguments) -> Result<Load, SimulateError> {
        let wrong = |why: String| SimulateError::Pool { pool: self.name.clone(), why };
        if setting.max_nodes == 0 {
            return Err(match &self.cluster {
                Some(found) => found.wrong("spec.maxNodes", "with 0 nodes nothing is ever scored").into(),
                None => wrong("with 0 nodes nothing is ever scored".to_owned()),
            });
        }
        if let Some(work) = self.too_large(&setting) {
            let why = format!(
                "a pod asks for {}, and a node has {}",
                output::amounts(&work.shape.request),
                output::amounts(&setting.capacity)
            );
            return Err(match &work.found {
                Some((found, _)) => found.wrong("spec.scorer.resources", why).into(),
                None => wrong(why),
            });
        }
        let mut load = match &self.trace {
            Some(trace) => self.of_trace(trace, setting, arguments),
            None => self.of_schedules(setting, arguments)?,
        };
        self.bounded(&mut load)?;
        Ok(load)
    }

    fn of_schedules(&self, setting: Setting, arguments: &Arguments) -> Result<Load, SimulateError> {
        let mut demand = Demand::lasting(i64::from(arguments.days.unwrap_or(super::DAYS)) * 86_400);
        let mut dice = Dice::new(arguments.seed);
        let (mut ticked, mut requests, mut notes) = (Vec::new(), StoreRequests::default(), Vec::new());
        if self.cluster.as_ref().is_some_and(|found| found.object.spec.paused) {
            notes.push(format!("pool {} is paused; it is simulated as if it were not", self.name));
        }
        for work in &self.works {
            let Some((_, ticks)) = work.found.as_ref().filter(|_| !work.suspended) else {
                notes.push(format!("{} is suspended: it has no runs", work.name));
                ticked.push(Ticked::default());
                continue;
            };
            let schedule =
                Recurring { ticks, jitter: work.jitter, exclusive: work.exclusive, shape: work.shape.clone() };
            let told = demand
                .recur(arguments.start, &schedule, &setting, &mut dice)
                .map_err(|source| SimulateError::Runs { pool: self.name.clone(), source })?;
            let at_best = Span::from_secs(u64::try_from(setting.at_best(&work.shape).unwrap_or(0)).unwrap_or(0));
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
            requests = requests.plus(work.store.of_run().times(told.runs.into()));
            ticked.push(told);
        }
        Ok(Load { setting, demand: demand.sorted(), ticked, requests, notes })
    }

    fn of_trace(&self, trace: &Trace, setting: Setting, arguments: &Arguments) -> Load {
        let days = arguments.days.map_or(i64::MAX, |days| i64::from(days) * 86_400);
        let rows = trace.rows.iter().filter(|row| row.at <= days);
        let mut demand = Demand::lasting(0);
        let mut dice = Dice::new(arguments.seed);
        let (mut requests, mut runs) = (StoreRequests::default(), 0);
        for (work, row) in self.works.iter().flat_map(|work| rows.clone().map(move |row| (work, row))) {
            let request = work.shape.request.clone();
            let at_a_time = at_a_time(&request);
            let shape = shape(request, row.sensors, work.per_pod, at_a_time, row.seconds);
            demand.end = demand.end.max(row.at + shape.lasts);
            demand.add(row.at, &shape, arguments.foretold, &mut dice);
            requests = requests.plus(StoreUse { sensors: row.sensors.into(), ..work.store }.of_run());
            runs += 1;
        }
        let left_out = trace.rows.len() - rows.count();
        let mut notes = Vec::new();
        let mut tell = |rows: usize, why: &str| {
            if rows > 0 {
                notes.push(format!("{rows} rows of the trace {why}"));
            }
        };
        tell(trace.empty, "have no sensors, and are no runs");
        tell(left_out, "are later than --days");
        Load { setting, demand: demand.sorted(), ticked: vec![Ticked { runs, missed: 0 }], requests, notes }
    }

    /// Refuses what would take for ever.
    fn bounded(&self, load: &mut Load) -> Result<(), SimulateError> {
        let wrong = |why: String| Err(SimulateError::Pool { pool: self.name.clone(), why });
        let (setting, demand) = (&load.setting, &load.demand);
        let (mut placed, mut busy) = (0_u64, 0_i128);
        for job in &demand.jobs {
            let slots = demand.requests.get(job.kind).map_or(1, |request| setting.capacity.fits(request)).max(1);
            placed = placed.saturating_add(job.pods.div_ceil(slots).into());
            busy += i128::from(job.pods) * i128::from(job.lasts + setting.pod_start) / i128::from(slots);
        }
        let most = i128::from(setting.max_nodes);
        let length = i128::from(demand.end.max(1));
        let wanted = busy.div_euclid(length) + 1;
        if placed > MAX_PLACED || busy / most > MAX_LENGTH {
            return wrong("there are too many pods to simulate; simulate fewer days or sensors".to_owned());
        }
        let told = format!("need {wanted} nodes all the time, and there are {most} at most (maxNodes)");
        if self.trace.is_none() && busy > MAX_LOAD * most * length {
            return wrong(format!("its runs {told}: they would only pile up"));
        }
        if self.trace.is_none() && busy > most * length {
            load.notes.push(format!("pool {}: its runs {told}: they pile up", self.name));
        }
        Ok(())
    }
}
