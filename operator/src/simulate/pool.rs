//! A pool, and the runs that want its nodes.

use std::collections::BTreeMap;

use crds::cluster::ScaleDownPolicy;
use crds::schedule::ConcurrencyPolicy;
use crds::{Prewarm, ScoringCluster, ScoringSchedule};
use jiff::SignedDuration;
use planner::capacity::Resources;
use planner::provisioning::ENOUGH;
use planner::simulate::trace::Trace;
use planner::simulate::vm::VmSize;
use planner::simulate::{Demand, Dice, Recurring, Setting, Shape, Spread, StoreRequests, StoreUse, Ticked};
use planner::ticks::{self, Ticks};
use spec::work::Sensors;
use spec::{Span, Task};

use super::args::Arguments;
use super::error::SimulateError;
use super::manifests::{Found, Manifests, namespace};
use super::values::{Lateness, Named, Policy};
use super::work::Decider;
use crate::cluster::{self, request_of_schedule};
use crate::context::name_of;

/// How far the length of a run's pods is from what is expected, up or down, in per cent.
const SPREAD: i64 = 10;
/// Sensors of an item that the built-in scorer works on at a time, at most.
const AT_A_TIME: u64 = 4;
/// How long idle nodes stay with `After` where a pool does not say.
const AFTER: Span = Span::from_secs(60);
/// How long nodes take to come where nothing is said.
const P50: Span = Span::from_secs(90);
const P95: Span = Span::from_secs(180);
/// How long a run may take where a schedule does not say.
const DEADLINE: Span = Span::from_secs(3_600);
/// The most pods put onto nodes, those of a run that come to one node as one.
const MAX_PLACED: u64 = 20_000_000;
/// So many times the nodes that there may be can be needed: more would only wait.
const MAX_LOAD: i128 = 3;
/// No backlog may take longer than this.
const MAX_LENGTH: i128 = 3_660 * 86_400;
/// The most nodes of any pool.
const MAX_NODES: u32 = 1_000;

/// A schedule, or a trace.
pub(super) struct Work {
    pub(super) name: String,
    pub(super) when: String,
    /// Sensors of a run.
    pub(super) sensors: u32,
    /// Their number comes from an option.
    pub(super) assumed: bool,
    pub(super) per_pod: u32,
    pub(super) shape: Shape,
    jitter: SignedDuration,
    exclusive: bool,
    store: StoreUse,
    deadline: Span,
    suspended: bool,
    found: Option<(Found<ScoringSchedule>, Ticks)>,
}

/// A pool.
pub(super) struct Pool {
    pub(super) name: String,
    cluster: Option<Found<ScoringCluster>>,
    pub(super) works: Vec<Work>,
    trace: Option<Trace>,
}

/// What a pool's nodes have to do.
pub(super) struct Load {
    pub(super) setting: Setting,
    pub(super) demand: Demand,
    /// What became of the ticks of each of its works.
    pub(super) ticked: Vec<Ticked>,
    pub(super) requests: StoreRequests,
    pub(super) notes: Vec<String>,
}

/// The pools of the manifests, in the order of their names.
pub(super) fn pools(
    manifests: Manifests,
    trace: Option<Trace>,
    arguments: &Arguments,
) -> Result<Vec<Pool>, SimulateError> {
    let Manifests { mut clusters, schedules, .. } = manifests;
    if let Some(trace) = trace {
        if clusters.len() > 1 {
            let told = "--trace: there are several ScoringClusters; give the manifest of one with -f, or none";
            return Err(SimulateError::Usage(told.to_owned()));
        }
        let cluster = clusters.pop();
        let name = cluster.as_ref().map_or("trace", |found| name_of(&found.object)).to_owned();
        let works = vec![Work::of_trace(&trace, arguments)];
        return Ok(vec![Pool { name, cluster, works, trace: Some(trace) }]);
    }
    let mut pools: Vec<Pool> = Vec::new();
    for (found, ticks) in schedules {
        let name = found.object.spec.cluster_ref.name.clone();
        let work = Work::of(found, ticks, arguments);
        match pools.iter_mut().find(|pool| pool.name == name) {
            Some(pool) => pool.works.push(work),
            None => {
                let at = clusters.iter().position(|cluster| name_of(&cluster.object) == name);
                let cluster = at.map(|at| clusters.swap_remove(at));
                pools.push(Pool { name, cluster, works: vec![work], trace: None });
            }
        }
    }
    pools.sort_by(|one, other| one.name.cmp(&other.name));
    pools.iter_mut().for_each(|pool| pool.works.sort_by(|one, other| one.name.cmp(&other.name)));
    Ok(pools)
}

