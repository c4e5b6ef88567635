//! The objects of a run: its ConfigMaps and Jobs.

use std::collections::BTreeMap;

use crds::{ScoringRun, ScoringScheduleSpec, names};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Resource;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use spec::report::exit;
use spec::request::{PodEnds, RunRequest};

use super::template::ENDS_DIR;
use super::{ends, exec};
use crate::Error;
use crate::cluster::PoolNodes;
use crate::context::{name_of, namespace_of};

/// The key of the request in its ConfigMap.
const REQUEST: &str = "request.json";
/// The key of the frozen schedule in the same ConfigMap.
const SCHEDULE: &str = "schedule.json";

/// The key of the scorer's image in the same ConfigMap.
const IMAGE: &str = "image";

/// How often an item is tried again where the schedule does not say.
const RETRIES: u32 = 2;

/// A run's request and its schedule as they were when it started.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frozen {
    pub(super) request: RunRequest,
    pub(super) schedule: ScoringScheduleSpec,
    /// The scorer's image: an upgrade of the operator in the middle of a run must not mix two scorers.
    pub(super) image: String,
}

/// The request's ConfigMap's name.
pub(super) fn request_name(run: &str) -> String {
    format!("{run}-request")
}

/// The plan Job's name.
pub(super) fn plan_name(run: &str) -> String {
    format!("{run}-plan")
}

/// The archive Job's name.
pub(super) fn archive_name(run: &str) -> String {
    format!("{run}-archive")
}

impl Frozen {
    /// Reads what was frozen.
    pub(super) fn read(config_map: &ConfigMap) -> Option<Self> {
        let data = config_map.data.as_ref()?;
        let schedule: ScoringScheduleSpec = serde_json::from_str(data.get(SCHEDULE)?).ok()?;
        // Those of earlier versions have it in the schedule.
        let image = data.get(IMAGE).cloned().or_else(|| schedule.scorer.image.clone())?;
        Some(Self { request: serde_json::from_str(data.get(REQUEST)?).ok()?, schedule, image })
    }

    /// The ConfigMap that freezes it.
    pub(super) fn config_map(&self, run: &ScoringRun) -> Result<ConfigMap, Error> {
        let text = |value: Result<String, serde_json::Error>| {
            value.map_err(|source| Error::Json { doing: format!("freeze run {}", name_of(run)), source })
        };
        Ok(ConfigMap {
            metadata: self.meta(run, request_name(name_of(run)), None),
            immutable: Some(true),
            data: Some(BTreeMap::from([
                (REQUEST.to_owned(), text(serde_json::to_string(&self.request))?),
                (SCHEDULE.to_owned(), text(serde_json::to_string(&self.schedule))?),
                (IMAGE.to_owned(), self.image.clone()),
            ])),
            ..ConfigMap::default()
        })
    }

    /// How often an item is tried again.
    pub(super) fn retries(&self) -> u32 {
        self.schedule.retries.unwrap_or(RETRIES)
    }

    /// The checkpoint of pod ends.
    pub(super) fn ends_config_map(&self, run: &ScoringRun, ends: &PodEnds) -> Result<ConfigMap, Error> {
        let text = serde_json::to_string(ends)
            .map_err(|source| Error::Json { doing: format!("write the pod ends of run {}", name_of(run)), source })?;
        Ok(ConfigMap {
            metadata: self.meta(run, ends::config_map_name(name_of(run)), None),
            data: Some(BTreeMap::from([(ends::KEY.to_owned(), text)])),
            ..ConfigMap::default()
        })
    }

