//! The objects of a run: its ConfigMaps and Jobs.

use std::collections::BTreeMap;

use crds::schedule::Scorer;
use crds::{ScoringRun, ScoringScheduleSpec, names};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar};
use kube::Resource;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use spec::request::{PodEnds, RunRequest};

use super::ends;
use crate::Error;
use crate::context::{name_of, namespace_of};

/// The key of the request in its ConfigMap.
const REQUEST: &str = "request.json";
/// The key of the frozen schedule in the same ConfigMap.
const SCHEDULE: &str = "schedule.json";
/// Where pods find the request.
const REQUEST_DIR: &str = "/etc/batchscoring";
/// Where the archive pod finds the pods' ends.
const ENDS_DIR: &str = "/etc/batchscoring-ends";
/// Where pods find the store's Secret.
const SECRET_DIR: &str = "/var/run/secrets/batchscoring.dev/store";
/// The environment that pods are given in any case.
pub(crate) const ENV: [&str; 4] = ["SCORING_REPORT", "POD_UID", "NODE_NAME", "SCORING_STORE_SECRET_DIR"];
/// The label by which pods get a federated token.
pub(crate) const WORKLOAD_IDENTITY: &str = "azure.workload.identity/use";

/// How often an item is tried again where the schedule does not say.
const RETRIES: u32 = 2;

