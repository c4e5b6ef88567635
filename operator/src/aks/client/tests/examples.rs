//! Every request and response pair of the public specification that concerns us goes through the client.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;

/// The folder of the examples: `AKS_REST_EXAMPLES`, or a folder next to the repository.
fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/aks-rest-examples");
    let named = std::env::var_os("AKS_REST_EXAMPLES").map(PathBuf::from);
    Some(named.unwrap_or(beside)).filter(|folder| folder.is_dir())
}

#[tokio::test]
async fn the_examples_of_the_specification_pass_through_the_client() {
    let Some(folder) = folder() else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no examples of the AKS REST API; set AKS_REST_EXAMPLES to a folder of them"
        );
        return;
    };
    let mut passed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let example: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let pairs = pass(&name, &example).await;
            println!(
                "{name}: {pairs} pairs{}",
                if pairs == 0 { " (SKIPPED: an operation that is not ours)" } else { "" }
            );
            passed += pairs;
        }
    }
    assert!(passed > 0, "no example was of an operation that is ours");
}

/// Sends an example's request and answers with each of its responses. Returns how many there were.
async fn pass(name: &str, example: &Value) -> usize {
    let (double, client) = server().await;
    let parameters = &example["parameters"];
    let text = |key: &str| parameters[key].as_str().unwrap_or_default().to_owned();
    let pool = AksPool {
        subscription_id: text("subscriptionId"),
        resource_group: text("resourceGroupName"),
        cluster_name: text("resourceName"),
        agent_pool: text("agentPoolName"),
    };
    let path = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerService/managedClusters/{}/agentPools/{}",
        pool.subscription_id, pool.resource_group, pool.cluster_name, pool.agent_pool
    );
    let mut pairs = 0;
    for (status, response) in example["responses"].as_object().unwrap() {
        let Ok(code) = status.parse() else { continue };
        let body = &response["body"];
        let headers: Vec<(&'static str, &str)> =
            [("location", "location"), ("azure-asyncoperation", "Azure-AsyncOperation")]
                .iter()
                .filter_map(|(ours, theirs)| Some((*ours, response["headers"][*theirs].as_str()?)))
                .collect();
        let text = if body.is_null() { String::new() } else { body.to_string() };
        double.then(code, &headers, &text);
        let (verb, below, sent) = match example["operationId"].as_str().unwrap_or_default() {
            "AgentPools_Get" => {
                let read = client.get(&pool).await.unwrap_or_else(|e| panic!("{name} {status}: {e}"));
                assert_eq!(read.object(), body.as_object().unwrap(), "{name}");
                check(&read, body);
                ("GET", "", &Value::Null)
            }
            "AgentPools_CreateOrUpdate" => {
                let wanted = parameters["parameters"].as_object().unwrap().clone();
                let wanted = AgentPool::new(wanted, parameters["If-Match"].as_str().map(str::to_owned));
                let made = client.put(&pool, &wanted).await.unwrap_or_else(|e| panic!("{name} {status}: {e}"));
                check(&made, body);
                ("PUT", "", &parameters["parameters"])
            }
            "AgentPools_DeleteMachines" => {
                let names: Vec<String> =
                    serde_json::from_value(parameters["machines"]["machineNames"].clone()).unwrap();
                client.delete_machines(&pool, &names).await.unwrap_or_else(|e| panic!("{name} {status}: {e}"));
                ("POST", "/deleteMachines", &parameters["machines"])
            }
            "Machines_List" => {
                let listed = client.machines(&pool).await;
                match body["nextLink"].as_str() {
                    // The examples lead to a host of their own, which gets no token of ours.
                    Some(link) => assert!(listed.unwrap_err().message.contains(link), "{name}"),
                    None => assert_eq!(listed.unwrap().names.len(), body["value"].as_array().unwrap().len(), "{name}"),
                }
                let mut alone = body.clone();
                alone["nextLink"] = Value::Null;
                double.asked();
                double.then(200, &[], &alone);
                let names: Vec<&Value> = body["value"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
                assert_eq!(json!(client.machines(&pool).await.unwrap().names), json!(names), "{name}");
                ("GET", "/machines", &Value::Null)
            }
            _ => return 0,
        };
        let asked = double.asked();
        assert_eq!(asked.len(), 1, "{name}");
        assert_eq!((asked[0].verb.as_str(), &asked[0].path), (verb, &format!("{path}{below}")), "{name}");
        assert_eq!(asked[0].query, "api-version=2026-03-01", "{name}");
        assert_eq!(&asked[0].body, sent, "{name}");
        pairs += 1;
    }
    pairs
}

fn check(pool: &AgentPool, body: &Value) {
    let properties = &body["properties"];
    assert_eq!(u64::from(pool.count()), properties["count"].as_u64().unwrap_or_default());
    assert_eq!(pool.provisioning_state(), properties["provisioningState"].as_str().unwrap_or_default());
    assert_eq!(pool.is_system(), properties["mode"] == "System");
    assert_eq!(pool.is_autoscaled(), properties["enableAutoScaling"] == true);
}
