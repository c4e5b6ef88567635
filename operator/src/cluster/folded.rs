//! Which pods' ends are written down, so that their nodes may go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{ScoringRun, names};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};

use super::pods;
use crate::conditions::is_true;
use crate::context::{Ctx, label, namespace_of};
use crate::guard::Guard;
use crate::run::ends::{self, TakenDown};

/// What is written down of the pods of a run.
enum Written {
    /// All that will ever be.
    All,
    /// These.
    These(Arc<TakenDown>),
}

/// The ends of runs (namespace and name) as they were read last, each with the version of its ConfigMap: most looks find the
/// same again.
pub(super) type Read = BTreeMap<(String, String), (String, Arc<TakenDown>)>;

/// What is written down of runs, looked up once for each of them: a look asks for thousands of pods.
pub(super) struct Folded<'a> {
    ctx: &'a Ctx,
    runs: BTreeMap<(String, String), Written>,
    before: Read,
    read: Read,
}

impl<'a> Folded<'a> {
    /// As the caches have it, given what was read before.
    #[must_use]
    pub(super) fn of(ctx: &'a Ctx, before: Read) -> Self {
        Self { ctx, runs: BTreeMap::new(), before, read: Read::new() }
    }

    /// What was read of those that were asked for.
    pub(super) fn into_read(self) -> Read {
        self.read
    }

    /// Whether the end of this pod is written down, or need not be.
    #[must_use]
    pub(super) fn has(&mut self, pod: &Pod) -> bool {
        let Some(run) = label(pod, names::RUN).filter(|_| pods::is_item(pod)) else { return true };
        let (caches, namespace) = (&self.ctx.caches, namespace_of(pod));
        let (before, read) = (&mut self.before, &mut self.read);
        let written = self.runs.entry((namespace.to_owned(), run.to_owned())).or_insert_with_key(|key| {
            let map = caches.config_maps.get(namespace, &ends::config_map_name(run));
            Written::of(caches.runs.get(namespace, run).as_deref(), || {
                let version = map.as_deref().and_then(|map| map.metadata.resource_version.clone());
                let known = before.remove(key).filter(|(at, _)| Some(at) == version.as_ref());
                let ends = known.map_or_else(|| taken_down(map.as_deref()), |(_, ends)| ends);
                read.extend(version.map(|version| (key.clone(), (version, ends.clone()))));
                ends
            })
        });
        match written {
            Written::All => true,
            Written::These(ends) => ends.has(pod),
        }
    }
}

fn taken_down(map: Option<&ConfigMap>) -> Arc<TakenDown> {
    Arc::new(map.map(TakenDown::of).unwrap_or_default())
}

impl Written {
    fn of(run: Option<&Guard<ScoringRun>>, ends: impl FnOnce() -> Arc<TakenDown>) -> Self {
        let Some(run) = run else { return Self::All };
        // A run that cannot be read may be waiting for anything.
        let Ok(run) = run.0.as_ref() else { return Self::These(Arc::default()) };
        let conditions = run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        if ["Complete", "Failed", "Archived"].iter().any(|over| is_true(conditions, over)) {
            return Self::All;
        }
        Self::These(ends())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use spec::request::{PodEnd, PodEnds};

    use super::*;

    /// What is written down of a run's pods `u1` and `u2`, of which the first has its end in the ConfigMap.
    fn written(run: Option<&Value>) -> Vec<bool> {
        let end = json!({"pod": "p", "uid": "u1", "index": 0, "node": "n", "reason": "Completed"});
        let ends = PodEnds { ends: vec![serde_json::from_value::<PodEnd>(end).unwrap()], ..PodEnds::default() };
        let data = json!({"ends.json": serde_json::to_string(&ends).unwrap()});
        let map: ConfigMap = serde_json::from_value(json!({ "data": data })).unwrap();
        let run: Option<Guard<ScoringRun>> = run.map(|run| serde_json::from_value(run.clone()).unwrap());
        let pod = |uid: &str| serde_json::from_value::<Pod>(json!({"metadata": {"uid": uid}})).unwrap();
        match Written::of(run.as_ref(), || taken_down(Some(&map))) {
            Written::All => vec![true, true],
            Written::These(ends) => ["u1", "u2"].map(|uid| ends.has(&pod(uid))).to_vec(),
        }
    }

    fn run(spec: &Value, conditions: &Value) -> Value {
        json!({"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "metadata": {"name": "r"},
            "spec": spec, "status": {"conditions": conditions}})
    }

    #[test]
    fn a_pod_is_folded_once_its_uid_is_in_the_checkpoint() {
        let goes_on = run(&json!({"scheduleName": "hourly"}), &json!([]));
        assert_eq!(written(Some(&goes_on)), [true, false]);
    }

    #[test]
    fn of_a_run_that_is_over_or_gone_nothing_is_waited_for() {
        let archived = json!([{"type": "Archived", "status": "True", "reason": "Archived", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        assert_eq!(written(Some(&run(&json!({"scheduleName": "hourly"}), &archived))), [true, true]);
        assert_eq!(written(None), [true, true]);
    }

    #[test]
    fn a_run_that_cannot_be_read_may_be_waiting_for_anything() {
        assert_eq!(written(Some(&run(&json!({}), &json!([])))), [false, false]);
    }
}
