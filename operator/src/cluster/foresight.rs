//! What is known of work to come: the ticks of a cluster's schedules, what each schedule's last run was like, and so what
//! the next one will be.

use std::collections::{BTreeMap, BTreeSet};

use crds::{ScoringCluster, ScoringRun, ScoringSchedule, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use planner::capacity::Resources;
use planner::ticks::{self, Ticks};
use planner::warmth::Expected;

use super::{pods, work};
use crate::conditions::{is_false, is_true};
use crate::context::{Ctx, label, name_of, namespace_of, uid_of};
use crate::schedule::{goes_on, is_owned};

/// So many ticks of a schedule are looked at, at most.
const TICKS: usize = 16;
/// A tick that has passed counts for so long while nothing is to be seen of its run.
const UNSEEN: SignedDuration = SignedDuration::from_secs(10);
/// What a pod takes beside its work: to be made, placed and started.
const POD_START: SignedDuration = SignedDuration::from_secs(2);

/// What is known of work to come.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// What ticks will bring, the earliest first, each with its schedule (`namespace/name`).
    pub(super) coming: Vec<(String, Expected)>,
    /// How long a pod of a run takes, by run (`namespace/name`), as the last run of its schedule tells.
    pods_last: BTreeMap<String, SignedDuration>,
    /// Runs that no tick foretold.
    unforeseen: BTreeSet<String>,
}

/// What a run was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    items: u32,
    /// How long one of its pods took, on average.
    pod: SignedDuration,
}

impl Shape {
    /// `None` where no pod of the run has ended.
    fn of(run: &ScoringRun) -> Option<Self> {
        let status = run.status.as_ref()?;
        let items = status.items.filter(|items| *items > 0)?;
        let seconds = i64::try_from(status.pod_seconds?).ok()?;
        Some(Self { items, pod: SignedDuration::from_secs(seconds) / i32::try_from(items).ok()? + POD_START })
    }

    /// What it asks of a pool that has room for so many of its pods.
    fn expected(self, at: Timestamp, request: Resources, room: u32) -> Expected {
        let pods = self.items.min(room.max(1));
        let rounds = i32::try_from(self.items.div_ceil(pods)).unwrap_or(i32::MAX);
        Expected { at, request, pods, lasts: self.pod.checked_mul(rounds).unwrap_or(SignedDuration::MAX) }
    }
}

impl Foresight {
    /// From the caches, up to the horizon.
    pub(super) fn of(
        ctx: &Ctx,
        cluster: &ScoringCluster,
        capacity: Option<&Resources>,
        horizon: SignedDuration,
    ) -> Self {
        let now = ctx.now();
        let until = now.saturating_add(horizon).unwrap_or(Timestamp::MAX);
        let all = ctx.caches.runs.all();
        let mut by_schedule: BTreeMap<(&str, &str), Vec<&ScoringRun>> = BTreeMap::new();
        for run in all.iter().filter_map(|guard| guard.0.as_ref().ok()) {
            by_schedule.entry((namespace_of(run), &run.spec.schedule_name)).or_default().push(run);
        }
        let mut foresight = Self::default();
        let schedules = ctx.caches.schedules.all();
        let schedules = schedules.iter().filter_map(|guard| guard.0.as_ref().ok());
        for schedule in schedules.filter(|schedule| schedule.spec.cluster_ref.name == name_of(cluster)) {
            let runs = by_schedule.remove(&(namespace_of(schedule), name_of(schedule))).unwrap_or_default();
            let may =
                work::may_use(ctx, cluster, namespace_of(schedule)) && !ctx.caches.is_closing(namespace_of(schedule));
            let request = pods::request_of_schedule(schedule.spec.scorer.resources.as_ref());
            let room = capacity.map_or(u32::MAX, |one| one.fits(&request).saturating_mul(cluster.spec.max_nodes));
            foresight.add(schedule, &runs, may.then_some((request, room)), now, until);
        }
        foresight.coming.sort_by_key(|(_, expected)| expected.at);
        foresight
    }

