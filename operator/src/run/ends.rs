//! The ends of a run's pods: folded as they happen, and kept in the ConfigMap `<run>-ends`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crds::names;
use crds::run::SensorCounts;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use spec::report::{MAX_FAILURES, SensorFailure, exit};
use spec::request::{PodEnd, PodEnds};

use super::last_words;
use super::pods::{self, Trouble};
use crate::context::{Caches, label, name_of, namespace_of, uid_of};
use crate::known::Known;

/// The key of the ends in their ConfigMap.
pub(super) const KEY: &str = "ends.json";
/// The least time between two checkpoints while pods go on, and that much again for so many ends: each checkpoint writes
/// all of them.
const EVERY: SignedDuration = SignedDuration::from_secs(1);
const ENDS_A_SECOND: usize = 1_000;
/// The least time between two requests to delete the same objects.
const SWEEP_AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// The least time between two requests for the events of a run.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// How many ends are kept of an item's pods that gave up since the store was away.
const AWAY_ENDS: usize = 3;

/// The ConfigMap's name.
pub(crate) fn config_map_name(run: &str) -> String {
    format!("{run}-ends")
}

/// The ends in a checkpoint. One that does not parse was not written by us, and is written anew.
pub(crate) fn read(config_map: &ConfigMap) -> PodEnds {
    let text = config_map.data.as_ref().and_then(|data| data.get(KEY));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What this process remembers of the runs' pods. Nothing that must survive it.
pub(super) struct Memory(Mutex<Known<String, Remembered>>);

#[derive(Default)]
struct Remembered {
    living: HashMap<String, Arc<Pod>>,
    gone: BTreeMap<String, PodEnd>,
    checkpoint: Option<Timestamp>,
    sweeps: HashMap<String, Timestamp>,
    told: Option<(Timestamp, Option<Trouble>)>,
}

impl Memory {
    /// Nothing yet. `runs` gives the UIDs of all runs that there are.
    pub(super) fn new(runs: impl Fn() -> HashSet<String> + Send + Sync + 'static) -> Self {
        Self(Mutex::new(Known::new(runs)))
    }

    /// The ended pods that are not in the checkpoint, given all item pods of the run that there are. Pods that were
    /// alive at the last look and now are not there at all ended too.
    pub(super) fn unfolded(&self, run: &str, pods: &[Arc<Pod>], ends: &PodEnds, now: Timestamp) -> Vec<PodEnd> {
        let known: BTreeSet<&str> = ends.ends.iter().map(|end| end.uid.as_str()).collect();
        let there: BTreeSet<&str> = pods.iter().map(|pod| uid_of(&**pod)).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = all.entry(run.to_owned());
        for (uid, pod) in &remembered.living {
            if !there.contains(uid.as_str()) {
                remembered.gone.insert(uid.clone(), pods::vanished(pod, now));
            }
        }
        remembered.gone.retain(|uid, _| !known.contains(uid.as_str()));
        let living = pods.iter().filter(|pod| !pods::ended(pod));
        remembered.living = living.map(|pod| (uid_of(&**pod).to_owned(), pod.clone())).collect();
        let ended = pods.iter().filter(|pod| pods::ended(pod) && !known.contains(uid_of(&***pod)));
        let mut ended: Vec<PodEnd> = ended.map(|pod| pods::end(pod)).collect();
        keep_few_of_those_away(&mut ended, ends);
        ended.extend(remembered.gone.values().cloned());
        ended
    }

    /// Whether the last checkpoint of a run is old enough for another.
    pub(super) fn checkpoint_due(&self, run: &str, written: &PodEnds, now: Timestamp) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.get(run).and_then(|remembered| remembered.checkpoint);
        let times = i32::try_from(1 + written.ends.len() / ENDS_A_SECOND).unwrap_or(i32::MAX);
        last.is_none_or(|last| now.duration_since(last) >= EVERY * times)
    }

    /// A checkpoint was written.
    pub(super) fn checkpointed(&self, run: &str, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(run.to_owned()).checkpoint = Some(now);
    }

    /// Whether to delete all objects of a kind now: not again while the watch still tells of the last time.
    pub(super) fn may_sweep(&self, run: &str, kind: &str, now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sweeps = &mut all.entry(run.to_owned()).sweeps;
        let may = sweeps.get(kind).is_none_or(|last| now.duration_since(*last) >= SWEEP_AGAIN);
        if may {
            sweeps.insert(kind.to_owned(), now);
        }
        may
    }

    /// What events told of what a run waits for, unless it is time to ask again.
    pub(super) fn told(&self, run: &str, now: Timestamp) -> Option<Option<Trouble>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.get(run).and_then(|remembered| remembered.told.as_ref());
        told.filter(|(at, _)| now.duration_since(*at) < ASK_AGAIN).map(|(_, told)| told.clone())
    }

    /// This is what events told.
    pub(super) fn asked(&self, run: &str, told: Option<Trouble>, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(run.to_owned()).told = Some((now, told));
    }

    /// The run is over.
    pub(super) fn forget(&self, run: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forget(run);
    }
}

