//! The agentPools API over real https.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::stand::{SUBJECT, Stand, Start, VERSION};

async fn code(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

fn header(answer: &reqwest::Response, name: &str) -> String {
    answer.headers().get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_pool_grows_and_shrinks_by_name_and_the_operations_can_be_followed() {
    let stand = Stand::start().await;
    let answer = stand.put("scoring", json!({"count": 2})).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let (operation, location) = (header(&answer, "azure-asyncoperation"), header(&answer, "location"));
    assert!(operation.contains("/providers/Microsoft.ContainerService/locations/local/operations/"), "{operation}");
    assert!(location.contains("/operationresults/") && location.ends_with(VERSION), "{location}");
    let pool = stand.settled("scoring").await;
    assert_eq!((&pool["properties"]["count"], stand.machines.there.lock().unwrap().len()), (&json!(2), 3));
    let ended = stand.get(&operation).await;
    assert_eq!(ended["status"], "Succeeded");
    assert!(ended["startTime"].is_string() && ended["endTime"].is_string());
    assert_eq!(stand.get(&location).await["name"], "scoring");

    let machines = stand.get(&stand.pool("/scoring/machines")).await;
    let victim = machines["value"][0]["name"].as_str().unwrap().to_owned();
    let url = stand.pool("/scoring/deleteMachines");
    let answer = stand.ask(Method::POST, &url).json(&json!({"machineNames": [victim]})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(stand.settled("scoring").await["properties"]["count"], 1);
    assert!(!stand.machines.there.lock().unwrap().contains(&victim));
    let gone = stand.ask(Method::GET, &stand.pool(&format!("/scoring/machines/{victim}"))).send().await.unwrap();
    assert_eq!(code(gone).await, (404, "NotFound".into()));
    let log = stand.control(Method::GET, "log", Value::Null).await;
    let counts = json!({"scoring": 1, "system": 1});
    assert_eq!(log["counters"], json!({"machinesMade": 3, "machinesDeleted": 1, "counts": counts}));
    stand.stop().await;
}

#[tokio::test]
async fn an_operation_whose_machines_fail_or_panic_fails_and_the_pool_goes_on() {
    let stand = Stand::start().await;
    for (start, why) in [(Start::Fails, "no room"), (Start::Panics, "a panic: out of luck")] {
        *stand.machines.start.lock().unwrap() = start;
        let operation = header(&stand.put("scoring", json!({"count": 1})).await, "azure-asyncoperation");
        let pool = stand.settled("scoring").await;
        assert_eq!(
            (&pool["properties"]["provisioningState"], &pool["properties"]["count"]),
            (&json!("Failed"), &json!(0))
        );
        let ended = stand.get(&operation).await;
        assert_eq!(ended["status"], "Failed");
        assert!(ended["error"]["message"].as_str().unwrap().contains(why), "{ended}");
    }
    *stand.machines.start.lock().unwrap() = Start::Works;
    assert_eq!(stand.put("scoring", json!({"count": 1})).await.status(), StatusCode::OK);
    assert_eq!(stand.settled("scoring").await["properties"]["provisioningState"], "Succeeded");
    stand.stop().await;
}

#[tokio::test]
async fn while_an_operation_runs_its_addresses_say_so_and_the_pool_is_busy() {
    let stand = Stand::start().await;
    stand.control(Method::PUT, "settings", json!({"provisioning": "1h"})).await;
    let answer = stand.put("scoring", json!({"count": 1})).await;
    let (operation, location) = (header(&answer, "azure-asyncoperation"), header(&answer, "location"));
    assert_eq!(stand.get(&operation).await["status"], "InProgress");
    let waiting = stand.ask(Method::GET, &location).send().await.unwrap();
    assert_eq!(waiting.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&waiting, "location"), location);
    assert_eq!(code(stand.put("scoring", json!({"count": 2})).await).await, (409, "OperationNotAllowed".into()));
    let url = stand.pool("/scoring/abort");
    assert_eq!(stand.ask(Method::POST, &url).send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(stand.get(&operation).await["status"], "Canceled");
    stand.stop().await;
}

#[tokio::test]
async fn an_etag_that_is_not_the_pools_is_a_failed_precondition() {
    let stand = Stand::start().await;
    let url = stand.pool("/scoring");
    let answer = stand.ask(Method::GET, &url).send().await.unwrap();
    let etag = header(&answer, "etag");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(etag, format!("\"{}\"", body["properties"]["eTag"].as_str().unwrap()));
    let put = |condition: &'static str, etag: String, count: u32| {
        stand.ask(Method::PUT, &url).header(condition, etag).json(&json!({"properties": {"count": count}})).send()
    };
    assert_eq!(put("if-match", etag.clone(), 1).await.unwrap().status(), StatusCode::OK);
    stand.settled("scoring").await;
    assert_eq!(code(put("if-match", etag, 2).await.unwrap()).await, (412, "PreconditionFailed".into()));
    assert_eq!(code(put("if-none-match", "*".into(), 2).await.unwrap()).await.0, 412);
    assert_eq!(stand.settled("scoring").await["properties"]["count"], 1);
    stand.stop().await;
}

#[tokio::test]
async fn the_twenty_first_put_in_a_minute_is_throttled_and_told_when_to_come_back() {
    let stand = Stand::start().await;
    for left in (0..20).rev() {
        assert!(stand.put("scoring", json!({"count": 0})).await.status().is_success());
        let log = stand.control(Method::GET, "log", Value::Null).await;
        assert_eq!(log["requests"].as_array().unwrap().last().unwrap()["bucketLeft"], left);
    }
    let answer = stand.put("scoring", json!({"count": 0})).await;
    let wait: u64 = header(&answer, "retry-after").parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(code(answer).await, (429, "Throttled".into()));
    assert_eq!(
        stand.put("other", json!({"count": 0})).await.status(),
        StatusCode::CREATED,
        "each pool has its own bucket"
    );
    stand.stop().await;
}

#[tokio::test]
async fn other_requests_share_sixty_tokens() {
    let stand = Stand::start().await;
    let url = stand.pool("");
    let started = Instant::now();
    let mut served = 0;
    let refused = loop {
        let answer = stand.ask(Method::GET, &url).send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        served += 1;
        assert!(served < 1000 && started.elapsed() < Duration::from_secs(60), "never throttled");
    };
    assert!(served <= 60 + started.elapsed().as_secs() + 1, "{served} were served");
    assert_eq!(header(&refused, "retry-after"), "1");
    stand.stop().await;
}

#[tokio::test]
async fn requests_without_a_good_bearer_or_version_or_place_are_refused() {
    let stand = Stand::start().await;
    let url = stand.pool("/scoring");
    let without = stand.client.get(&url).send().await.unwrap();
    assert!(header(&without, "www-authenticate").contains(&stand.options.tenant_id));
    assert_eq!(code(without).await, (401, "AuthenticationFailed".into()));
    let wrong = stand.client.get(&url).bearer_auth("guessed").send().await.unwrap();
    assert_eq!(code(wrong).await, (401, "InvalidAuthenticationToken".into()));
    let ask = async |url: String| code(stand.ask(Method::GET, &url).send().await.unwrap()).await;
    assert_eq!(ask(url.replace(VERSION, "")).await, (400, "MissingApiVersionParameter".into()));
    assert_eq!(ask(url.replace(VERSION, "api-version=2020-01-01")).await, (400, "InvalidApiVersionParameter".into()));
    assert_eq!(ask(stand.pool("/nowhere")).await, (404, "NotFound".into()));
    assert_eq!(
        ask(url.replace("/resourceGroups/", "/resourceGroups/not-")).await,
        (404, "ResourceGroupNotFound".into())
    );
    assert_eq!(code(stand.ask(Method::PATCH, &url).send().await.unwrap()).await, (405, "HttpMethodNotAllowed".into()));
    let broken = stand.ask(Method::PUT, &url).body("{").send().await.unwrap();
    assert_eq!(code(broken).await, (400, "InvalidRequestContent".into()));
    stand.stop().await;
}

#[tokio::test]
async fn faults_strike_on_demand() {
    let stand = Stand::start().await;
    let lost = json!({"method": "PUT", "status": 500, "after": true});
    let refused = json!({"method": "PUT", "status": 503, "code": "ServerBusy", "retryAfterSeconds": 9});
    stand.control(Method::POST, "faults", json!({"requests": [refused, lost]})).await;
    let answer = stand.put("scoring", json!({"count": 1})).await;
    assert_eq!(header(&answer, "retry-after"), "9");
    assert_eq!(code(answer).await, (503, "ServerBusy".into()));
    assert_eq!(code(stand.put("scoring", json!({"count": 1})).await).await, (500, "InternalServerError".into()));
    assert_eq!(stand.settled("scoring").await["properties"]["count"], 1, "only the answer was lost");

    stand.control(Method::POST, "faults", json!({"provisioning": [{"kind": "quota"}]})).await;
    let answer = stand.put("scoring", json!({"count": 3})).await;
    let (operation, location) = (header(&answer, "azure-asyncoperation"), header(&answer, "location"));
    let pool = stand.settled("scoring").await;
    assert_eq!((&pool["properties"]["provisioningState"], &pool["properties"]["count"]), (&json!("Failed"), &json!(1)));
    assert_eq!(stand.get(&operation).await["error"]["code"], "QuotaExceeded");
    assert_eq!(code(stand.ask(Method::GET, &location).send().await.unwrap()).await, (400, "QuotaExceeded".into()));
    stand.stop().await;
}

#[tokio::test]
async fn the_log_tells_who_asked_what_and_what_was_answered() {
    let stand = Stand::start().await;
    let before = stand.control(Method::GET, "log", Value::Null).await;
    let last = before["requests"].as_array().unwrap().last().unwrap()["number"].as_u64().unwrap();
    stand.put("scoring", json!({"count": -1})).await;
    let log = stand.control(Method::GET, &format!("log?after={last}"), Value::Null).await;
    let [entry] = log["requests"].as_array().unwrap().as_slice() else { panic!("{log}") };
    assert_eq!(
        (&entry["method"], &entry["status"], &entry["code"]),
        (&json!("PUT"), &json!(400), &json!("InvalidParameter"))
    );
    assert_eq!(entry["subject"], SUBJECT);
    assert!(entry["path"].as_str().unwrap().ends_with("/agentPools/scoring"));
    stand.stop().await;
}

#[tokio::test]
async fn a_long_list_of_machines_comes_in_pages() {
    let stand = Stand::start().await;
    stand.control(Method::PUT, "settings", json!({"machinesPerPage": 2})).await;
    stand.put("scoring", json!({"count": 5})).await;
    stand.settled("scoring").await;
    let mut link = Some(stand.pool("/scoring/machines"));
    let mut pages = Vec::new();
    while let Some(url) = link {
        let page = stand.get(&url).await;
        pages.push(page["value"].as_array().unwrap().len());
        link = page["nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!(pages, [2, 2, 1]);
    stand.stop().await;
}

#[tokio::test]
async fn changed_taints_reach_the_nodes_that_are_there() {
    let stand = Stand::start().await;
    stand.put("scoring", json!({"count": 1})).await;
    stand.settled("scoring").await;
    stand.put("scoring", json!({"nodeTaints": ["a=b:NoSchedule"]})).await;
    stand.settled("scoring").await;
    let change = stand.cluster.restyled.lock().unwrap().pop().unwrap();
    assert_eq!((change.nodes.len(), change.add_taints[0].key.as_str()), (1, "a"));
    stand.stop().await;
}

#[tokio::test]
async fn a_stopped_server_no_longer_listens() {
    let stand = Stand::start().await;
    let (client, url) = (stand.client.clone(), stand.url("/healthz"));
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "ok");
    stand.stop().await;
    assert!(client.get(&url).send().await.is_err());
}
