//! The request and response pairs of Azure's public specification, played against the server: each request is sent as
//! it is written there, and the answer must have every field of the example, of the same type, and what the request
//! set must come back as it was.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::super::PoolOptions;
use super::stand::Stand;

/// From AKS_REST_EXAMPLES, or the folder beside the project.
fn examples() -> Vec<(PathBuf, Value)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/aks-rest-examples");
    let directory = std::env::var_os("AKS_REST_EXAMPLES").map_or(beside, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&directory) else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no examples in {}; set AKS_REST_EXAMPLES to a folder of them",
            directory.display()
        );
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let json = paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
    json.map(|path| (path.clone(), serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())).collect()
}

/// Every field of `expected` is in `actual`, with a value of the same type.
fn covers(expected: &Value, actual: &Value, at: &str) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                let found = actual.get(key).unwrap_or_else(|| panic!("{at}.{key} is missing in {actual:?}"));
                covers(value, found, &format!("{at}.{key}"));
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if let (Some(expected), Some(actual)) = (expected.first(), actual.first()) {
                covers(expected, actual, &format!("{at}[0]"));
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(expected),
            std::mem::discriminant(actual),
            "{at}: {actual} has another type than {expected}"
        ),
    }
}

/// What the request set came back as it was.
fn keeps(asked: &Value, answered: &Value) {
    for (key, value) in asked["properties"].as_object().unwrap() {
        if !(key == "orchestratorVersion" && value == "") {
            assert_eq!(&answered["properties"][key], value, "{key}");
        }
    }
}

/// An address with all that differs from run to run taken out.
fn shape(address: &str) -> Vec<String> {
    let path = url::Url::parse(address).unwrap().path().to_ascii_lowercase();
    let varies = |at: usize| matches!(at, 2 | 6 | 8);
    path.split('/').enumerate().map(|(at, part)| if varies(at) { "*".into() } else { part.to_owned() }).collect()
}

/// The answer has the example's status and headers.
fn accepted(example: &Value, answer: &Response) {
    let expected = &example["responses"][answer.status().as_u16().to_string()];
    assert!(!expected.is_null(), "{} is not in the example", answer.status());
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        let header = answer.headers().get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap();
        if name.eq_ignore_ascii_case("location") && !value.as_str().unwrap().contains("/operations/") {
            assert_eq!(shape(header), shape(value.as_str().unwrap()));
        }
    }
}

async fn play(example: &Value) {
    let parameters = &example["parameters"];
    let text = |key: &str| parameters[key].as_str().unwrap_or_default().to_owned();
    let name = text("agentPoolName");
    let stand = Stand::start_with(|options| {
        options.subscription_id = text("subscriptionId");
        options.resource_group = text("resourceGroupName");
        options.cluster_name = text("resourceName");
        options.pools = vec![PoolOptions::system("system", 1)];
        if name.is_empty() {
            options.pools.push(PoolOptions { count: 1, ..PoolOptions::user("agentpool1") });
        }
        options.provisioning = Duration::from_millis(10).into();
    })
    .await;
    let url = stand.pool(&format!("/{name}"));
    let operation = example["operationId"].as_str().unwrap();
    if operation != "AgentPools_CreateOrUpdate" && !name.is_empty() {
        stand.put(&name, json!({"count": 2})).await.error_for_status().unwrap();
        stand.settled(&name).await;
    }
    let machine = async || {
        stand.get(&stand.pool(&format!("/{name}/machines"))).await["value"][0]["name"].as_str().unwrap().to_owned()
    };
    match operation {
        "AgentPools_CreateOrUpdate" => {
            let asked = &parameters["parameters"];
            if asked["properties"].get("powerState").is_some() {
                // Starting and stopping are of a pool that there is, scaled by AKS.
                let there = json!({"count": 3, "enableAutoScaling": true, "minCount": 1, "maxCount": 5});
                stand.put(&name, there).await.error_for_status().unwrap();
                stand.settled(&name).await;
            }
            let put = async || stand.ask(Method::PUT, &url).json(asked).send().await.unwrap();
            let first = put().await;
            let status = first.status().as_u16().to_string();
            let body: Value = first.json().await.unwrap();
            covers(&example["responses"][&status]["body"], &body, "first");
            keeps(asked, &body);
            let settled = stand.settled(&name).await;
            assert_eq!(settled["properties"]["provisioningState"], "Succeeded");
            let again = put().await;
            assert_eq!(again.status().as_u16(), 200);
            let body: Value = again.json().await.unwrap();
            covers(&example["responses"]["200"]["body"], &body, "second");
            keeps(asked, &body);
            assert_eq!(body["id"], example["responses"]["200"]["body"]["id"]);
        }
        "AgentPools_Get" | "AgentPools_List" => {
            let url = if name.is_empty() { stand.pool("") } else { url };
            covers(&example["responses"]["200"]["body"], &stand.get(&url).await, "body");
        }
        "Machines_List" => {
            // Two machines, and the example shows a page that has a next one.
            stand.control(Method::PUT, "settings", json!({"machinesPerPage": 1})).await;
            let body = stand.get(&stand.pool(&format!("/{name}/machines"))).await;
            covers(&example["responses"]["200"]["body"], &body, "body");
        }
        "Machines_Get" => {
            let body = stand.get(&stand.pool(&format!("/{name}/machines/{}", machine().await))).await;
            covers(&example["responses"]["200"]["body"], &body, "body");
        }
        "AgentPools_DeleteMachines" => {
            let url = stand.pool(&format!("/{name}/deleteMachines"));
            let unknown = stand.ask(Method::POST, &url).json(&parameters["machines"]).send().await.unwrap();
            assert_eq!(unknown.status(), 400, "the example's machines are not ours");
            let mut asked = parameters["machines"].clone();
            asked["machineNames"] = json!([machine().await]);
            accepted(example, &stand.ask(Method::POST, &url).json(&asked).send().await.unwrap());
        }
        "AgentPools_Delete" => accepted(example, &stand.ask(Method::DELETE, &url).send().await.unwrap()),
        "AgentPools_AbortLatestOperation" => {
            let url = stand.pool(&format!("/{name}/abort"));
            assert_eq!(stand.ask(Method::POST, &url).send().await.unwrap().status(), 204, "nothing to abort");
            stand.control(Method::PUT, "settings", json!({"provisioning": "1h"})).await;
            stand.put(&name, json!({"count": 3})).await.error_for_status().unwrap();
            accepted(example, &stand.ask(Method::POST, &url).send().await.unwrap());
        }
        other => eprintln!("SKIPPED: {other} is not an operation of this stand-in"),
    }
    stand.stop().await;
}

#[tokio::test]
async fn the_public_examples_hold() {
    for (path, example) in examples() {
        eprintln!("{}", path.display());
        play(&example).await;
    }
}