impl Work {
    fn of(found: Found<ScoringSchedule>, ticks: Ticks, arguments: &Arguments) -> Self {
        let object = &found.object;
        let spec = &object.spec;
        let (namespace, name) = (namespace(object), name_of(object));
        let listed = spec.sensors.as_ref().map(count);
        let sensors = listed.or_else(|| Named::of(&arguments.sensors, namespace, name)).unwrap_or(1).max(1);
        let seconds = Named::of(&arguments.seconds_per_sensor, namespace, name).unwrap_or(1.0);
        let per_pod = spec.packing.sensors_per_pod.clamp(1, sensors);
        let request = request_of_schedule(spec.scorer.resources.as_ref());
        let command = spec.scorer.command.is_some();
        // A command is run for one sensor after the other.
        let at_a_time = if command { 1 } else { at_a_time(&request) };
        let store = StoreUse {
            sensors: sensors.into(),
            per_item: per_pod.into(),
            discovered: listed.is_none(),
            own_files: !spec.data.path.keys().is_empty(),
            command,
            shared_predictions: spec.predictions.layout.is_shared(),
            trains: spec.task == Task::Train,
        };
        Self {
            name: format!("{namespace}/{name}"),
            when: match &spec.time_zone {
                Some(zone) => format!("{} {zone}", spec.schedule),
                None => spec.schedule.clone(),
            },
            sensors,
            assumed: listed.is_none(),
            per_pod,
            shape: shape(request, sensors, per_pod, at_a_time, seconds),
            jitter: ticks::jitter(namespace, name, spec.jitter.unwrap_or_default().to_signed()),
            exclusive: spec.concurrency_policy != ConcurrencyPolicy::Allow,
            store,
            deadline: spec.deadline.unwrap_or(DEADLINE),
            suspended: spec.suspend,
            found: Some((found, ticks)),
        }
    }

    /// Whether it is a trace, whose runs differ.
    pub(super) fn is_trace(&self) -> bool {
        self.found.is_none()
    }

    /// What all rows of a trace have in common; sensors are those of the largest.
    fn of_trace(trace: &Trace, arguments: &Arguments) -> Self {
        let sensors = trace.rows.iter().map(|row| row.sensors).max().unwrap_or(1);
        let seconds = trace.rows.iter().map(|row| row.seconds).fold(0.0, f64::max);
        let request = arguments.request.0.clone();
        let at_a_time = at_a_time(&request);
        let per_pod = arguments.sensors_per_pod;
        Self {
            name: arguments.trace.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            when: if arguments.foretold { "trace, foretold" } else { "trace" }.to_owned(),
            sensors,
            assumed: false,
            per_pod,
            shape: shape(request, sensors, per_pod, at_a_time, seconds),
            jitter: SignedDuration::ZERO,
            exclusive: false,
            store: StoreUse { per_item: per_pod.into(), discovered: true, ..StoreUse::default() },
            deadline: Span::from_secs(u64::MAX),
            suspended: false,
            found: None,
        }
    }
}

/// How many sensors there are.
fn count(sensors: &Sensors) -> u32 {
    let list = sensors.list.as_ref().map(Vec::len);
    let matrix = sensors
        .matrix
        .as_ref()
        .map(|matrix| matrix.values().fold(1, |all: usize, some| all.saturating_mul(some.len())));
    u32::try_from(list.or(matrix).unwrap_or(0)).unwrap_or(u32::MAX)
}

/// One for each whole core that a pod asks for, up to as many as the scorer begins.
fn at_a_time(request: &Resources) -> u32 {
    let cores = request.milli("cpu").map_or(1, |milli| milli / 1_000);
    u32::try_from(cores.clamp(1, AT_A_TIME.into())).unwrap_or(1)
}

fn shape(request: Resources, sensors: u32, per_pod: u32, at_a_time: u32, seconds: f64) -> Shape {
    let waves = f64::from(per_pod.min(sensors).div_ceil(at_a_time.max(1)));
    #[expect(clippy::cast_possible_truncation, reason = "10,000 sensors of a week at most")]
    let lasts = (waves * seconds).ceil().max(1.0) as i64;
    Shape { request, pods: sensors.div_ceil(per_pod.max(1)), lasts, spread: SPREAD }
}

impl Pool {
    /// Whether the manifests have it.
    pub(super) fn is_known(&self) -> bool {
        self.cluster.is_some()
    }

    /// What a node has, where the manifests say it: in the spec, or as learned in the status.
    fn known_capacity(&self) -> Option<Resources> {
        let object = &self.cluster.as_ref()?.object;
        let learned = object.status.as_ref().and_then(|status| status.node_capacity.as_ref());
        let amounts = |learned: &BTreeMap<String, String>| {
            Resources::parse(learned.iter().map(|(name, amount)| (name.as_str(), amount.as_str()))).ok()
        };
        cluster::capacity(object, learned.and_then(amounts))
    }

    /// Whether what a node has comes from options.
    pub(super) fn is_capacity_assumed(&self) -> bool {
        self.known_capacity().is_none()
    }

