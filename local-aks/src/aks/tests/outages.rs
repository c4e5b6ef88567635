//! Faults over real https: ordered, told, cleared, and what a client meets of them.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::super::PoolOptions;
use super::super::faults::{Fault, FaultOrder};
use super::stand::{SUBJECT, Stand};
use crate::faults::{Control, table};
use crate::machines::Becomes;

const SCOPE: &str = "https://management.azure.com/.default";

async fn status(stand: &Stand) -> Option<StatusCode> {
    Some(stand.ask(Method::GET, &stand.pool("/scoring")).send().await.ok()?.status())
}

/// Whether nothing listens where the Resource Manager was.
async fn is_refused(stand: &Stand) -> bool {
    let asked = stand.ask(Method::GET, &stand.pool("/scoring")).send().await;
    asked.is_err_and(|error| error.is_connect() && format!("{error:?}").contains("ConnectionRefused"))
}

#[tokio::test]
async fn while_throttled_everything_is_answered_429_until_it_is_cleared() {
    let stand = Stand::start().await;
    let standing = stand.order(json!({"throttle": {"retryAfterSeconds": 7}})).await;
    assert_eq!(standing["throttle"], json!({"retryAfterSeconds": 7}));
    for url in [stand.pool(""), stand.pool("/scoring"), stand.pool("/scoring/machines")] {
        let answer = stand.ask(Method::GET, &url).send().await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["retry-after"]),
            (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap())
        );
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "SubscriptionRequestsThrottled");
    }
    assert_eq!(stand.put("scoring", json!({"count": 1})).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let left = stand.control(Method::DELETE, "faults?kind=throttle", Value::Null).await;
    assert_eq!(left["throttle"], Value::Null);
    assert_eq!(status(&stand).await, Some(StatusCode::OK));
    stand.stop().await;
}

#[tokio::test]
async fn a_throttle_ends_by_itself_when_its_time_is_over() {
    let stand = Stand::start().await;
    stand.order(json!({"throttle": {"seconds": 0.3}})).await;
    assert_eq!(status(&stand).await, Some(StatusCode::TOO_MANY_REQUESTS));
    stand.until("the throttle to end", async || (status(&stand).await == Some(StatusCode::OK)).then_some(())).await;
    stand.stop().await;
}

