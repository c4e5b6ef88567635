//! What the chart and `examples/ingest` say of ingest fits together, and its configuration is one. With a helm that was built
//! before (`cargo local-aks up`), what the chart makes of it is looked at, too.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

use ingest::config::Config;
use serde_json::Value;

/// The Deployment of the README's release, `batch-scoring`.
const DEPLOYMENT: &str = "batch-scoring-ingest";

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|document| !document.is_null()).collect()
}

fn one(path: &str) -> Value {
    documents(&text(path)).remove(0)
}

fn of_kind<'a>(all: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    assert!(found.is_some(), "no {kind} {name}");
    found.unwrap()
}

#[test]
fn the_configuration_of_the_charts_ci_values_is_one() {
    let values = one("charts/batch-scoring/ci/values.yaml");
    let config = serde_json::to_string_pretty(&values["ingest"]["config"]).unwrap();
    let config = Config::read("ci/values.yaml", &config).unwrap();
    assert!(config.sql.is_some() && config.archive.is_some() && config.event.filter.is_some(), "{config:?}");
}

#[test]
fn the_chart_has_no_ingest_where_nobody_asks_for_it() {
    assert_eq!(one("charts/batch-scoring/values.yaml")["ingest"]["enabled"], false);
}

#[test]
fn the_charts_deployment_is_called_as_the_examples_of_autoscaling_call_it() {
    // That of a release whose name contains the chart's is the release's, and of ingest it is that with -ingest.
    let helpers = text("charts/batch-scoring/templates/_helpers.tpl");
    for line in [
        "{{- if contains .Chart.Name .Release.Name -}}\n{{- .Release.Name | trunc 52 | trimSuffix \"-\" -}}",
        "{{- define \"batch-scoring.ingest\" -}}\n{{- printf \"%s-ingest\" (include \"batch-scoring.fullname\" .) -}}",
    ] {
        assert!(helpers.contains(line), "{line}");
    }
    let template = text("charts/batch-scoring/templates/ingest.yaml");
    assert!(template.contains("kind: Deployment\nmetadata:\n  name: {{ include \"batch-scoring.ingest\" . }}"));

    let keda = documents(&text("examples/ingest/keda.yaml"));
    let hpa = documents(&text("examples/ingest/hpa.yaml"));
    let scalers = [of_kind(&keda, "ScaledObject", "ingest"), of_kind(&hpa, "HorizontalPodAutoscaler", "ingest")];
    for scaler in scalers {
        let target = &scaler["spec"]["scaleTargetRef"];
        assert_eq!((&target["kind"], &target["name"]), (&"Deployment".into(), &DEPLOYMENT.into()), "{scaler}");
    }
    // One Secret, one namespace, and one opinion on how many records are too many.
    let trigger = &scalers[0]["spec"]["triggers"][0];
    let authentication =
        of_kind(&keda, "TriggerAuthentication", trigger["authenticationRef"]["name"].as_str().unwrap());
    let metric = &scalers[1]["spec"]["metrics"][0]["pods"];
    assert_eq!(trigger["metadata"]["lagThreshold"], metric["target"]["averageValue"]);
    assert_eq!(metric["metric"]["name"], "ingest_lag_records");
    let namespaces = [scalers[0], scalers[1], authentication].map(|object| &object["metadata"]["namespace"]);
    assert!(namespaces.iter().all(|namespace| *namespace == "batch-scoring"), "{namespaces:?}");
}

/// What helm says of the chart with its ci values and some more; None where helm was not built.
fn helm(more: &[&str]) -> Option<Output> {
    let helm = workspace().join("target/local-aks/bin/helm");
    if !helm.exists() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no helm at {}; cargo local-aks up builds it", helm.display());
        return None;
    }
    let chart = workspace().join("charts/batch-scoring");
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(helm);
    command.args(["template", "batch-scoring"]).arg(&chart).args(["--namespace", "batch-scoring", "--values"]);
    command.arg(chart.join("ci/values.yaml")).args(more).env("HOME", home.path());
    Some(command.output().unwrap())
}

fn rendered(more: &[&str]) -> Option<Vec<Value>> {
    let output = helm(more)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(documents(std::str::from_utf8(&output.stdout).unwrap()))
}