    /// How long nodes take to come, where the status has measured enough of them.
    fn measured(&self) -> Option<Lateness> {
        let told = self.cluster.as_ref()?.object.status.as_ref()?.provisioning.as_ref()?;
        let seconds = |seconds: u32| Span::from_secs(seconds.max(1).into());
        let (p50, p95) = (seconds(told.p50_seconds), seconds(told.p95_seconds.max(told.p50_seconds)));
        (told.come.len() >= ENOUGH).then_some(Lateness { p50, p95 })
    }

    /// How long nodes take to come, and whether that is assumed.
    pub(super) fn provisioning(&self, arguments: &Arguments) -> (Lateness, bool) {
        match (arguments.provisioning, self.measured()) {
            (Some(told), _) => (told, true),
            (None, Some(measured)) => (measured, false),
            (None, None) => (Lateness { p50: P50, p95: P95 }, true),
        }
    }

    /// Who decides, if it is this policy.
    pub(super) fn decider(&self, policy: Policy, arguments: &Arguments) -> Decider {
        let spec = self.cluster.as_ref().map(|found| &found.object.spec);
        let own = spec.map(|spec| spec.prewarm).unwrap_or_default();
        let usual = if policy == Policy::BreakEven { Prewarm::Auto } else { own };
        let prewarm = arguments.prewarm.unwrap_or(usual);
        let after = || spec.and_then(|spec| spec.scale_down.after).unwrap_or(AFTER);
        match policy {
            Policy::BreakEven => Decider::BreakEven(prewarm),
            Policy::After(own) => Decider::After(own.unwrap_or_else(after), prewarm),
            Policy::Never => Decider::Never(prewarm),
            Policy::ClusterAutoscaler => Decider::ClusterAutoscaler,
            Policy::AlwaysOn => Decider::AlwaysOn,
        }
    }

    /// Who decides as its manifest has it.
    pub(super) fn own_decider(&self) -> Option<Decider> {
        let spec = &self.cluster.as_ref()?.object.spec;
        Some(match spec.scale_down.policy {
            ScaleDownPolicy::BreakEven => Decider::BreakEven(spec.prewarm),
            ScaleDownPolicy::After => Decider::After(spec.scale_down.after.unwrap_or(AFTER), spec.prewarm),
            ScaleDownPolicy::Never => Decider::Never(spec.prewarm),
        })
    }

    /// All who are compared: those that are asked for; or all, and what the manifest has if it is none of them.
    pub(super) fn deciders(&self, arguments: &Arguments) -> Vec<Decider> {
        let of =
            |policies: &[Policy]| policies.iter().map(|policy| self.decider(*policy, arguments)).collect::<Vec<_>>();
        if !arguments.policy.is_empty() {
            return of(&arguments.policy);
        }
        let all = of(&Policy::ALL);
        let own = self.own_decider().filter(|own| !all.contains(own));
        own.into_iter().chain(all).collect()
    }

    /// The world of its nodes; of another size, so many of them that there are as many cores as before.
    pub(super) fn setting(&self, arguments: &Arguments, size: Option<&VmSize>) -> Setting {
        let (min, max) = match &self.cluster {
            Some(found) => (found.object.spec.min_nodes, found.object.spec.max_nodes),
            None => (0, arguments.max_nodes),
        };
        let capacity = self.known_capacity().unwrap_or_else(|| arguments.node_capacity.0.clone());
        let seconds = |span: Span| f64::from(u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
        let (provisioning, _) = self.provisioning(arguments);
        let (p50, p95) = (seconds(provisioning.p50), seconds(provisioning.p95));
        let with = |capacity, min_nodes, max| {
            let setting = Setting::new(capacity, max, p50);
            Setting { min_nodes, provisioning: Spread::of(p50, p95), ..setting }
        };
        let Some(size) = size else { return with(capacity, min, max) };
        let other = size.capacity();
        let nodes = |nodes: u32| match (capacity.milli("cpu"), other.milli("cpu")) {
            (Some(before), Some(now)) if now > 0 => {
                let nodes = (u128::from(nodes) * before).div_ceil(now);
                u32::try_from(nodes).unwrap_or(MAX_NODES).min(MAX_NODES)
            }
            _ => nodes,
        };
        with(other.clone(), nodes(min), nodes(max))
    }

    /// The first of its works whose pods fit onto no node.
    pub(super) fn too_large(&self, setting: &Setting) -> Option<&Work> {
        self.works.iter().find(|work| setting.capacity.fits(&work.shape.request) == 0)
    }

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
                super::output::amounts(&work.shape.request),
                super::output::amounts(&setting.capacity)
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
        if self.trace.is_none() && busy > MAX_LOAD * most * length {
            return wrong(format!(
                "its runs need {wanted} nodes all the time, and there are {most} at most (maxNodes): they would only pile up"
            ));
        }
        if self.trace.is_none() && busy > most * length {
            load.notes.push(format!(
                "pool {}: the runs need {wanted} nodes all the time, and there are {most} at most (maxNodes): they pile up",
                self.name
            ));
        }
        Ok(())
    }
}