#[tokio::test]
async fn an_unavailable_resource_manager_answers_503_and_tokens_are_still_to_be_had() {
    let stand = Stand::start().await;
    stand.order(json!({"down": {}})).await;
    assert_eq!(status(&stand).await, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert!(stand.token(SUBJECT, SCOPE).await.is_ok());
    stand.control(Method::DELETE, "faults", Value::Null).await;
    assert_eq!(status(&stand).await, Some(StatusCode::OK));
    stand.stop().await;
}

#[tokio::test]
async fn an_unavailable_token_endpoint_says_so_as_entra_id_does() {
    let stand = Stand::start().await;
    stand.order(json!({"down": {"what": "tokens"}})).await;
    let refusal = stand.token(SUBJECT, SCOPE).await.unwrap_err();
    assert_eq!((&refusal["error"], &refusal["error_codes"]), (&json!("temporarily_unavailable"), &json!([90_033])));
    assert_eq!(status(&stand).await, Some(StatusCode::OK), "who has a bearer is still served");
    stand.stop().await;
}

#[tokio::test]
async fn connections_are_refused_until_told_and_then_served_at_the_same_address() {
    let stand = Stand::start().await;
    assert_eq!(status(&stand).await, Some(StatusCode::OK), "and the connection is kept");
    stand.order(json!({"down": {"how": "refuse"}})).await;
    stand.until("connections to be refused", async || is_refused(&stand).await.then_some(())).await;
    assert!(stand.token(SUBJECT, SCOPE).await.is_ok(), "the token endpoint is another one");
    let standing = stand.control(Method::GET, "faults", Value::Null).await;
    assert_eq!(standing["down"], json!({"how": "refuse", "what": "arm"}));
    stand.control(Method::DELETE, "faults?kind=down", Value::Null).await;
    stand
        .until("the server to listen again", async || (status(&stand).await == Some(StatusCode::OK)).then_some(()))
        .await;
    stand.stop().await;
}

#[tokio::test]
async fn both_endpoints_refuse_for_a_time_and_come_back_by_themselves() {
    let stand = Stand::start().await;
    stand.order(json!({"down": {"how": "refuse", "what": "both", "seconds": 0.5}})).await;
    stand.until("connections to be refused", async || is_refused(&stand).await.then_some(())).await;
    stand
        .until("the server to listen again", async || (status(&stand).await == Some(StatusCode::OK)).then_some(()))
        .await;
    let token = stand.authority_url("/common/discovery/instance");
    stand.until("tokens again", async || stand.client.get(&token).send().await.ok()).await;
    stand.stop().await;
}

#[tokio::test]
async fn a_server_stops_while_its_endpoints_refuse() {
    let stand = Stand::start().await;
    stand.order(json!({"down": {"how": "refuse", "what": "both"}})).await;
    stand.until("connections to be refused", async || is_refused(&stand).await.then_some(())).await;
    stand.stop().await;
}

#[tokio::test]
async fn a_wrong_order_is_refused_by_its_field_and_nothing_of_it_holds() {
    let stand = Stand::start().await;
    let before = stand.control(Method::GET, "faults", Value::Null).await;
    for (faults, words) in [
        (json!({"quota": [{"cores": 1}], "throttle": {"retryAfterSeconds": 0}}), "throttle.retryAfterSeconds"),
        (json!({"quota": [{"cores": 1}, {"pool": "nowhere", "cores": 1}]}), "quota[1].pool"),
        (json!({"requests": [{"status": 204}]}), "requests[0].status: 204 is no error"),
        (json!({"down": {"what": "everything"}}), "down.what"),
    ] {
        let url = stand.control_url("/control/faults");
        let answer = stand.client.post(url).body(faults.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let told = answer.text().await.unwrap();
        assert!(told.contains(words), "{faults}: {told}");
    }
    assert_eq!(stand.control(Method::GET, "faults", Value::Null).await, before);
    let url = stand.control_url("/control/faults?kind=weather");
    let answer = stand.client.delete(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("'weather', only requests, provisioning"));
    stand.stop().await;
}

#[tokio::test]
async fn what_stands_is_told_and_cleared_kind_by_kind() {
    let stand = Stand::start().await;
    let faults = json!({
        "requests": [{"method": "PUT"}], "provisioning": [{"count": 2}], "quota": [{"cores": 8}], "throttle": {"seconds": 60},
        "preempt": [{"count": 1}], "neverReady": [{}], "reclaim": [{"count": 1}], "down": {"seconds": 60},
    });
    let kinds: Vec<String> = faults.as_object().unwrap().keys().cloned().collect();
    let standing = stand.order(faults).await;
    for kind in &kinds {
        assert!(!standing[kind].is_null() && standing[kind] != json!([]), "{kind}: {standing}");
    }
    assert!(standing["down"]["secondsLeft"].as_f64().unwrap() > 50.0);
    for kind in &kinds {
        let left = stand.control(Method::DELETE, &format!("faults?kind={kind}"), Value::Null).await;
        assert!(left[kind].is_null() || left[kind] == json!([]), "{kind}: {left}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn faults_of_the_options_hold_from_the_start_but_not_for_what_is_there_from_the_start() {
    let faults = json!({"quota": [{"pool": "scoring", "machines": 3}], "neverReady": [{"unregistered": true}]});
    let stand = Stand::start_with(|options| {
        options.pools = vec![
            PoolOptions::system("system", 1),
            PoolOptions { count: 1, spot: true, ..PoolOptions::user("scoring") },
        ];
        options.faults = FaultOrder::read(&faults.to_string()).unwrap();
    })
    .await;
    assert!(stand.machines.odd.lock().unwrap().is_empty());
    let answer = stand.put("scoring", json!({"count": 4})).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    stand.put("scoring", json!({"count": 2})).await.error_for_status().unwrap();
    let pool = stand.settled("scoring").await;
    assert_eq!((&pool["properties"]["scaleSetPriority"], &pool["properties"]["count"]), (&json!("Spot"), &json!(2)));
    assert_eq!(stand.machines.odd.lock().unwrap().values().collect::<Vec<_>>(), [&Becomes::Nothing]);
    stand.stop().await;
}

#[tokio::test]
async fn a_reclaimed_machine_is_told_stopped_and_only_then_deleted() {
    let stand = Stand::start().await;
    stand.put("scoring", json!({"count": 2})).await.error_for_status().unwrap();
    stand.settled("scoring").await;
    let standing = stand.order(json!({"reclaim": [{"pool": "scoring", "noticeSeconds": 0.3, "drain": true}]})).await;
    let machine = standing["notices"][0]["machine"].as_str().unwrap().to_owned();
    assert!(stand.machines.there.lock().unwrap().contains(&machine));
    let gone = async || (!stand.machines.there.lock().unwrap().contains(&machine)).then_some(());
    stand.until("the machine to go", gone).await;
    assert_eq!(*stand.cluster.warned.lock().unwrap(), [(machine.clone(), true)]);
    assert!(stand.machines.stopped.lock().unwrap().contains(&machine));
    assert_eq!(stand.get(&stand.pool("/scoring")).await["properties"]["count"], 1);
    assert_eq!(stand.control(Method::GET, "faults", Value::Null).await["notices"], json!([]));
    stand.stop().await;
}

#[tokio::test]
async fn a_preempted_operation_tells_the_client_that_follows_it() {
    let stand = Stand::start().await;
    stand.control(Method::PUT, "settings", json!({"provisioning": "1h"})).await;
    let answer = stand.put("scoring", json!({"count": 1})).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (operation, location) = (header("azure-asyncoperation"), header("location"));
    stand.order(json!({"preempt": [{"pool": "scoring"}]})).await;
    let ended = stand.get(&operation).await;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("Canceled"), &json!("AKSOperationPreempted")));
    let result = stand.ask(Method::GET, &location).send().await.unwrap();
    assert_eq!(result.status(), StatusCode::CONFLICT);
    let pool = stand.settled("scoring").await;
    assert_eq!(
        (&pool["properties"]["provisioningState"], &pool["properties"]["count"]),
        (&json!("Canceled"), &json!(0))
    );
    stand.stop().await;
}

#[tokio::test]
async fn the_command_line_orders_shows_and_clears() {
    let stand = Stand::start().await;
    let control = Control::at(&stand.control_url(""), &stand.ca()).unwrap();
    let quota: Fault = "quota --cores 8".parse().unwrap();
    let throttle: Fault = "throttle --for 2m".parse().unwrap();
    control.order(&quota.into()).await.unwrap();
    control.order(&throttle.into()).await.unwrap();
    let shown = table(&control.faults().await.unwrap());
    assert!(
        shown.contains("quota         at=request cores=8\nthrottle      retryAfterSeconds=10 secondsLeft="),
        "{shown}"
    );
    let wrong: Fault = "reclaim --pool nowhere".parse().unwrap();
    let told = control.order(&wrong.into()).await.unwrap_err().to_string();
    assert!(told.contains("reclaim[0].pool: there is no agent pool 'nowhere'"), "{told}");
    let left = control.clear(&["quota".to_owned(), "throttle".to_owned()]).await.unwrap();
    assert_eq!(table(&left), "no faults\n");
    assert_eq!(control.settings(&Map::new()).await.unwrap()["provisioning"], "50ms");
    let change = Map::from_iter([("provisioning".to_owned(), json!("1s..2s"))]);
    assert_eq!(control.settings(&change).await.unwrap()["provisioning"], "1s..2s");
    stand.stop().await;
}

#[tokio::test]
async fn settings_are_changed_while_it_runs_and_wrong_ones_named() {
    let stand = Stand::start_with(|options| options.seed = 42).await;
    let change = json!({"provisioning": "lognormal:p50=90s,p95=240s", "putBucket": "2/1h", "requestBucket": "500/1s"});
    let settings = stand.control(Method::PUT, "settings", change).await;
    assert_eq!((&settings["seed"], &settings["requestBucket"]), (&json!(42), &json!("500/1s")));
    assert_eq!(settings["provisioning"], "lognormal:p50=1m30s,p95=4m");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(stand.put("scoring", json!({"count": 0})).await.status().as_u16());
    }
    assert_eq!(answers, [200, 200, 429], "the bucket holds two");
    for (wrong, field) in [
        (json!({"provisioning": "soon"}), "provisioning"),
        (json!({"provisioning": "9s..1s"}), "must not be above"),
        (json!({"putBucket": "0/1s"}), "putBucket"),
        (json!({"deletingSeconds": -1}), "deletingSeconds"),
        (json!({"provisioningSeconds": 5}), "unknown field `provisioningSeconds`"),
    ] {
        let url = stand.control_url("/control/settings");
        let answer = stand.client.put(url).body(wrong.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let told = answer.text().await.unwrap();
        assert!(told.contains(field), "{wrong}: {told}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn machines_come_one_by_one_when_their_time_is_drawn() {
    let stand = Stand::start().await;
    stand.control(Method::PUT, "settings", json!({"provisioning": "10ms..2s"})).await;
    stand.put("scoring", json!({"count": 6})).await.error_for_status().unwrap();
    let some = async || {
        let listed = stand.get(&stand.pool("/scoring/machines")).await["value"].as_array().unwrap().len();
        (0 < listed && listed < 6).then_some(())
    };
    stand.until("some machines to be there before the others", some).await;
    assert_eq!(stand.settled("scoring").await["properties"]["count"], 6);
    stand.stop().await;
}