/// A run's request and its schedule as they were when it started.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frozen {
    pub(super) request: RunRequest,
    pub(super) schedule: ScoringScheduleSpec,
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
        Some(Self {
            request: serde_json::from_str(data.get(REQUEST)?).ok()?,
            schedule: serde_json::from_str(data.get(SCHEDULE)?).ok()?,
        })
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

    fn labels(&self, role: Option<&str>) -> BTreeMap<String, String> {
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
    pub(super) fn plan(&self, run: &ScoringRun, image: &str) -> Result<Job, Error> {
        let args = ["plan", "--request", "/etc/batchscoring/request.json"];
        self.helper(run, plan_name(name_of(run)), "plan", image, &args, None)
    }

    /// The archive Job: one pod, on a node outside the pool. One that gets no pod is given up, and tried anew.
    pub(super) fn archive(&self, run: &ScoringRun, image: &str) -> Result<Job, Error> {
        let ends = format!("{ENDS_DIR}/{}", ends::KEY);
        let args = ["archive", "--request", "/etc/batchscoring/request.json", "--ends", &ends];
        self.helper(run, archive_name(name_of(run)), "archive", image, &args, Some(600))
    }

    fn helper(
        &self,
        run: &ScoringRun,
        name: String,
        role: &'static str,
        image: &str,
        args: &[&str],
        deadline: Option<u32>,
    ) -> Result<Job, Error> {
        let pod = self.pod(role, image, args, &json!({"requests": {"cpu": "100m", "memory": "128Mi"}}));
        let spec = json!({
            "backoffLimit": 3,
            "activeDeadlineSeconds": deadline,
            "podFailurePolicy": {"rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": {"containerName": "scorer", "operator": "In", "values": [spec::report::exit::INVALID]}},
            ]},
            "template": pod,
        });
        self.job(run, name, role, &spec)
    }

    /// The Job of items: one index each, in the pool.
    pub(super) fn items(
        &self,
        run: &ScoringRun,
        image: &str,
        items: u32,
        parallelism: u32,
        agent_pool: &str,
    ) -> Result<Job, Error> {
        let scorer = &self.schedule.scorer;
        let least = || json!({"requests": {"cpu": "250m", "memory": "128Mi"}});
        let resources = scorer.resources.as_ref().map_or_else(least, |resources| json!(resources));
        let mut pod = self.pod("item", image, &["item", "--request", "/etc/batchscoring/request.json"], &resources);
        // A node that is lost takes its pods with it after a minute, or as soon as it is declared out of service; the taint
        // keeps strangers out of the pool.
        pod["spec"]["nodeSelector"] = json!({names::AGENT_POOL: agent_pool});
        pod["spec"]["tolerations"] = json!([
            {"key": names::POOL, "operator": "Equal", "value": self.schedule.cluster_ref.name, "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]);
        let spec = json!({
            "completionMode": "Indexed",
            "completions": items,
            "parallelism": parallelism,
            "backoffLimitPerIndex": self.retries(),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailIndex", "onExitCodes": {"containerName": "scorer", "operator": "In", "values": [spec::report::exit::INVALID]}},
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

    fn pod(&self, role: &str, image: &str, args: &[&str], resources: &Value) -> Value {
        let scorer = &self.schedule.scorer;
        let mut labels = scorer.labels.clone();
        labels.insert(WORKLOAD_IDENTITY.to_owned(), "true".to_owned());
        labels.extend(self.labels(Some(role)));
        let run = &self.request.run;
        let mut volumes = vec![
            json!({"name": "request", "configMap": {"name": request_name(run)}}),
            json!({"name": "tmp", "emptyDir": {}}),
        ];
        let mut mounts = vec![
            json!({"name": "request", "mountPath": REQUEST_DIR, "readOnly": true}),
            json!({"name": "tmp", "mountPath": "/tmp"}),
        ];
        if role == "archive" {
            volumes.push(json!({"name": "ends", "configMap": {"name": ends::config_map_name(run)}}));
            mounts.push(json!({"name": "ends", "mountPath": ENDS_DIR, "readOnly": true}));
        }
        if let Some(secret) = &self.schedule.store.secret_ref {
            volumes.push(json!({"name": "store", "secret": {"secretName": secret.name, "defaultMode": 0o440}}));
            mounts.push(json!({"name": "store", "mountPath": SECRET_DIR, "readOnly": true}));
        }
        json!({
            "metadata": {"labels": labels},
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": scorer.service_account_name.as_deref().unwrap_or("default"),
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "scorer",
                    "image": image,
                    "args": args,
                    "env": self.env(scorer),
                    "resources": resources,
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "volumeMounts": mounts,
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
                "volumes": volumes,
            },
        })
    }

    /// What a schedule adds comes first, so that it cannot take the place of what a pod is told by us.
    fn env(&self, scorer: &Scorer) -> Vec<Value> {
        let theirs = scorer.env.iter().filter(|env: &&EnvVar| !ENV.contains(&env.name.as_str()));
        let mut env: Vec<Value> = theirs.map(|env| json!(env)).collect();
        // glibc keeps what a thread gave back for that thread: with two arenas a pod needs half the memory, and no more time.
        if !scorer.env.iter().any(|env| env.name == "MALLOC_ARENA_MAX") {
            env.push(json!({"name": "MALLOC_ARENA_MAX", "value": "2"}));
        }
        env.push(json!({"name": "SCORING_REPORT", "value": "/dev/termination-log"}));
        env.push(json!({"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}));
        env.push(json!({"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}));
        if self.schedule.store.secret_ref.is_some() {
            env.push(json!({"name": "SCORING_STORE_SECRET_DIR", "value": SECRET_DIR}));
        }
        env
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
        };
        let job = frozen.items(&serde_json::from_value(run).unwrap(), "scorer", 24, 6, "scoring").unwrap();
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
    fn a_disruption_uses_up_no_retry_and_what_can_never_work_has_none() {
        let job = items(&json!({}));
        let rules = job.pod_failure_policy.unwrap().rules;
        let [disrupted, invalid] = rules.as_slice() else { panic!("{rules:?}") };
        let on = disrupted.on_pod_conditions.as_ref().unwrap();
        assert_eq!((disrupted.action.as_str(), on.len()), ("Ignore", 1));
        assert_eq!((on[0].type_.as_str(), on[0].status.as_str()), ("DisruptionTarget", "True"));
        let on = invalid.on_exit_codes.as_ref().unwrap();
        assert_eq!(
            (invalid.action.as_str(), on.operator.as_str(), on.values.as_slice()),
            ("FailIndex", "In", &[64][..])
        );
    }

    #[test]
    fn a_pod_tolerates_its_pool_and_for_a_minute_a_lost_node_and_nothing_else() {
        let tolerations = items(&json!({})).template.spec.unwrap().tolerations;
        let lost =
            |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60});
        let expected = json!([
            {"key": "batchscoring.dev/pool", "operator": "Equal", "value": "cpu", "effect": "NoSchedule"},
            lost("node.kubernetes.io/not-ready"),
            lost("node.kubernetes.io/unreachable"),
        ]);
        assert_eq!(json!(tolerations), expected);
    }
}
