//! The pod of an item that a command of the user's scores: the scorer is put beside the command, into an image that knows
//! nothing of it.

use crds::Scorer;
use k8s_openapi::api::core::v1::ResourceRequirements;
use serde_json::{Map, Value, json};

use super::template::IMAGE;

/// Where the scorer's program is put.
pub(super) const DIR: &str = "/opt/batchscoring";
/// The volume that it is put into.
pub(super) const VOLUME: &str = "scorer-program";
/// How long an item's pod may take to end, where its schedule does not say.
const TERMINATION: u32 = 30;
/// How long before its pod's time is over a command is killed: what it left has to reach the store.
const LAST: u32 = 5;
/// What the container that only copies a file asks for of what the other one does: so the pod asks for no more than that
/// one, and is of the same quality of service.
const COPIED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Has the item of a pod scored by the schedule's command, if it has one. `image`: the scorer's own.
pub(super) fn command(pod: &mut Value, scorer: &Scorer, image: &str) {
    if scorer.command.is_none() {
        return;
    }
    let spec = &mut pod["spec"];
    let container = &mut spec["containers"][0];
    let own = scorer.image.as_deref().unwrap_or(image);
    container["image"] = json!(own);
    let env = container["env"].as_array_mut();
    if let Some(told) = env.and_then(|env| env.iter_mut().find(|env| env["name"] == IMAGE)) {
        told["value"] = json!(own);
    }
    container["command"] = json!([format!("{DIR}/scorer")]);
    let term = scorer.termination_grace_period_seconds.unwrap_or(TERMINATION);
    let grace = term.saturating_sub(LAST).max(term / 2);
    let mut args = vec!["exec".to_owned(), "--grace".to_owned(), grace.to_string()];
    let names: Vec<&str> = scorer.env.iter().map(|env| env.name.as_str()).collect();
    if !names.is_empty() {
        args.extend(["--keep-env".to_owned(), names.join(",")]);
    }
    // The first one is the subcommand.
    let given = container["args"].as_array().map_or(&[][..], |args| args.get(1..).unwrap_or_default());
    let args: Vec<Value> = args.into_iter().map(Value::from).chain(given.iter().cloned()).collect();
    container["args"] = Value::from(args);
    for (name, value) in [
        // The root of its files is read-only.
        ("HOME", "/tmp".to_owned()),
        // Not every image has certificates. SSL_CERT_FILE is the image's own, for the command.
        ("SCORING_CA_FILE", format!("{DIR}/ca-certificates.crt")),
    ] {
        if !names.contains(&name) {
            push(&mut container["env"], json!({"name": name, "value": value}));
        }
    }
    push(&mut container["volumeMounts"], json!({"name": VOLUME, "mountPath": DIR, "readOnly": true}));
    let install = json!([{
        "name": "install",
        "image": image,
        "args": ["install", DIR],
        "resources": copied(scorer.resources.as_ref(), &container["resources"]),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": VOLUME, "mountPath": DIR}],
        "securityContext": container["securityContext"],
    }]);
    spec["initContainers"] = install;
    push(&mut spec["volumes"], json!({"name": VOLUME, "emptyDir": {}}));
}

fn push(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn copied(said: Option<&ResourceRequirements>, whole: &Value) -> Value {
    if said.is_none() {
        return whole.clone();
    }
    let part = |of: &str| -> Map<String, Value> {
        let amounts = whole[of].as_object().into_iter().flatten();
        amounts.filter(|(name, _)| COPIED.contains(&name.as_str())).map(|(n, a)| (n.clone(), a.clone())).collect()
    };
    json!({"requests": part("requests"), "limits": part("limits")})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(scorer: &Value) -> Value {
        let scorer: Scorer = serde_json::from_value(scorer.clone()).unwrap();
        let mut pod = json!({"spec": {
            "containers": [{
                "name": "scorer", "image": "scorer:1", "args": ["item", "--request", "r.json"],
                "env": [{"name": IMAGE, "value": "scorer:1"}],
                "volumeMounts": [], "securityContext": {"readOnlyRootFilesystem": true},
                "resources": scorer.resources.as_ref().map_or(json!({"requests": {"cpu": "250m"}}), |r| json!(r)),
            }],
            "volumes": [],
        }});
        command(&mut pod, &scorer, "scorer:1");
        pod
    }

    #[test]
    fn without_a_command_a_pod_stays_as_it_is() {
        let pod = pod(&json!({"image": "own:1"}));
        assert_eq!(pod["spec"]["initContainers"], Value::Null);
        assert_eq!(pod["spec"]["containers"][0]["args"][0], "item");
    }

    #[test]
    fn the_scorer_runs_in_the_users_image_from_where_it_was_installed() {
        let pod = pod(&json!({"image": "own:1", "command": ["python"], "terminationGracePeriodSeconds": 60}));
        let (install, main) = (&pod["spec"]["initContainers"][0], &pod["spec"]["containers"][0]);
        assert_eq!((&install["image"], &install["args"][0]), (&json!("scorer:1"), &json!("install")));
        assert_eq!((&main["image"], &main["command"]), (&json!("own:1"), &json!(["/opt/batchscoring/scorer"])));
        assert_eq!(main["args"], json!(["exec", "--grace", "55", "--request", "r.json"]));
        assert_eq!(install["volumeMounts"][0]["mountPath"], main["volumeMounts"][0]["mountPath"]);
        assert_eq!(main["volumeMounts"][0]["readOnly"], true);
        assert_eq!(install["securityContext"], main["securityContext"]);
        assert_eq!(pod["spec"]["volumes"][0]["name"], VOLUME);
    }

    #[test]
    fn a_short_time_to_end_is_halved() {
        let grace = |seconds: u32| {
            let scorer = json!({"image": "own:1", "command": ["a"], "terminationGracePeriodSeconds": seconds});
            pod(&scorer)["spec"]["containers"][0]["args"][2].clone()
        };
        assert_eq!([grace(30), grace(8), grace(1)], [json!("25"), json!("4"), json!("0")]);
    }

    #[test]
    fn what_the_user_sets_is_kept_and_named() {
        let env = json!([{"name": "HOME", "value": "/data"}, {"name": "AZURE_CLIENT_ID", "value": "x"}]);
        let pod = pod(&json!({"image": "own:1", "command": ["a"], "env": env}));
        let main = &pod["spec"]["containers"][0];
        assert_eq!(main["args"][4], "HOME,AZURE_CLIENT_ID");
        let names: Vec<&Value> = main["env"].as_array().unwrap().iter().map(|env| &env["name"]).collect();
        assert_eq!(names, [IMAGE, "SCORING_CA_FILE"]);
        assert_eq!(main["env"][0]["value"], "own:1");
    }

    #[test]
    fn the_copying_container_asks_for_no_more_than_the_one_that_scores() {
        let resources = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2", "nvidia.com/gpu": "1"}});
        let pod = pod(&json!({"image": "own:1", "command": ["a"], "resources": resources}));
        let expected = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2"}});
        assert_eq!(pod["spec"]["initContainers"][0]["resources"], expected);
    }
}