#[test]
fn pods_have_the_configuration_as_it_is_in_the_values_and_a_changed_one_starts_new_ones() {
    let Some(all) = rendered(&[]) else { return };
    let text = of_kind(&all, "ConfigMap", DEPLOYMENT)["data"]["ingest.yaml"].as_str().unwrap().to_owned();
    let config = Config::read("ingest.yaml", &text).unwrap();
    let values = one("charts/batch-scoring/ci/values.yaml");
    let written = serde_json::to_string_pretty(&values["ingest"]["config"]).unwrap();
    assert_eq!(config, Config::read("values.yaml", &written).unwrap());

    let checksum = |all: &[Value]| {
        let annotations = &of_kind(all, "Deployment", DEPLOYMENT)["spec"]["template"]["metadata"]["annotations"];
        annotations["checksum/config"].as_str().unwrap().to_owned()
    };
    let changed = rendered(&["--set", "ingest.config.windows.length=10s"]).unwrap();
    assert_ne!(checksum(&all), checksum(&changed));
}

#[test]
fn each_secret_is_mounted_where_the_environment_says() {
    let Some(all) = rendered(&[]) else { return };
    let pod = &of_kind(&all, "Deployment", DEPLOYMENT)["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let list = |of: &Value| of.as_array().unwrap().clone();
    let named = |of: &Value, name: &str| list(of).into_iter().find(|entry| entry["name"] == name).unwrap();
    for (variable, volume, secret) in [
        ("INGEST_KAFKA_SECRET_DIR", "kafka", "event-hubs"),
        ("INGEST_STORE_SECRET_DIR", "store", "store"),
        ("INGEST_SQL_SECRET_DIR", "sql", "database"),
    ] {
        let dir = &named(&container["env"], variable)["value"];
        assert_eq!(&named(&container["volumeMounts"], volume)["mountPath"], dir);
        assert_eq!(named(&pod["volumes"], volume)["secret"]["secretName"], secret);
    }
    for mount in list(&container["volumeMounts"]) {
        named(&pod["volumes"], mount["name"].as_str().unwrap());
    }
}

#[test]
fn an_autoscaler_says_how_many_replicas_there_are_where_the_values_do_not() {
    let Some(all) = rendered(&["--set", "ingest.replicas=null"]) else { return };
    let spec = of_kind(&all, "Deployment", DEPLOYMENT)["spec"].clone();
    assert!(spec.get("replicas").is_none(), "{spec}");
    of_kind(&all, "PodDisruptionBudget", DEPLOYMENT);
    let one = rendered(&["--set", "ingest.replicas=1"]).unwrap();
    let budgets = one.iter().filter(|object| object["kind"] == "PodDisruptionBudget");
    assert!(budgets.into_iter().all(|budget| budget["metadata"]["name"] != DEPLOYMENT), "a drain would wait for ever");
}

#[test]
fn what_is_missing_is_told_by_its_name() {
    for (without, told) in [("images.ingest=", "images.ingest"), ("ingest.config.store=null", "store")] {
        let Some(output) = helm(&["--set", without]) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(told), "{without}: {said}");
    }
}

#[test]
fn selectors_keep_the_pods_of_operator_and_ingest_apart() {
    let Some(all) = rendered(&[]) else { return };
    let component = |name: &str| {
        let spec = &of_kind(&all, "Deployment", name)["spec"];
        let labels = [&spec["selector"]["matchLabels"], &spec["template"]["metadata"]["labels"]];
        let [selects, has] = labels.map(|labels| labels["app.kubernetes.io/component"].as_str().unwrap().to_owned());
        assert_eq!(selects, has);
        has
    };
    assert_eq!((component("batch-scoring"), component(DEPLOYMENT)), ("operator".into(), "ingest".into()));
    for object in all.iter().filter(|object| object["kind"] == "Service" || object["kind"] == "PodDisruptionBudget") {
        let selector = object["spec"]["selector"].get("matchLabels").unwrap_or(&object["spec"]["selector"]);
        assert!(selector["app.kubernetes.io/component"].is_string(), "{object}");
    }
}