    pub(super) fn labels(&self, role: Option<&str>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            (names::RUN.to_owned(), self.request.run.clone()),
            (names::SCHEDULE.to_owned(), self.request.schedule.clone()),
            (names::POOL.to_owned(), self.schedule.cluster_ref.name.clone()),
        ]);
        labels.extend(role.map(|role| (names::ROLE.to_owned(), role.to_owned())));
        labels
    }

    fn meta(&self, run: &ScoringRun, name: String, role: Option<&str>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(namespace_of(run).to_owned()),
            labels: Some(self.labels(role)),
            owner_references: run.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        }
    }

    /// The plan Job: one pod, on a node outside the pool.
    pub(super) fn plan(&self, run: &ScoringRun) -> Result<Job, Error> {
        let args = ["plan", "--request", "/etc/batchscoring/request.json"];
        self.helper(run, plan_name(name_of(run)), "plan", &args, None)
    }

    /// The archive Job: one pod, on a node outside the pool. One that gets no pod is given up, and tried anew.
    pub(super) fn archive(&self, run: &ScoringRun) -> Result<Job, Error> {
        let ends = format!("{ENDS_DIR}/{}", ends::KEY);
        let args = ["archive", "--request", "/etc/batchscoring/request.json", "--ends", &ends];
        self.helper(run, archive_name(name_of(run)), "archive", &args, Some(600))
    }

    fn helper(
        &self,
        run: &ScoringRun,
        name: String,
        role: &'static str,
        args: &[&str],
        deadline: Option<u32>,
    ) -> Result<Job, Error> {
        let pod = self.pod(role, args, &json!({"requests": {"cpu": "100m", "memory": "128Mi"}}));
        let spec = json!({
            "backoffLimit": 3,
            "activeDeadlineSeconds": deadline,
            "podFailurePolicy": {"rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                // Kubernetes waits longer before each new pod, up to ten minutes; the run's deadline is the bound.
                {"action": "Ignore", "onExitCodes": {"containerName": "scorer", "operator": "In", "values": [exit::AWAY]}},
                {"action": "FailJob", "onExitCodes": {"containerName": "scorer", "operator": "In", "values": [exit::INVALID]}},
            ]},
            "template": pod,
        });
        self.job(run, name, role, &spec)
    }

    /// The Job of items: one index each, in the pool.
    pub(super) fn items(&self, run: &ScoringRun, items: u32, parallelism: u32, pool: &PoolNodes) -> Result<Job, Error> {
        let scorer = &self.schedule.scorer;
        let least = || json!({"requests": {"cpu": "250m", "memory": "128Mi"}});
        let resources = scorer.resources.as_ref().map_or_else(least, |resources| json!(resources));
        let mut pod = self.pod("item", &["item", "--request", "/etc/batchscoring/request.json"], &resources);
        // A node that is lost takes its pods with it after a minute, or as soon as it is declared out of service; the taint
        // keeps strangers out of the pool, and another is on the nodes of a spot pool.
        pod["spec"]["schedulingGates"] = json!([{"name": names::SLOT_GATE}]);
        pod["spec"]["nodeSelector"] = json!(pool.selector());
        pod["spec"]["tolerations"] = json!([
            {"key": names::POOL, "operator": "Equal", "value": self.schedule.cluster_ref.name, "effect": "NoSchedule"},
            {"key": names::SPOT, "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]);
        if let Some(all) = pod["spec"]["tolerations"].as_array_mut() {
            all.extend(pool.tolerations().into_iter().map(|toleration| json!(toleration)));
        }
        // An item that is stopped starts anew, so whoever packs nodes more densely is asked to let it end.
        pod["metadata"]["annotations"] = json!({
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            "karpenter.sh/do-not-disrupt": "true",
        });
        if let Some(seconds) = scorer.termination_grace_period_seconds {
            pod["spec"]["terminationGracePeriodSeconds"] = json!(seconds);
        }
        exec::command(&mut pod, scorer, &self.image);
        let spec = json!({
            "completionMode": "Indexed",
            "completions": items,
            "parallelism": parallelism,
            "backoffLimitPerIndex": self.retries(),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                // Kubernetes waits longer before each new pod, up to ten minutes; the run's deadline is the bound.
                {"action": "Ignore", "onExitCodes": {"containerName": "scorer", "operator": "In", "values": [exit::AWAY]}},
                {"action": "FailIndex", "onExitCodes": {"containerName": "scorer", "operator": "In", "values": [exit::INVALID]}},
            ]},
            "template": pod,
        });
        self.job(run, name_of(run).to_owned(), "item", &spec)
    }

    fn job(&self, run: &ScoringRun, name: String, role: &str, spec: &Value) -> Result<Job, Error> {
        let doing = format!("describe Job {name}");
        let metadata = self.meta(run, name, Some(role));
        serde_json::from_value(json!({"metadata": metadata, "spec": spec}))
            .map_err(|source| Error::Json { doing, source })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::JobSpec;

    use super::*;

    /// The Job of items of a schedule with these fields.
    fn items(fields: &Value) -> JobSpec {
        let work = json!({
            "store": {"url": "file:///mnt"}, "model": {"path": "models/model_{device}"}, "data": {"path": "data/d.csv"},
        });
        let mut schedule = json!({"clusterRef": {"name": "cpu"}, "schedule": "@hourly"});
        for (key, value) in work.as_object().unwrap().iter().chain(fields.as_object().unwrap()) {
            schedule[key] = value.clone();
        }
        let request = json!({"namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "u",
            "tick": "2026-01-01T00:00:00Z", "work": work});
        let run = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "hourly-1", "namespace": "plant", "uid": "u"}, "spec": {"scheduleName": "hourly"},
        });
        let frozen = Frozen {
            request: serde_json::from_value(request).unwrap(),
            schedule: serde_json::from_value(schedule).unwrap(),
            image: "scorer".to_owned(),
        };
        let job = frozen.items(&serde_json::from_value(run).unwrap(), 24, 6, &PoolNodes::default()).unwrap();
        job.spec.unwrap()
    }

    #[test]
    fn each_item_has_retries_of_its_own_and_one_that_fails_stops_no_other() {
        let job = items(&json!({"retries": 5}));
        assert_eq!(
            (job.completion_mode.as_deref(), job.completions, job.parallelism),
            (Some("Indexed"), Some(24), Some(6))
        );
        assert_eq!((job.backoff_limit_per_index, job.max_failed_indexes), (Some(5), None));
        assert_eq!(items(&json!({})).backoff_limit_per_index, Some(2));
    }

    #[test]
    fn a_disruption_or_a_store_that_is_away_uses_up_no_retry_and_what_can_never_work_has_none() {
        let job = items(&json!({}));
        let rules = job.pod_failure_policy.unwrap().rules;
        let [disrupted, away, invalid] = rules.as_slice() else { panic!("{rules:?}") };
        let on = disrupted.on_pod_conditions.as_ref().unwrap();
        assert_eq!((disrupted.action.as_str(), on.len()), ("Ignore", 1));
        assert_eq!((on[0].type_.as_str(), on[0].status.as_str()), ("DisruptionTarget", "True"));
        let on = away.on_exit_codes.as_ref().unwrap();
        assert_eq!((away.action.as_str(), on.operator.as_str(), on.values.as_slice()), ("Ignore", "In", &[69][..]));
        let on = invalid.on_exit_codes.as_ref().unwrap();
        assert_eq!(
            (invalid.action.as_str(), on.operator.as_str(), on.values.as_slice()),
            ("FailIndex", "In", &[64][..])
        );
    }

    #[test]
    fn whoever_scales_nodes_by_other_rules_is_asked_not_to_stop_a_pod() {
        let annotations = items(&json!({})).template.metadata.unwrap().annotations.unwrap();
        assert_eq!(annotations["karpenter.sh/do-not-disrupt"], "true");
        assert_eq!(annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"], "false");
    }

    #[test]
    fn a_pod_waits_until_its_run_has_a_slot_for_it() {
        let gates = items(&json!({})).template.spec.unwrap().scheduling_gates;
        assert_eq!(json!(gates), json!([{"name": "batchscoring.dev/slot"}]));
    }

    #[test]
    fn a_pod_tolerates_its_pool_and_for_a_minute_a_lost_node_and_nothing_else() {
        let tolerations = items(&json!({})).template.spec.unwrap().tolerations;
        let lost =
            |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60});
        let expected = json!([
            {"key": "batchscoring.dev/pool", "operator": "Equal", "value": "cpu", "effect": "NoSchedule"},
            {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
            lost("node.kubernetes.io/not-ready"),
            lost("node.kubernetes.io/unreachable"),
        ]);
        assert_eq!(json!(tolerations), expected);
    }
}
