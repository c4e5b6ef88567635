//! The pods of a run: what plan, item and archive pods have in common.

use crds::Scorer;
use k8s_openapi::api::core::v1::EnvVar;
use serde_json::{Value, json};

use super::manifests::{Frozen, request_name};
use super::secrets::{DATA, Mount, PREDICTIONS, STORE};
use super::{ends, exec, secrets};

/// Where pods find the request.
const REQUEST_DIR: &str = "/etc/batchscoring";
/// Where the archive pod finds the pods' ends.
pub(super) const ENDS_DIR: &str = "/etc/batchscoring-ends";
/// Where pods may write besides the store.
const TMP_DIR: &str = "/tmp";
/// The volumes that pods are given in any case.
pub(crate) const VOLUMES: [&str; 7] =
    ["request", "tmp", "ends", STORE.volume, DATA.volume, PREDICTIONS.volume, exec::VOLUME];
/// Where they have them, and whether nothing can be mounted inside.
pub(crate) const PATHS: [(&str, bool); 8] = [
    (REQUEST_DIR, true),
    (ENDS_DIR, true),
    (STORE.dir, true),
    (DATA.dir, true),
    (PREDICTIONS.dir, true),
    (TMP_DIR, false),
    (REPORT, true),
    (exec::DIR, true),
];
/// Where pods answer.
const REPORT: &str = "/dev/termination-log";
/// The name under which a pod is told its image.
pub(super) const IMAGE: &str = "SCORING_IMAGE";
/// The environment that pods are given in any case.
pub(crate) const ENV: [&str; 7] =
    ["SCORING_REPORT", "POD_UID", "NODE_NAME", IMAGE, STORE.variable, DATA.variable, PREDICTIONS.variable];
/// The label by which pods get a federated token.
pub(crate) const WORKLOAD_IDENTITY: &str = "azure.workload.identity/use";

impl Frozen {
    /// The template of a role's pods.
    pub(super) fn pod(&self, role: &str, args: &[&str], resources: &Value) -> Value {
        let scorer = &self.schedule.scorer;
        let mut labels = scorer.labels.clone();
        labels.insert(WORKLOAD_IDENTITY.to_owned(), "true".to_owned());
        labels.extend(self.labels(Some(role)));
        let run = &self.request.run;
        // Theirs first: what the API server says of the nth is then of the schedule's nth.
        let mut volumes: Vec<Value> = scorer.volumes.iter().map(|volume| json!(volume)).collect();
        let mut mounts: Vec<Value> = scorer.volume_mounts.iter().map(|mount| json!(mount)).collect();
        volumes.extend([
            json!({"name": "request", "configMap": {"name": request_name(run)}}),
            json!({"name": "tmp", "emptyDir": {}}),
        ]);
        mounts.extend([
            json!({"name": "request", "mountPath": REQUEST_DIR, "readOnly": true}),
            json!({"name": "tmp", "mountPath": TMP_DIR}),
        ]);
        if role == "archive" {
            volumes.push(json!({"name": "ends", "configMap": {"name": ends::config_map_name(run)}}));
            mounts.push(json!({"name": "ends", "mountPath": ENDS_DIR, "readOnly": true}));
        }
        for (Mount { volume, dir, .. }, secret) in secrets::of(&self.schedule) {
            volumes.push(json!({"name": volume, "secret": {"secretName": secret.name, "defaultMode": 0o440}}));
            mounts.push(json!({"name": volume, "mountPath": dir, "readOnly": true}));
        }
        json!({
            "metadata": {"labels": labels},
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": scorer.service_account_name.as_deref().unwrap_or("default"),
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "imagePullSecrets": scorer.image_pull_secrets,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "scorer",
                    "image": self.image,
                    "args": args,
                    "env": self.env(scorer),
                    "envFrom": scorer.env_from,
                    "resources": resources,
                    "terminationMessagePath": REPORT,
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
        env.push(json!({"name": "SCORING_REPORT", "value": REPORT}));
        env.push(json!({"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}));
        env.push(json!({"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}));
        env.push(json!({"name": IMAGE, "value": self.image}));
        let secrets = secrets::of(&self.schedule);
        env.extend(secrets.map(|(Mount { variable, dir, .. }, _)| json!({"name": variable, "value": dir})));
        env
    }
}