/// Leaves out further ends of items that wait for a store that is away: there may be any number of them, and a ConfigMap
/// holds 1 MiB.
fn keep_few_of_those_away(new: &mut Vec<PodEnd>, ends: &PodEnds) {
    let mut kept = those_away(ends);
    new.retain(|end| {
        if !is_away(end) {
            return true;
        }
        let of_index = kept.entry(end.index).or_default();
        *of_index += 1;
        *of_index <= AWAY_ENDS
    });
}

fn is_away(end: &PodEnd) -> bool {
    end.exit_code == Some(i32::from(exit::AWAY))
}

/// How many ends of each item's pods are kept that gave up since the store was away.
fn those_away(ends: &PodEnds) -> HashMap<u32, usize> {
    let mut kept = HashMap::new();
    for end in ends.ends.iter().filter(|end| is_away(end)) {
        *kept.entry(end.index).or_default() += 1;
    }
    kept
}

/// Which ends of a run's pods are taken down.
#[derive(Debug, Default)]
pub(crate) struct TakenDown {
    uids: HashSet<String>,
    /// Items of which no more pods are kept that gave up since the store was away.
    enough: HashSet<u32>,
}

impl TakenDown {
    /// Those in a checkpoint.
    pub(crate) fn of(config_map: &ConfigMap) -> Self {
        let ends = read(config_map);
        let enough = those_away(&ends).into_iter().filter(|(_, kept)| *kept >= AWAY_ENDS).map(|(index, _)| index);
        Self { enough: enough.collect(), uids: ends.ends.into_iter().map(|end| end.uid).collect() }
    }

    /// Whether this pod's end is, or never will be.
    pub(crate) fn has(&self, pod: &Pod) -> bool {
        let is_one_of_many = || {
            let end = pods::end(pod);
            is_away(&end) && self.enough.contains(&end.index)
        };
        self.uids.contains(uid_of(pod)) || !self.enough.is_empty() && is_one_of_many()
    }
}

/// Adds ends to a checkpoint. Only the first failures and killed pods keep their sentences: a ConfigMap holds 1 MiB, and the record has
/// all of them.
pub(super) fn add(ends: &mut PodEnds, new: Vec<PodEnd>) {
    ends.ends.extend(new);
    let mut told = 0;
    for end in &mut ends.ends {
        end.failures.truncate(MAX_FAILURES - MAX_FAILURES.min(told));
        told += end.failures.len();
    }
    last_words::bound(&mut ends.ends);
}

/// What a checkpoint tells of sensors.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) sensors: SensorCounts,
    pub(super) failures: Vec<SensorFailure>,
    pub(super) pod_seconds: u64,
}

