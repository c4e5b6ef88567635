//! What runs are like: those of a schedule, or of a trace.

use crds::ScoringSchedule;
use crds::schedule::ConcurrencyPolicy;
use jiff::SignedDuration;
use planner::capacity::Resources;
use planner::simulate::trace::Trace;
use planner::simulate::{Shape, StoreUse};
use planner::ticks::Ticks;
use spec::packing::Known;
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
const AT_A_TIME: u64 = 4;
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
    pub(super) per_pod: u32,
    pub(super) shape: Shape,
    pub(super) jitter: SignedDuration,
    pub(super) exclusive: bool,
    pub(super) store: StoreUse,
    pub(super) deadline: Span,
    pub(super) suspended: bool,
    pub(super) found: Option<(Found<ScoringSchedule>, Ticks)>,
}

impl Work {
    /// Those of a schedule, on a pool that has room for so many pods of a kind.
    pub(super) fn of(
        found: Found<ScoringSchedule>,
        ticks: Ticks,
        arguments: &Arguments,
        slots: impl Fn(&Resources) -> u32,
    ) -> Self {
        let object = &found.object;
        let spec = &object.spec;
        let (namespace, name) = (namespace(object), name_of(object));
        let listed = spec.sensors.as_ref().map(count);
        let sensors = listed.or_else(|| Named::of(&arguments.sensors, namespace, name)).unwrap_or(1).max(1);
        let seconds = Named::of(&arguments.seconds_per_sensor, namespace, name).unwrap_or(1.0);
        let request = request_of_schedule(spec.scorer.resources.as_ref());
        let command = spec.scorer.command.is_some();
        // A command is run for one sensor after the other.
        let at_a_time = if command { 1 } else { at_a_time(&request) };
        let known = Known { slots: Some(slots(&request)), seconds_per_sensor: Some(seconds / f64::from(at_a_time)) };
        let per_pod = spec.packing.sensors_per_pod.of(sensors, known).min(sensors);
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
pub(super) fn at_a_time(request: &Resources) -> u32 {
    let cores = request.milli("cpu").map_or(1, |milli| milli / 1_000);
    u32::try_from(cores.clamp(1, AT_A_TIME.into())).unwrap_or(1)
}

/// The pods of a run.
pub(super) fn shape(request: Resources, sensors: u32, per_pod: u32, at_a_time: u32, seconds: f64) -> Shape {
    let waves = f64::from(per_pod.min(sensors).div_ceil(at_a_time.max(1)));
    #[expect(clippy::cast_possible_truncation, reason = "10,000 sensors of a week at most")]
    let lasts = (waves * seconds).ceil().max(1.0) as i64;
    Shape { request, pods: sensors.div_ceil(per_pod.max(1)), lasts, spread: SPREAD }
}
