//! The workload-identity webhook as AKS installs it: pods labelled `azure.workload.identity/use: "true"` get what
//! Azure's clients need to exchange their ServiceAccount's token.

use std::collections::BTreeMap;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::identity::AUDIENCE;

const NAME: &str = "azure-wi-webhook-mutating-webhook-configuration";
const VOLUME: &str = "azure-identity-token";
const MOUNT: &str = "/var/run/secrets/azure/tokens";
const ANNOTATION: &str = "azure.workload.identity/";
const EXPIRATION: std::ops::RangeInclusive<i64> = 3600..=86_400;

/// What the webhook tells pods of the cloud around them.
#[derive(Debug, Clone)]
pub(super) struct Cloud {
    pub(super) tenant_id: String,
    pub(super) authority_host: String,
}

/// Answers an AdmissionReview. `annotations` are those of the pod's ServiceAccount; None where there is none.
pub(super) fn review(review: &Value, cloud: &Cloud, annotations: Option<&BTreeMap<String, String>>) -> Value {
    let request = &review["request"];
    let outcome = match annotations {
        Some(annotations) => patch(&request["object"], cloud, annotations),
        None => Err(format!(
            "ServiceAccount {}/{} was not found",
            request["namespace"].as_str().unwrap_or_default(),
            service_account(&request["object"])
        )),
    };
    let mut response = json!({"uid": request["uid"], "allowed": outcome.is_ok()});
    match outcome {
        Ok(patch) => {
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(STANDARD.encode(Value::Array(patch).to_string()));
        }
        Err(message) => response["status"] = json!({"code": 400, "message": message}),
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

/// Whose token the pod of a review will use.
pub(super) fn service_account(pod: &Value) -> &str {
    pod["spec"]["serviceAccountName"].as_str().filter(|name| !name.is_empty()).unwrap_or("default")
}

fn patch(pod: &Value, cloud: &Cloud, account: &BTreeMap<String, String>) -> Result<Vec<Value>, String> {
    let of_pod = |name: &str| pod["metadata"]["annotations"][format!("{ANNOTATION}{name}")].as_str();
    let of_account = |name: &str| account.get(&format!("{ANNOTATION}{name}")).map(String::as_str);
    let expiration = match of_pod("service-account-token-expiration").or(of_account("service-account-token-expiration"))
    {
        None => *EXPIRATION.start(),
        Some(text) => text.parse().ok().filter(|seconds| EXPIRATION.contains(seconds)).ok_or_else(|| {
            format!(
                "token expiration {text} not valid. Expected value to be between {} and {}",
                EXPIRATION.start(),
                EXPIRATION.end()
            )
        })?,
    };
    let skipped: Vec<&str> = of_pod("skip-containers").unwrap_or_default().split(';').map(str::trim).collect();
    // Without the annotation the real webhook injects all but the client id, and the SDK's own default decides.
    let env = [
        ("AZURE_CLIENT_ID", of_account("client-id").unwrap_or_default().to_owned()),
        ("AZURE_TENANT_ID", of_account("tenant-id").unwrap_or(&cloud.tenant_id).to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", format!("{MOUNT}/{VOLUME}")),
        ("AZURE_AUTHORITY_HOST", cloud.authority_host.clone()),
    ];
    let mut patch = Vec::new();
    for kind in ["initContainers", "containers"] {
        let Some(containers) = pod["spec"][kind].as_array() else { continue };
        let mut containers = containers.clone();
        for container in &mut containers {
            if !skipped.contains(&container["name"].as_str().unwrap_or_default()) {
                equip(container, &env);
            }
        }
        patch.push(json!({"op": "add", "path": format!("/spec/{kind}"), "value": containers}));
    }
    let volume = json!({"name": VOLUME, "projected": {"sources": [{"serviceAccountToken": {
        "path": VOLUME, "expirationSeconds": expiration, "audience": AUDIENCE,
    }}]}});
    let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    volumes.retain(|one| one["name"] != VOLUME);
    volumes.push(volume);
    patch.push(json!({"op": "add", "path": "/spec/volumes", "value": volumes}));
    Ok(patch)
}

/// Adds what a container lacks; what it sets itself stays.
fn equip(container: &mut Value, env: &[(&str, String)]) {
    let mut variables = container["env"].as_array().cloned().unwrap_or_default();
    for (name, value) in env {
        if !value.is_empty() && !variables.iter().any(|one| one["name"] == *name) {
            variables.push(json!({"name": name, "value": value}));
        }
    }
    container["env"] = Value::Array(variables);
    let mut mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
    mounts.retain(|one| one["name"] != VOLUME);
    mounts.push(json!({"name": VOLUME, "mountPath": MOUNT, "readOnly": true}));
    container["volumeMounts"] = Value::Array(mounts);
}

/// The configuration that makes the API server ask `url`, trusting `ca` (PEM). Labelled pods are refused while the
/// webhook does not answer, as on AKS: a pod without its identity would only fail later.
pub(super) fn configuration(url: &str, ca: &[u8]) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME, "labels": {"azure-workload-identity.io/system": "true"}},
        "webhooks": [{
            "name": "mutation.azure-workload-identity.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": url, "caBundle": STANDARD.encode(ca)},
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "reinvocationPolicy": "IfNeeded",
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "objectSelector": {"matchLabels": {"azure.workload.identity/use": "true"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}],
        }],
    })
}