/// Counts sensors: of each item the last pod that answered tells how it stands.
pub(super) fn count(ends: &PodEnds, total: u32) -> Told {
    let mut last: BTreeMap<u32, &PodEnd> = BTreeMap::new();
    let mut told = Told::default();
    for end in &ends.ends {
        if end.succeeded > 0 || end.failed > 0 {
            last.insert(end.index, end);
        }
        if let (Some(started), Some(ended)) = (end.started, end.ended) {
            told.pod_seconds += u64::try_from(ended.duration_since(started).as_secs()).unwrap_or(0);
        }
    }
    let succeeded = last.values().map(|end| end.succeeded).sum::<u32>().min(total);
    let failed = last.values().map(|end| end.failed).sum::<u32>().min(total - succeeded);
    told.failures = last.values().flat_map(|end| end.failures.iter().cloned()).take(MAX_FAILURES).collect();
    told.sensors = SensorCounts { total, succeeded, failed, waiting: total - succeeded - failed };
    told
}

/// All pods of a run's Jobs.
pub(super) fn run_pods(caches: &Caches, run: &impl kube::Resource) -> Vec<Arc<Pod>> {
    let jobs: HashSet<String> = caches
        .jobs
        .all()
        .iter()
        .filter(|job| crate::schedule::is_owned(&***job, uid_of(run)))
        .map(|job| uid_of(&**job).to_owned())
        .collect();
    let mut pods = caches.run_pods.of_run(namespace_of(run), name_of(run));
    pods.retain(|pod| {
        let owners = pod.metadata.owner_references.iter().flatten();
        owners.map(|owner| &owner.uid).any(|uid| jobs.contains(uid))
    });
    pods
}

