//! Pods that try what a scorer needs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{LogParams, PostParams};
use local_aks::Facts;
use local_aks::images::Platform;
use serde_json::{Value, json};

use crate::wait;

const NAMESPACE: &str = "probe";

/// Makes a namespace that admits restricted pods only.
pub(crate) async fn namespace(kube: &kube::Client) -> anyhow::Result<()> {
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }))?;
    Api::all(kube.clone()).create(&PostParams::default(), &namespace).await?;
    let accounts = Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(kube.clone(), NAMESPACE);
    wait("the default ServiceAccount", Duration::from_secs(20), async || Ok(accounts.get_opt("default").await?))
        .await?;
    Ok(())
}

/// Pushes an image with kubectl and crane, which speak to everything that a pod has to reach.
pub(crate) fn push_image(facts: &Facts) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let layer = folder.path().join("layer.tar");
    let run = |command: &mut Command| {
        let output = command.output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    run(Command::new("tar").arg("-cf").arg(&layer).arg("-C").arg(&facts.bin_dir).args(["kubectl", "crane"]))?;
    let image = format!("{}/probe:1", facts.registry);
    let crane = || Command::new(facts.bin_dir.join("crane"));
    run(crane().args(["append", "--insecure", "--oci-empty-base", "-t", &image, "-f"]).arg(&layer))?;
    let platform = Platform::here()?.to_string();
    run(crane().args(["mutate", "--insecure", &image, "--set-platform", &platform, "-t", &image]))?;
    Ok(image)
}

fn spec(image: &str, command: &[&str], placement: &Value) -> Value {
    let mut spec = json!({
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "probe",
            "image": image,
            "command": command,
            "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        }],
    });
    for (name, value) in placement.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    spec
}

/// Runs a command in a pod to its end and gives its phase and log.
pub(crate) async fn run(
    kube: &kube::Client,
    name: &str,
    image: &str,
    command: &[&str],
    placement: &Value,
) -> anyhow::Result<(String, String)> {
    let pods = Api::<Pod>::namespaced(kube.clone(), NAMESPACE);
    let pod = json!({"metadata": {"name": name}, "spec": spec(image, command, placement)});
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let phase = wait(&format!("the pod {name} to end"), Duration::from_secs(60), async || {
        let phase = pods.get(name).await?.status.and_then(|status| status.phase);
        Ok(phase.filter(|phase| phase == "Succeeded" || phase == "Failed"))
    })
    .await?;
    Ok((phase, pods.logs(name, &LogParams::default()).await?))
}

/// Runs a Job of so many pods to its end.
pub(crate) async fn job(kube: &kube::Client, pods: i32, placement: &Value) -> anyhow::Result<()> {
    let jobs = Api::<Job>::namespaced(kube.clone(), NAMESPACE);
    let template = json!({"spec": spec("probe", &["probe"], placement)});
    let spec = json!({"completions": pods, "parallelism": pods, "completionMode": "Indexed", "template": template});
    let job = json!({"metadata": {"name": "many"}, "spec": spec});
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
    wait("the Job to end", Duration::from_secs(120), async || {
        let status = jobs.get("many").await?.status.context("the Job has no status")?;
        Ok((status.succeeded == Some(pods)).then_some(()))
    })
    .await
}
