//! What is known of work to come: the ticks of a cluster's schedules, what each schedule's last run was like, and so what
//! the next one will be.

use std::collections::{BTreeMap, BTreeSet};

use crds::schedule::ConcurrencyPolicy;
use crds::{ScoringCluster, ScoringRun, ScoringSchedule, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use planner::capacity::Resources;
use planner::ticks::{self, Ticks};
use planner::warmth::Expected;

use super::{pods, work};
use crate::conditions::{is_false, is_true};
use crate::context::{Ctx, key_of, label, name_of, namespace_of, uid_of};
use crate::schedule::{goes_on, is_owned, jitter};

/// So many ticks of a schedule are looked at, at most.
const TICKS: usize = 16;
/// A tick that has passed counts for so long while nothing is to be seen of its run.
const UNSEEN: SignedDuration = SignedDuration::from_secs(10);
/// A run that is not planned so long after its start may never be: its nodes are not kept for it any more.
const UNPLANNED: SignedDuration = SignedDuration::from_mins(5);
/// A pod that goes on for so long beyond what was foretold is one of which nothing is known.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// What a pod takes beside its work.
const POD_START: SignedDuration = SignedDuration::from_secs(spec::packing::POD_START as i64);

/// What is known of work to come.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// What ticks will bring up to the horizon, the earliest first, each with its schedule (`namespace/name`).
    pub(super) coming: Vec<(String, Expected)>,
    /// What comes first, however far ahead.
    pub(super) next: Option<(String, Expected)>,
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
    /// How long it took from its start to its end.
    whole: SignedDuration,
}

impl Shape {
    /// `None` where the run has not ended, or without all of its items.
    fn of(run: &ScoringRun) -> Option<Self> {
        let status = run.status.as_ref().filter(|_| !goes_on(run))?;
        let all = status.sensors.as_ref().is_none_or(|sensors| sensors.waiting == 0);
        let items = status.items.filter(|items| all && *items > 0)?;
        let seconds = i64::try_from(status.pod_seconds?).ok()?;
        let pod = SignedDuration::from_secs(seconds) / i32::try_from(items).ok()?;
        let whole = status.ended?.duration_since(status.started?);
        Some(Self { items, pod: pod.saturating_add(POD_START), whole })
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
        let conditions = schedule.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let stands_still = schedule.spec.suspend || schedule.metadata.deletion_timestamp.is_some();
        let own = |run: &&&ScoringRun| is_owned(**run, uid_of(schedule));
        let going = || runs.iter().filter(|run| goes_on(run));
        self.unforeseen.extend(going().filter(|run| !own(run)).map(|run| key_of(*run)));
        // As the latest of them was the next will be: where it could not be planned, there will be no pods.
        let ended = runs.iter().filter(own).filter(|run| !goes_on(run));
        let last = ended.filter_map(|run| Some((run.spec.tick?, run))).max_by_key(|(tick, _)| *tick);
        let Some(shape) = last.and_then(|(_, run)| Shape::of(run)) else { return };
        self.pods_last.extend(going().map(|run| (key_of(*run), shape.pod)));
        let Some((request, room)) = may.filter(|_| !stands_still && !is_false(conditions, "Valid")) else { return };
        let name = key_of(schedule);
        let mut expect = |at: Timestamp| {
            let expected = (name.clone(), shape.expected(at, request.clone(), room));
            if self.next.as_ref().is_none_or(|(_, next)| at < next.at) {
                self.next = Some(expected.clone());
            }
            if at <= until {
                self.coming.push(expected);
            }
        };
        let jitter = jitter(&schedule.spec, namespace_of(schedule), name_of(schedule));
        // Its run is there and will ask for slots once it is planned.
        let starts = |run: &&ScoringRun| run.spec.tick?.checked_add(jitter).ok();
        let unplanned = going().filter(own).filter(|run| is_unplanned(run)).filter_map(starts);
        unplanned.filter(|at| now.duration_since(*at) < UNPLANNED).for_each(&mut expect);
        // Of the ticks that wait to be caught up, the first one's run is made as soon as no other goes on.
        let waiting = schedule.status.iter().flat_map(|status| status.waiting.first()).copied();
        let archiving =
            |run: &&&ScoringRun| run.status.as_ref().is_some_and(|s| s.state.as_deref() == Some("Archiving"));
        waiting.filter(|_| going().filter(own).all(|run| archiving(&run))).for_each(&mut expect);
        // While a run goes on that is not to have another beside it, ticks start none.
        let alone = schedule.spec.concurrency_policy != ConcurrencyPolicy::Allow;
        let end = |run: &&ScoringRun| run.status.as_ref()?.started?.checked_add(shape.whole).ok();
        let free = going().filter(own).filter(|_| alone).filter_map(end).max();
        let starts = ticks(schedule, jitter, runs, now);
        let mut starts = starts.filter(|at| free.is_none_or(|free| *at >= free)).peekable();
        let first = starts.next_if(|at| *at > until);
        first.into_iter().chain(starts.take_while(|at| *at <= until)).for_each(&mut expect);
    }

