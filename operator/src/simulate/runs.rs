//! What runs are like: those of a schedule, or of a trace.

use crds::ScoringSchedule;
use crds::schedule::ConcurrencyPolicy;
use jiff::SignedDuration;
use planner::capacity::Resources;
use planner::simulate::compare::request_of;
use planner::simulate::trace::Trace;
use planner::simulate::{Shape, StoreUse};
use planner::ticks::Ticks;
use spec::packing::{Known, MOST, PerPod};
use spec::work::Sensors;
use spec::{Span, Task};

use super::args::Arguments;
use super::manifests::{Found, namespace};
use super::values::Named;
use crate::cluster::request_of_schedule;
use crate::context::name_of;
use crate::schedule::jitter;

/// How far the length of a run's pods is from what is expected, up or down, in per cent.
const SPREAD: i64 = 10;
/// Sensors of an item that the built-in scorer works on at a time, at most.
pub(super) const AT_A_TIME: u32 = 4;
/// How long a pod works on a sensor where nobody says, in seconds.
const SECONDS: f64 = 1.0;
/// How long a run may take where a schedule does not say.
const DEADLINE: Span = Span::from_secs(3_600);

/// A schedule, or a trace.
pub(super) struct Work {
    pub(super) name: String,
    pub(super) when: String,
    /// Sensors of a run.
    pub(super) sensors: u32,
    /// Their number comes from an option.
    pub(super) assumed: bool,
    /// How long a pod works on each.
    seconds: f64,
    /// That comes from an option.
    pub(super) seconds_assumed: bool,
    /// What a pod asks for, and how many sensors it has, where no other pods are compared.
    request: Resources,
    per_pod: PerPod,
    /// A command is run for one sensor after the other, with all that its pod has.
    pub(super) command: bool,
    pub(super) jitter: SignedDuration,
    pub(super) exclusive: bool,
    /// But for how many sensors an item has.
    store: StoreUse,
    pub(super) deadline: Span,
    pub(super) suspended: bool,
    pub(super) found: Option<(Found<ScoringSchedule>, Ticks)>,
}

/// The pods of a work.
pub(super) struct Packed<'a> {
    pub(super) work: &'a Work,
    pub(super) per_pod: u32,
    /// Sensors that a pod works on at a time.
    pub(super) at_a_time: u32,
    pub(super) shape: Shape,
    pub(super) store: StoreUse,
}

impl Packed<'_> {
    /// Whether pods of the same work are alike.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let of = |packed: &Self| (packed.per_pod, packed.at_a_time, packed.shape.lasts);
        of(self) == of(other) && self.shape.request == other.shape.request
    }

    /// The pods of a run of so many sensors that take so long.
    pub(super) fn of_run(&self, sensors: u32, seconds: f64) -> Shape {
        shape(self.shape.request.clone(), sensors, self.per_pod, self.at_a_time, seconds)
    }
}

impl Work {
    /// Those of a schedule.
    pub(super) fn of(found: Found<ScoringSchedule>, ticks: Ticks, arguments: &Arguments) -> Self {
        let object = &found.object;
        let spec = &object.spec;
        let (namespace, name) = (namespace(object), name_of(object));
        let listed = spec.sensors.as_ref().map(count);
        let sensors = listed.or_else(|| Named::of(&arguments.sensors, namespace, name)).unwrap_or(1).max(1);
        let store = StoreUse {
            sensors: sensors.into(),
            per_item: 1,
            discovered: listed.is_none(),
            own_files: !spec.data.keys().is_empty(),
            database: spec.data.sql.is_some(),
            command: spec.scorer.command.is_some(),
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
            seconds: Named::of(&arguments.seconds_per_sensor, namespace, name).unwrap_or(SECONDS),
            seconds_assumed: true,
            request: request_of_schedule(spec.scorer.resources.as_ref()),
            per_pod: spec.packing.sensors_per_pod,
            command: store.command,
            jitter: jitter(spec, namespace, name),
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
    pub(super) fn of_trace(trace: &Trace, arguments: &Arguments) -> Self {
        Self {
            name: arguments.trace.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            when: if arguments.foretold { "trace, foretold" } else { "trace" }.to_owned(),
            sensors: trace.rows.iter().map(|row| row.sensors).max().unwrap_or(1),
            assumed: false,
            seconds: trace.rows.iter().map(|row| row.seconds).fold(0.0, f64::max),
            seconds_assumed: trace.seconds_assumed,
            request: arguments.request.0.clone(),
            per_pod: PerPod::Number(arguments.sensors_per_pod),
            command: false,
            jitter: SignedDuration::ZERO,
            exclusive: false,
            store: StoreUse { discovered: true, ..StoreUse::default() },
            deadline: Span::from_secs(u64::MAX),
            suspended: false,
            found: None,
        }
    }

    /// Its pods on nodes with room for so many of a kind. With `threads`, such as work on so many sensors at a time: each
    /// thread has as much, and as many sensors to work on, as in the pods that are set.
    pub(super) fn packed(&self, threads: Option<u32>, slots: impl Fn(&Resources) -> u32) -> Packed<'_> {
        let own = if self.command { 1 } else { at_a_time(&self.request) };
        let (request, at_a_time, set) = match threads.filter(|_| !self.command) {
            None => (self.request.clone(), own, self.per_pod),
            Some(threads) => {
                let set = match self.per_pod {
                    PerPod::Number(number) => PerPod::Number((number.div_ceil(own) * threads).min(MOST)),
                    PerPod::Auto => PerPod::Auto,
                };
                (request_of(&self.request, own, threads), threads, set)
            }
        };
        let seconds_per_sensor = Some(self.seconds / f64::from(at_a_time));
        let known = Known { slots: Some(slots(&request)), seconds_per_sensor };
        let most = if self.is_trace() { u32::MAX } else { self.sensors };
        let per_pod = set.of(self.sensors, known).min(most);
        Packed {
            work: self,
            per_pod,
            at_a_time,
            shape: shape(request, self.sensors, per_pod, at_a_time, self.seconds),
            store: StoreUse { per_item: per_pod.into(), ..self.store },
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

/// The pods of a run.
fn shape(request: Resources, sensors: u32, per_pod: u32, at_a_time: u32, seconds: f64) -> Shape {
    let waves = f64::from(per_pod.min(sensors).div_ceil(at_a_time.max(1)));
    #[expect(clippy::cast_possible_truncation, reason = "10,000 sensors of a week at most")]
    let lasts = (waves * seconds).ceil().max(1.0) as i64;
    Shape { request, pods: sensors.div_ceil(per_pod.max(1)), lasts, spread: SPREAD }
}