    /// Adds a schedule and its runs. What one pod asks for, and for how many there is room: `None` where the schedule may
    /// not use the pool.
    fn add(
        &mut self,
        schedule: &ScoringSchedule,
        runs: &[&ScoringRun],
        may: Option<(Resources, u32)>,
        now: Timestamp,
        until: Timestamp,
    ) {
        let key = |run: &ScoringRun| format!("{}/{}", namespace_of(run), name_of(run));
        let own = |run: &&&ScoringRun| is_owned(**run, uid_of(schedule));
        let going = || runs.iter().filter(|run| goes_on(run));
        self.unforeseen.extend(going().filter(|run| !own(run)).map(|run| key(run)));
        let ended = runs.iter().filter(own).filter_map(|run| Some((run.spec.tick?, Shape::of(run)?)));
        let Some((_, shape)) = ended.max_by_key(|(tick, _)| *tick) else { return };
        self.pods_last.extend(going().map(|run| (key(run), shape.pod)));
        let Some((request, room)) = may else { return };
        let name = format!("{}/{}", namespace_of(schedule), name_of(schedule));
        let mut expect = |at: Timestamp| {
            self.coming.push((name.clone(), shape.expected(at.max(now), request.clone(), room)));
        };
        // Its run is there and will ask for slots once it is planned.
        going().filter(own).filter(|run| is_unplanned(run)).for_each(|_| expect(now));
        ticks(schedule, runs, now, until).into_iter().for_each(expect);
    }

    /// How long a pod takes, if that is known of earlier ones.
    pub(super) fn lasts(&self, run: &str) -> Option<SignedDuration> {
        self.pods_last.get(run).copied()
    }

    /// When a pod will have ended, if known.
    pub(super) fn end(&self, pod: &Pod) -> Option<Timestamp> {
        let started = pod.status.as_ref()?.start_time.as_ref()?.0;
        started.checked_add(self.lasts(&run_of(pod)?)?).ok()
    }

    /// Whether a pod is of a run that no tick foretold.
    pub(super) fn is_unforeseen(&self, pod: &Pod) -> bool {
        run_of(pod).is_some_and(|run| self.unforeseen.contains(&run))
    }
}

fn run_of(pod: &Pod) -> Option<String> {
    label(pod, names::RUN).filter(|_| pods::is_item(pod)).map(|run| format!("{}/{run}", namespace_of(pod)))
}

fn is_unplanned(run: &ScoringRun) -> bool {
    let conditions = run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    !is_true(conditions, "Planned") && !run.spec.cancel && run.metadata.deletion_timestamp.is_none()
}