    /// Of these runs more items wait than there are slots: a pod that ends leaves no room, since the next one takes its
    /// place.
    pub(super) fn refilled<'a>(&mut self, runs: impl Iterator<Item = &'a str>) {
        for run in runs {
            self.pods_last.remove(run);
        }
    }

    /// How long a pod takes, if that is known of earlier ones.
    pub(super) fn lasts(&self, run: &str) -> Option<SignedDuration> {
        self.pods_last.get(run).copied()
    }

    /// When a pod will have ended and leave room, if known.
    pub(super) fn end(&self, pod: &Pod, now: Timestamp) -> Option<Timestamp> {
        let started = pod.status.as_ref()?.start_time.as_ref()?.0;
        let end = started.checked_add(self.lasts(&run_of(pod)?)?).ok()?;
        (now.duration_since(end) < LATE).then_some(end)
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
fn ticks(
    schedule: &ScoringSchedule,
    jitter: SignedDuration,
    runs: &[&ScoringRun],
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> {
    let unmade = |tick: &Timestamp| {
        let run = ticks::run_name(name_of(schedule), *tick);
        runs.iter().all(|there| name_of(*there) != run)
    };
    let ticks = Ticks::parse(&schedule.spec.schedule, schedule.spec.time_zone.as_deref(), now).ok();
    let after = move |at: Timestamp| ticks.as_ref().and_then(|ticks| ticks.after(at));
    let first = now.checked_sub(jitter.saturating_add(UNSEEN)).ok().and_then(&after);
    std::iter::successors(first, move |tick| after(*tick))
        .take(TICKS)
        .filter(unmade)
        .filter_map(move |tick| tick.checked_add(jitter).ok())
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
        let started = at(tick);
        let ended = started + SignedDuration::from_secs(90);
        run(
            tick,
            "s",
            &json!({"items": items, "podSeconds": pod_seconds, "conditions": is("Complete"),
            "started": started.to_string(), "ended": ended.to_string()}),
        )
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
    fn the_next_tick_is_told_however_far_away_and_counts_only_up_to_the_horizon() {
        let runs = [ended("2026-01-01T00:00:00Z", 4, 40)];
        let of = |cron: &str| {
            let foresight = foresee(&schedule(&json!({"schedule": cron})), &runs);
            (foresight.next.map(|(_, next)| next.at.to_string()), foresight.coming.len())
        };
        assert_eq!(of("0 0 * * 1"), (Some("2026-01-05T00:00:00Z".to_owned()), 0));
        assert_eq!(of("0 * * * *"), (Some("2026-01-01T01:00:00Z".to_owned()), 2));
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
        assert_eq!(unplanned, [("2026-01-01T00:56:00Z".to_owned(), 4, 12)]);
        assert!(coming(&hourly, &[before.clone(), going(is("Planned"))]).is_empty());
        let stuck = run("2026-01-01T00:51:00Z", "s", &json!({"conditions": []}));
        assert!(coming(&hourly, &[before, stuck]).is_empty());
    }

    #[test]
    fn a_run_that_goes_on_or_was_cut_short_is_no_example_for_the_next() {
        let going = json!({"items": 40, "podSeconds": 0, "conditions": is("Planned"), "started": NOW});
        let runs = [ended("2025-12-31T23:00:00Z", 4, 40), run("2026-01-01T00:30:00Z", "s", &going)];
        assert_eq!(coming(&schedule(&json!({})), &runs)[0].2, 12);
        let unplanned = run("2026-01-01T00:00:00Z", "s", &json!({"conditions": is("Failed")}));
        assert!(coming(&schedule(&json!({})), &[runs[0].clone(), unplanned]).is_empty());
        let cut = json!({"items": 40, "podSeconds": 5, "conditions": is("Failed"), "started": NOW, "ended": NOW,
            "sensors": {"total": 40, "succeeded": 1, "failed": 0, "waiting": 39}});
        assert!(coming(&schedule(&json!({})), &[run("2026-01-01T00:00:00Z", "s", &cut)]).is_empty());
    }

    #[test]
    fn a_tick_that_comes_while_a_run_goes_on_starts_none_unless_it_may() {
        let going = json!({"conditions": is("Planned"), "started": NOW});
        let runs = [ended("2026-01-01T00:00:00Z", 4, 40), run("2026-01-01T00:56:00Z", "s", &going)];
        let first = |policy: &str| {
            let spec = json!({"schedule": "* * * * *", "concurrencyPolicy": policy});
            coming(&schedule(&spec), &runs)[0].0.clone()
        };
        assert_eq!((first("Allow"), first("Forbid")), ("2026-01-01T00:57:00Z".into(), "2026-01-01T00:59:00Z".into()));
    }

    #[test]
    fn what_waits_to_be_caught_up_comes_once_the_run_before_it_has_no_pods_any_more() {
        let mut behind = schedule(&json!({"schedule": "0 0 1 1 *", "catchUp": {"policy": "All"}}));
        let status = json!({"waiting": ["2026-01-01T00:30:00Z", "2026-01-01T00:40:00Z"]});
        behind.status = Some(serde_json::from_value(status).unwrap());
        let with = |state: &str| {
            let going = run("2026-01-01T00:20:00Z", "s", &json!({"conditions": is("Planned"), "state": state}));
            coming(&behind, &[ended("2026-01-01T00:00:00Z", 4, 40), going])
        };
        assert_eq!(with("Archiving"), [("2026-01-01T00:30:00Z".to_owned(), 4, 12)]);
        assert!(with("Running").is_empty());
    }

    #[test]
    fn a_tick_that_has_just_passed_comes_now_though_its_run_is_not_to_be_seen_yet() {
        let just = schedule(&json!({"schedule": "57 0 1 1 *"}));
        assert_eq!(coming(&just, &[ended("2026-01-01T00:00:00Z", 4, 40)]), [(NOW.to_owned(), 4, 12)]);
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
        let mut foresight = foresee(&schedule(&json!({})), &[ended("2026-01-01T00:00:00Z", 4, 40), by_hand, own]);
        let pod = |tick: &str| -> Pod {
            let labels = json!({names::RUN: ticks::run_name("hourly", at(tick)), names::ROLE: "item"});
            serde_json::from_value(json!({"metadata": {"namespace": "plant", "labels": labels},
                "status": {"startTime": "2026-01-01T00:56:55Z"}}))
            .unwrap()
        };
        assert!(foresight.is_unforeseen(&pod("2026-01-01T00:50:00Z")));
        assert!(!foresight.is_unforeseen(&pod("2026-01-01T00:40:00Z")));
        let own = pod("2026-01-01T00:40:00Z");
        assert_eq!(foresight.end(&own, at(NOW)), Some(at("2026-01-01T00:57:07Z")));
        assert_eq!(foresight.end(&own, at("2026-01-01T01:03:00Z")), None, "nothing is known of a straggler");
        foresight.refilled([&*format!("plant/{}", ticks::run_name("hourly", at("2026-01-01T00:40:00Z")))].into_iter());
        assert_eq!(foresight.end(&own, at(NOW)), None, "another pod takes its place");
    }
}
