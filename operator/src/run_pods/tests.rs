use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pod(run: &str, name: &str, phase: &str) -> Arc<Pod> {
    let labels = json!({ names::RUN: run, names::ROLE: "item" });
    let metadata = json!({ "namespace": "plant", "name": name, "labels": labels });
    Arc::new(serde_json::from_value(json!({ "metadata": metadata, "status": { "phase": phase } })).unwrap())
}

fn told(pods: &[Arc<Pod>]) -> BTreeSet<(String, String)> {
    let one = |pod: &Arc<Pod>| (name_of(&**pod).to_owned(), phase(pod).to_owned());
    let told: BTreeSet<_> = pods.iter().map(one).collect();
    assert_eq!(told.len(), pods.len(), "each once");
    told
}

fn look(pods: &RunPods, unsettled: &mut Unsettled) -> Vec<String> {
    let seen = pods.unsettled(unsettled, |_| true);
    told(&seen).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_pod_that_has_ended_is_seen_until_it_is_settled_or_gone() {
    let pods = RunPods::default();
    let mut unsettled = Unsettled::default();
    pods.all(vec![pod("a", "lives", "Running"), pod("a", "ended", "Succeeded"), pod("b", "failed", "Failed")]);
    assert_eq!(look(&pods, &mut unsettled), ["ended", "failed", "lives"]);
    assert_eq!(look(&pods, &mut unsettled), ["ended", "failed", "lives"]);
    unsettled.settle(|pod| name_of(pod) == "ended");
    assert_eq!(look(&pods, &mut unsettled), ["failed", "lives"]);
    pods.deleted(&pod("b", "failed", "Failed"));
    assert_eq!(look(&pods, &mut unsettled), ["lives"]);
    pods.applied(pod("a", "lives", "Succeeded"));
    assert_eq!(look(&pods, &mut unsettled), ["lives"]);
}

#[test]
fn whoever_has_settled_some_sees_them_anew_when_the_watch_starts_anew() {
    let pods = RunPods::default();
    let mut unsettled = Unsettled::default();
    pods.all(vec![pod("a", "ended", "Succeeded")]);
    assert_eq!(look(&pods, &mut unsettled), ["ended"]);
    unsettled.settle(|_| true);
    pods.all(vec![pod("a", "ended", "Succeeded")]);
    assert_eq!(look(&pods, &mut unsettled), ["ended"]);
}

#[test]
fn each_pool_sees_its_own() {
    let pods = RunPods::default();
    pods.all(vec![pod("a", "ours", "Running"), pod("b", "theirs", "Succeeded"), pod("a", "our-end", "Failed")]);
    let ours = pods.unsettled(&mut Unsettled::default(), |pod| label(pod, names::RUN) == Some("a"));
    assert_eq!(told(&ours).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["our-end", "ours"]);
}

#[test]
fn pods_that_are_no_items_are_counted_nowhere() {
    let pods = RunPods::default();
    let mut plan = (*pod("a", "plan", "Succeeded")).clone();
    plan.metadata.labels.as_mut().unwrap().insert(names::ROLE.to_owned(), "plan".to_owned());
    pods.all(vec![Arc::new(plan), pod("a", "item", "Succeeded")]);
    assert_eq!(pods.ended("plant", "a"), Ended { succeeded: 1, failed: 0 });
    assert_eq!(pods.of_run("plant", "a").len(), 2);
    assert!(pods.of_run("elsewhere", "a").is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    /// A pod of a run, and how it is.
    Apply(usize, usize, usize),
    Delete(usize),
    Anew,
    Look,
    Settle(usize),
}

const PHASES: [&str; 4] = ["Pending", "Running", "Succeeded", "Failed"];
const PODS: usize = 6;
const RUNS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PODS, 0..RUNS, 0..PHASES.len()).prop_map(|(pod, run, phase)| Step::Apply(pod, run, phase)),
        2 => (0..PODS).prop_map(Step::Delete),
        1 => Just(Step::Anew),
        2 => Just(Step::Look),
        1 => (0..PODS).prop_map(Step::Settle),
    ]
}

proptest! {
    #[test]
    fn what_is_told_is_what_the_watch_has_told(steps in prop::collection::vec(step(), 0..60)) {
        let pods = RunPods::default();
        let mut there = BTreeMap::<usize, Arc<Pod>>::new();
        // Which were settled, and which have been seen as they are.
        let (mut settled, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut unsettled = Unsettled::default();
        let has_ended = |pod: &Arc<Pod>| ["Succeeded", "Failed"].contains(&phase(pod));
        for step in steps {
            match step {
                Step::Apply(number, run, at) => {
                    let new = pod(&format!("run-{run}"), &format!("pod-{number}"), PHASES[at]);
                    there.insert(number, new.clone());
                    settled.remove(&number);
                    seen.remove(&number);
                    pods.applied(new);
                }
                Step::Delete(number) => {
                    if let Some(pod) = there.remove(&number) {
                        pods.deleted(&pod);
                    }
                    settled.remove(&number);
                }
                Step::Anew => {
                    settled.clear();
                    seen.clear();
                    pods.all(there.values().cloned().collect());
                }
                Step::Look => {
                    let looked = pods.unsettled(&mut unsettled, |_| true);
                    seen.extend(there.keys().copied());
                    let wanted = there.iter().filter(|(number, _)| !settled.contains(*number));
                    prop_assert_eq!(told(&looked), told(&wanted.map(|(_, pod)| pod.clone()).collect::<Vec<_>>()));
                }
                Step::Settle(number) => {
                    let name = format!("pod-{number}");
                    unsettled.settle(|pod| name_of(pod) == name);
                    if seen.contains(&number) {
                        settled.insert(number);
                    }
                }
            }
            for run in 0..RUNS {
                let name = format!("run-{run}");
                let is_its = |pod: &&Arc<Pod>| label(&***pod, names::RUN) == Some(&name);
                let of_run = || there.values().filter(is_its).cloned();
                prop_assert_eq!(told(&pods.of_run("plant", &name)), told(&of_run().collect::<Vec<_>>()));
                let count = |phased: &str| u32::try_from(of_run().filter(|pod| phase(pod) == phased).count()).unwrap();
                let ended = Ended { succeeded: count("Succeeded"), failed: count("Failed") };
                prop_assert_eq!(pods.ended("plant", &name), ended);
            }
            settled.retain(|number| there.get(number).is_some_and(has_ended));
        }
    }
}