/// When the runs of a schedule's coming ticks start.
fn ticks(schedule: &ScoringSchedule, runs: &[&ScoringRun], now: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let conditions = schedule.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if schedule.spec.suspend || schedule.metadata.deletion_timestamp.is_some() || is_false(conditions, "Valid") {
        return Vec::new();
    }
    let Ok(ticks) = Ticks::parse(&schedule.spec.schedule, schedule.spec.time_zone.as_deref(), now) else {
        return Vec::new();
    };
    let (namespace, name) = (namespace_of(schedule), name_of(schedule));
    let jitter = ticks::jitter(namespace, name, schedule.spec.jitter.unwrap_or_default().to_signed());
    let unmade = |tick: &Timestamp| {
        let run = ticks::run_name(name, *tick);
        runs.iter().all(|there| name_of(*there) != run)
    };
    let first = now.checked_sub(jitter.saturating_add(UNSEEN)).ok().and_then(|from| ticks.after(from));
    std::iter::successors(first, |tick| ticks.after(*tick))
        .take(TICKS)
        .take_while(|tick| tick.checked_add(jitter).is_ok_and(|at| at <= until))
        .filter(unmade)
        .filter_map(|tick| tick.checked_add(jitter).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T00:57:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(spec: &Value) -> ScoringSchedule {
        let mut whole = json!({
            "clusterRef": {"name": "cpu"}, "schedule": "0 * * * *", "store": {"url": "file:///mnt/plant"},
            "model": {"path": "models/{device}"}, "data": {"path": "data.csv"},
        });
        spec.as_object().unwrap().iter().for_each(|(name, value)| whole[name] = value.clone());
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"name": "hourly", "namespace": "plant", "uid": "s"}, "spec": whole,
        }))
        .unwrap()
    }

    fn run(tick: &str, owner: &str, status: &Value) -> ScoringRun {
        let name = ticks::run_name("hourly", at(tick));
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": name, "namespace": "plant", "ownerReferences": [
                {"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule", "name": "hourly", "uid": owner,
                    "controller": true}]},
            "spec": {"scheduleName": "hourly", "tick": tick}, "status": status,
        }))
        .unwrap()
    }

    fn is(condition: &str) -> Value {
        json!([{"type": condition, "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    }

    fn ended(tick: &str, items: u32, pod_seconds: u64) -> ScoringRun {
        run(tick, "s", &json!({"items": items, "podSeconds": pod_seconds, "conditions": is("Complete")}))
    }

    /// What comes up to two hours from now, with room for 8 pods.
    fn foresee(schedule: &ScoringSchedule, runs: &[ScoringRun]) -> Foresight {
        let mut foresight = Foresight::default();
        let runs: Vec<&ScoringRun> = runs.iter().collect();
        foresight.add(schedule, &runs, Some((Resources::default(), 8)), at(NOW), at("2026-01-01T02:57:00Z"));
        foresight
    }

    fn coming(schedule: &ScoringSchedule, runs: &[ScoringRun]) -> Vec<(String, u32, i64)> {
        let of = |(_, e): &(String, Expected)| (e.at.to_string(), e.pods, e.lasts.as_secs());
        foresee(schedule, runs).coming.iter().map(of).collect()
    }

    #[test]
    fn the_next_ticks_will_be_as_the_last_run_was() {
        let hourly = schedule(&json!({}));
        let runs = [ended("2025-12-31T23:00:00Z", 3, 3), ended("2026-01-01T00:00:00Z", 20, 200)];
        let of = |time: &str| (time.to_owned(), 8, 36);
        assert_eq!(coming(&hourly, &runs), [of("2026-01-01T01:00:00Z"), of("2026-01-01T02:00:00Z")]);
    }

    #[test]
    fn nothing_is_known_of_a_schedule_that_never_ran_or_does_not_run() {
        let runs = [ended("2026-01-01T00:00:00Z", 4, 40)];
        assert!(coming(&schedule(&json!({})), &[]).is_empty());
        assert!(coming(&schedule(&json!({"suspend": true})), &runs).is_empty());
    }

    #[test]
    fn a_tick_whose_run_is_there_comes_now_until_it_is_planned_and_then_not_any_more() {
        let hourly = schedule(&json!({"schedule": "56 0 1 1 *"}));
        let before = ended("2026-01-01T00:00:00Z", 4, 40);
        let going = |conditions: Value| run("2026-01-01T00:56:00Z", "s", &json!({"conditions": conditions}));
        let unplanned = coming(&hourly, &[before.clone(), going(json!([]))]);
        assert_eq!(unplanned, [(at(NOW).to_string(), 4, 12)]);
        assert!(coming(&hourly, &[before, going(is("Planned"))]).is_empty());
    }

    #[test]
    fn a_tick_that_has_just_passed_comes_now_though_its_run_is_not_to_be_seen_yet() {
        let just = schedule(&json!({"schedule": "57 0 1 1 *"}));
        assert_eq!(coming(&just, &[ended("2026-01-01T00:00:00Z", 4, 40)]), [(at(NOW).to_string(), 4, 12)]);
    }

    #[test]
    fn jitter_puts_off_what_comes() {
        let jittered = schedule(&json!({"jitter": "30m"}));
        let coming = coming(&jittered, &[ended("2026-01-01T00:00:00Z", 4, 40)]);
        let jitter = ticks::jitter("plant", "hourly", SignedDuration::from_mins(30));
        assert_eq!(coming[0].0, (at("2026-01-01T01:00:00Z") + jitter).to_string());
    }

    #[test]
    fn a_run_that_is_not_its_schedules_own_was_not_foretold() {
        let by_hand = run("2026-01-01T00:50:00Z", "somebody", &json!({"conditions": is("Planned")}));
        let own = run("2026-01-01T00:40:00Z", "s", &json!({"conditions": is("Planned")}));
        let foresight = foresee(&schedule(&json!({})), &[ended("2026-01-01T00:00:00Z", 4, 40), by_hand, own]);
        let pod = |tick: &str| -> Pod {
            let labels = json!({names::RUN: ticks::run_name("hourly", at(tick)), names::ROLE: "item"});
            serde_json::from_value(json!({"metadata": {"namespace": "plant", "labels": labels},
                "status": {"startTime": "2026-01-01T00:56:55Z"}}))
            .unwrap()
        };
        assert!(foresight.is_unforeseen(&pod("2026-01-01T00:50:00Z")));
        assert!(!foresight.is_unforeseen(&pod("2026-01-01T00:40:00Z")));
        assert_eq!(foresight.end(&pod("2026-01-01T00:40:00Z")), Some(at("2026-01-01T00:57:07Z")));
    }
}