/// Installs the configuration, or brings an older one up to date.
pub(super) async fn install(client: Client, url: &str, ca: &[u8]) -> anyhow::Result<()> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(client);
    let params = PatchParams::apply("local-aks").force();
    api.patch(NAME, &params, &Patch::Apply(configuration(url, ca)))
        .await
        .with_context(|| format!("install the workload-identity webhook {NAME}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Cloud {
        Cloud { tenant_id: "tenant".into(), authority_host: "https://10.244.0.1:8443/".into() }
    }

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "labels": {"azure.workload.identity/use": "true"}},
            "spec": {
                "serviceAccountName": "scorer",
                "initContainers": [{"name": "init"}],
                "containers": [
                    {"name": "main", "env": [{"name": "AZURE_TENANT_ID", "value": "own"}], "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
                    {"name": "side"},
                ],
            },
        })
    }

    /// The patch of an answer, as path and value.
    fn patched(answer: &Value) -> BTreeMap<String, Value> {
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        let patch: Vec<Value> = serde_json::from_slice(&patch).unwrap();
        patch.into_iter().map(|one| (one["path"].as_str().unwrap().to_owned(), one["value"].clone())).collect()
    }

    fn ask(pod: &Value, annotations: Option<&[(&str, &str)]>) -> Value {
        let annotations: Option<BTreeMap<String, String>> = annotations
            .map(|list| list.iter().map(|(key, value)| (format!("{ANNOTATION}{key}"), (*value).to_owned())).collect());
        review(&json!({"request": {"uid": "u", "namespace": "ns", "object": pod}}), &cloud(), annotations.as_ref())
    }

    fn env(container: &Value) -> BTreeMap<&str, &str> {
        let list = container["env"].as_array().unwrap();
        list.iter().map(|one| (one["name"].as_str().unwrap(), one["value"].as_str().unwrap())).collect()
    }

    #[test]
    fn every_container_gets_the_environment_and_the_token() {
        let answer = ask(&pod(), Some(&[("client-id", "client")]));
        assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("u"), &json!(true)));
        let patch = patched(&answer);
        for container in [&patch["/spec/initContainers"][0], &patch["/spec/containers"][1]] {
            let expected = BTreeMap::from([
                ("AZURE_CLIENT_ID", "client"),
                ("AZURE_TENANT_ID", "tenant"),
                ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"),
                ("AZURE_AUTHORITY_HOST", "https://10.244.0.1:8443/"),
            ]);
            assert_eq!(env(container), expected);
            assert_eq!(container["volumeMounts"][0]["mountPath"], MOUNT);
        }
        let token = &patch["/spec/volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!((&token["audience"], &token["expirationSeconds"]), (&json!(AUDIENCE), &json!(3600)));
    }

    #[test]
    fn what_a_container_sets_itself_stays() {
        let patch = patched(&ask(&pod(), Some(&[("client-id", "client")])));
        let main = &patch["/spec/containers"][0];
        assert_eq!(env(main)["AZURE_TENANT_ID"], "own");
        assert_eq!(main["volumeMounts"][0]["name"], "data");
    }

    #[test]
    fn without_the_annotation_only_the_client_id_is_missing() {
        let patch = patched(&ask(&pod(), Some(&[])));
        let env = env(&patch["/spec/containers"][1]);
        assert!(!env.contains_key("AZURE_CLIENT_ID"));
        assert_eq!(env["AZURE_TENANT_ID"], "tenant");
    }

    #[test]
    fn skipped_containers_are_left_alone() {
        let mut pod = pod();
        pod["metadata"]["annotations"] = json!({"azure.workload.identity/skip-containers": "side; other"});
        assert_eq!(patched(&ask(&pod, Some(&[])))["/spec/containers"][1], json!({"name": "side"}));
    }

    #[test]
    fn a_mutated_pod_is_not_changed_again() {
        let mut pod = pod();
        let first = patched(&ask(&pod, Some(&[("client-id", "client")])));
        for (path, value) in &first {
            pod["spec"][path.rsplit('/').next().unwrap()] = value.clone();
        }
        assert_eq!(patched(&ask(&pod, Some(&[("client-id", "client")]))), first);
    }

    #[test]
    fn a_bad_expiration_or_a_missing_service_account_is_refused_with_the_reason() {
        let answer = ask(&pod(), Some(&[("service-account-token-expiration", "60")]));
        assert_eq!(answer["response"]["allowed"], json!(false));
        assert!(answer["response"]["status"]["message"].as_str().unwrap().contains("between 3600 and 86400"));
        let answer = ask(&pod(), None);
        assert_eq!(answer["response"]["status"]["message"], "ServiceAccount ns/scorer was not found");
    }
}