/// The item pods of a run, by the UID of its Job.
pub(super) fn item_pods(caches: &Caches, run: &impl kube::Resource, job: &str) -> Vec<Arc<Pod>> {
    let all = caches.run_pods.of_run(namespace_of(run), name_of(run)).into_iter();
    all.filter(|pod| label(&**pod, names::ROLE) == Some("item") && crate::schedule::is_owned(&**pod, job)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::request::EndDetails;

    fn end(uid: &str, index: u32, succeeded: u32, failed: u32) -> PodEnd {
        let started = Some(Timestamp::from_second(100).unwrap());
        let failure = |n: u32| SensorFailure {
            sensor: [("device", format!("{uid}-{n}"))].into_iter().collect(),
            reason: "ModelInvalid".into(),
            message: "cannot be read".into(),
        };
        PodEnd {
            pod: format!("run-{index}-{uid}"),
            uid: uid.into(),
            index,
            node: "node".into(),
            started,
            ended: started.map(|at| at + SignedDuration::from_secs(5)),
            exit_code: Some(0),
            reason: "Completed".into(),
            image: String::new(),
            succeeded,
            failed,
            failures: (0..failed).map(failure).collect(),
            details: EndDetails::default(),
        }
    }

    #[test]
    fn a_retry_replaces_what_its_item_told_before() {
        let mut ends = PodEnds::default();
        add(&mut ends, vec![end("a", 0, 2, 0), end("b", 1, 1, 0), end("c", 1, 2, 1)]);
        let told = count(&ends, 6);
        assert_eq!(told.sensors, SensorCounts { total: 6, succeeded: 4, failed: 1, waiting: 1 });
        assert_eq!((told.failures.len(), told.pod_seconds), (1, 15));
    }

    #[test]
    fn a_checkpoint_stays_small_however_much_fails() {
        let mut ends = PodEnds::default();
        for pod in 0..3_000 {
            add(&mut ends, vec![end(&format!("00000000-0000-0000-0000-{pod:012}"), pod, 0, 10)]);
        }
        assert_eq!(count(&ends, 30_000).failures.len(), MAX_FAILURES);
        let bytes = serde_json::to_string(&ends).unwrap().len();
        assert!(bytes < 1_000_000, "{bytes} bytes");
    }

    #[test]
    fn the_more_is_written_the_rarer_it_is_written_again() {
        let (memory, at) = (Memory::new(HashSet::new), |secs| Timestamp::from_second(secs).unwrap());
        let few = PodEnds { ends: vec![end("a", 0, 1, 0)], ..PodEnds::default() };
        let many = PodEnds { ends: vec![end("a", 0, 1, 0); 2_500], ..PodEnds::default() };
        assert!(memory.checkpoint_due("run", &many, at(100)));
        memory.checkpointed("run", at(100));
        assert!(memory.checkpoint_due("run", &few, at(101)));
        assert!(!memory.checkpoint_due("run", &many, at(102)) && memory.checkpoint_due("run", &many, at(103)));
    }

    #[test]
    fn events_are_asked_for_now_and_then_however_often_a_run_is_looked_at() {
        let (memory, at) = (Memory::new(HashSet::new), |secs| Timestamp::from_second(secs).unwrap());
        let trouble = Some(Trouble::new("FailedCreate", "exceeded quota"));
        assert_eq!(memory.told("run", at(100)), None);
        memory.asked("run", trouble.clone(), at(100));
        assert_eq!((memory.told("run", at(119)), memory.told("run", at(120))), (Some(trouble), None));
    }

    #[test]
    fn of_the_pods_that_gave_up_on_a_store_that_is_away_an_item_keeps_few() {
        let away = |uid: &str, index| PodEnd { exit_code: Some(69), ..end(uid, index, 0, 0) };
        let ends = PodEnds { ends: vec![away("a", 0), away("b", 0), end("c", 0, 1, 0)], ..PodEnds::default() };
        let mut new = vec![away("d", 0), away("e", 0), away("f", 1), end("g", 0, 1, 0)];
        keep_few_of_those_away(&mut new, &ends);
        assert_eq!(new.iter().map(|end| end.uid.as_str()).collect::<Vec<_>>(), ["d", "f", "g"]);
    }

    #[test]
    fn of_an_item_that_keeps_enough_of_them_no_pod_is_waited_for_that_gave_up_on_a_store() {
        let away = |uid: &str, index| PodEnd { exit_code: Some(69), ..end(uid, index, 0, 0) };
        let ends = PodEnds { ends: vec![away("a", 0), away("b", 0), away("c", 0), away("d", 1)], ..PodEnds::default() };
        let data = [(KEY.to_owned(), serde_json::to_string(&ends).unwrap())].into();
        let taken_down = TakenDown::of(&ConfigMap { data: Some(data), ..ConfigMap::default() });
        let pod = |uid: &str, index: &str, code: i32| -> Pod {
            let annotations = serde_json::json!({"batch.kubernetes.io/job-completion-index": index});
            let state = serde_json::json!({"terminated": {"exitCode": code}});
            let container = serde_json::json!({"name": "scorer", "image": "i", "imageID": "", "ready": false,
                "restartCount": 0, "state": state});
            serde_json::from_value(serde_json::json!({"metadata": {"uid": uid, "annotations": annotations},
                "spec": {"containers": []}, "status": {"phase": "Failed", "containerStatuses": [container]}}))
            .unwrap()
        };
        assert!(taken_down.has(&pod("d", "1", 69)) && taken_down.has(&pod("e", "0", 69)));
        assert!(!taken_down.has(&pod("e", "1", 69)) && !taken_down.has(&pod("e", "0", 75)));
    }

    #[test]
    fn a_pod_that_was_alive_and_is_gone_has_ended() {
        let memory = Memory::new(HashSet::new);
        let pod = |phase: &str| {
            let pod = serde_json::json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": []},
                "status": {"phase": phase}});
            Arc::new(serde_json::from_value::<Pod>(pod).unwrap())
        };
        let now = Timestamp::UNIX_EPOCH;
        let mut ends = PodEnds::default();
        assert_eq!(memory.unfolded("run", &[pod("Running")], &ends, now), []);
        let gone = memory.unfolded("run", &[], &ends, now);
        assert_eq!(gone[0].reason, "Vanished");
        assert_eq!(memory.unfolded("run", &[], &ends, now), gone, "until it is in the checkpoint");
        add(&mut ends, gone);
        assert_eq!(memory.unfolded("run", &[], &ends, now), []);
    }
}
