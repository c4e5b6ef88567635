//! The request and response pairs of Azure's public specification, played against the server: each request is sent as
//! it is written there, and the answer must have every field of the example, of the same type, and what the request
//! set must come back as it was. What is not played, and what an answer need not have, is told.

mod compare;
mod operation;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::super::PoolOptions;
use super::super::route::API_VERSION;
use super::stand::Stand;
use compare::{Comparison, keeps, same_id};

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

async fn play(operation: &str, example: &Value) {
    let parameters = &example["parameters"];
    let text = |key: &str| parameters[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let name = text("agentPoolName").unwrap_or_default();
    let stand = Stand::start_with(|options| {
        options.subscription_id = text("subscriptionId").unwrap_or(options.subscription_id.clone());
        options.resource_group = text("resourceGroupName").unwrap_or(options.resource_group.clone());
        options.cluster_name = text("resourceName").unwrap_or(options.cluster_name.clone());
        options.pools = vec![PoolOptions::system("system", 1)];
        if name.is_empty() {
            options.pools.push(PoolOptions { count: 1, ..PoolOptions::user("agentpool1") });
        }
        options.provisioning = Duration::from_millis(10).into();
    })
    .await;
    let url = stand.pool(&format!("/{name}"));
    if operation != "AgentPools_CreateOrUpdate" && !name.is_empty() {
        stand.put(&name, json!({"count": 2})).await.error_for_status().unwrap();
        stand.settled(&name).await;
    }
    let expected = &example["responses"]["200"]["body"];
    let mut comparison = Comparison {
        asked: parameters["parameters"].get("properties"),
        later: operation.starts_with("Machines_") && parameters["api-version"] != API_VERSION,
        ..Comparison::default()
    };
    let machine = async || {
        stand.get(&stand.pool(&format!("/{name}/machines"))).await["value"][0]["name"].as_str().unwrap().to_owned()
    };
    match operation {
        "AgentPools_CreateOrUpdate" => put(&stand, &name, example, &mut comparison).await,
        "AgentPools_Get" => {
            let body = stand.get(&url).await;
            comparison.covers(expected, &body);
            same_id(expected, &body);
        }
        "AgentPools_List" => comparison.covers(expected, &stand.get(&stand.pool("")).await),
        "Machines_List" => {
            // Two machines, and the example shows a page that has a next one.
            stand.control(Method::PUT, "settings", json!({"machinesPerPage": 1})).await;
            comparison.covers(expected, &stand.get(&stand.pool(&format!("/{name}/machines"))).await);
        }
        "Machines_Get" => {
            let url = stand.pool(&format!("/{name}/machines/{}", machine().await));
            comparison.covers(expected, &stand.get(&url).await);
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
        other => panic!("{other} is not played"),
    }
    for place in comparison.spared {
        eprintln!("  not in the answer, and need not be: {place}");
    }
    stand.stop().await;
}

/// The PUT, and then the same once more.
async fn put(stand: &Stand, name: &str, example: &Value, comparison: &mut Comparison<'_>) {
    let asked = &example["parameters"]["parameters"];
    let power = &asked["properties"]["powerState"]["code"];
    if power.is_string() {
        // Starting and stopping are of a pool that there is, scaled by AKS.
        let there = json!({"count": 3, "enableAutoScaling": true, "minCount": 1, "maxCount": 5});
        stand.put(name, there).await.error_for_status().unwrap();
        stand.settled(name).await;
    }
    if power == "Running" {
        stand.put(name, json!({"powerState": {"code": "Stopped"}})).await.error_for_status().unwrap();
        stand.settled(name).await;
    }
    let url = stand.pool(&format!("/{name}"));
    for round in ["first", "second"] {
        let answer = stand.ask(Method::PUT, &url).json(asked).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert!(status == 200 || status == 201 && round == "first", "the {round} PUT: {status} {body}");
        let expected = &example["responses"][status.to_string()]["body"];
        if expected.is_object() {
            comparison.covers(expected, &body);
            same_id(expected, &body);
        }
        keeps(asked, &body);
        let settled = stand.settled(name).await;
        assert_eq!(settled["properties"]["provisioningState"], "Succeeded");
    }
}

#[tokio::test]
async fn the_public_examples_hold() {
    let (mut played, mut skipped) = (0, 0);
    for (path, example) in examples() {
        match operation::of(&path, &example) {
            Ok(operation) => {
                eprintln!("{}: {operation}", path.display());
                play(&operation, &example).await;
                played += 1;
            }
            Err(why) => {
                eprintln!("SKIPPED {}: {why}", path.display());
                skipped += 1;
            }
        }
    }
    eprintln!("{played} examples hold, {skipped} were skipped");
    assert!(played > 0 || skipped == 0, "none of {skipped} examples was played");
}
