//! The pods of a run: what plan, item and archive pods have in common.

use crds::Scorer;
use k8s_openapi::api::core::v1::EnvVar;
use serde_json::{Value, json};
use spec::work::SecretRef;

use super::manifests::{Frozen, request_name};
use super::{ends, exec};

/// Where pods find the request.
const REQUEST_DIR: &str = "/etc/batchscoring";
/// Where the archive pod finds the pods' ends.
pub(super) const ENDS_DIR: &str = "/etc/batchscoring-ends";
/// Where pods find the store's Secret.
const SECRET_DIR: &str = "/var/run/secrets/batchscoring.dev/store";
/// Where pods find the Secret of the database of readings, and the volume of it.
const DATA_SECRET_DIR: &str = "/var/run/secrets/batchscoring.dev/data-sql";
const DATA_SECRET: &str = "data-sql";
/// The same of the database of predictions.
const PREDICTIONS_SECRET_DIR: &str = "/var/run/secrets/batchscoring.dev/predictions-sql";
const PREDICTIONS_SECRET: &str = "predictions-sql";
/// Where pods may write besides the store.
const TMP_DIR: &str = "/tmp";
/// The volumes that pods are given in any case.
pub(crate) const VOLUMES: [&str; 7] =
    ["request", "tmp", "ends", "store", DATA_SECRET, PREDICTIONS_SECRET, exec::VOLUME];
/// Where they have them, and whether nothing can be mounted inside.
pub(crate) const PATHS: [(&str, bool); 8] = [
    (REQUEST_DIR, true),
    (ENDS_DIR, true),
    (SECRET_DIR, true),
    (DATA_SECRET_DIR, true),
    (PREDICTIONS_SECRET_DIR, true),
    (TMP_DIR, false),
    (REPORT, true),
    (exec::DIR, true),
];
/// Where pods answer.
const REPORT: &str = "/dev/termination-log";
/// The name under which a pod is told its image.
pub(super) const IMAGE: &str = "SCORING_IMAGE";
/// The environment that pods are given in any case.
pub(crate) const ENV: [&str; 7] = [
    "SCORING_REPORT",
    "POD_UID",
    "NODE_NAME",
    IMAGE,
    "SCORING_STORE_SECRET_DIR",
    "SCORING_DATA_SECRET_DIR",
    "SCORING_PREDICTIONS_SECRET_DIR",
];
/// The label by which pods get a federated token.
pub(crate) const WORKLOAD_IDENTITY: &str = "azure.workload.identity/use";

/// A Secret that pods mount, and the variable that tells them where.
struct Mounted<'a> {
    volume: &'static str,
    dir: &'static str,
    variable: &'static str,
    secret: &'a SecretRef,
}

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
        for Mounted { volume, dir, secret, .. } in self.secrets() {
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
        env.extend(self.secrets().map(|Mounted { variable, dir, .. }| json!({"name": variable, "value": dir})));
        env
    }

    /// The Secrets that its pods mount.
    fn secrets(&self) -> impl Iterator<Item = Mounted<'_>> {
        let (store, data) = (&self.schedule.store.secret_ref, &self.schedule.data.sql);
        let store = store.as_ref().map(|secret| Mounted {
            volume: "store",
            dir: SECRET_DIR,
            variable: "SCORING_STORE_SECRET_DIR",
            secret,
        });
        let data = data.as_ref().map(|sql| Mounted {
            volume: DATA_SECRET,
            dir: DATA_SECRET_DIR,
            variable: "SCORING_DATA_SECRET_DIR",
            secret: &sql.secret_ref,
        });
        let predictions = self.schedule.predictions.sql.as_ref().map(|sql| Mounted {
            volume: PREDICTIONS_SECRET,
            dir: PREDICTIONS_SECRET_DIR,
            variable: "SCORING_PREDICTIONS_SECRET_DIR",
            secret: &sql.secret_ref,
        });
        store.into_iter().chain(data).chain(predictions)
    }
}
