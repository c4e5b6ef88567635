//! What happens where somebody was faster: against an API server that answers as told.

use serde_json::json;

use super::*;
use crate::testing::server;

fn exists() -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "AlreadyExists",
        "message": "configmaps \"hourly-1-request\" already exists", "code": 409});
    (409, status)
}

fn owned_by(uid: &str) -> (u16, Value) {
    let owner = json!({"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "name": "hourly-1", "uid": uid,
        "controller": true});
    let metadata = json!({"name": "hourly-1-request", "namespace": "plant", "ownerReferences": [owner]});
    (200, json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}))
}

fn gone() -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "message": "",
        "code": 404});
    (404, status)
}

fn run() -> ScoringRun {
    serde_json::from_value(json!({
        "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
        "metadata": {"name": "hourly-1", "namespace": "plant", "uid": "mine"}, "spec": {"scheduleName": "hourly"},
    }))
    .unwrap()
}

fn map() -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": "hourly-1-request", "namespace": "plant"}})).unwrap()
}

async fn create_request(answers: Vec<(u16, Value)>) -> (Result<(), Error>, usize) {
    let (client, asked) = server(answers);
    let result = create(&client, &run(), &map()).await;
    let asked = asked.lock().unwrap().len();
    (result, asked)
}

#[tokio::test]
async fn what_a_process_made_before_it_died_is_adopted() {
    let (result, asked) = create_request(vec![exists(), owned_by("mine")]).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn what_belongs_to_another_run_of_the_same_name_is_left_alone_and_told() {
    let (result, _) = create_request(vec![exists(), owned_by("another")]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    assert!(error.to_string().contains("hourly-1-request"), "{error}");
}

#[tokio::test]
async fn what_went_away_in_between_is_tried_again_soon() {
    let (result, _) = create_request(vec![exists(), gone()]).await;
    assert_eq!(result.unwrap_err().category(), crate::Category::Conflict);
}

#[tokio::test]
async fn a_checkpoint_that_the_run_has_already_is_not_taken_for_the_one_to_write() {
    let (client, _) = server(vec![exists(), owned_by("mine")]);
    assert!(matches!(create_new(&client, &run(), &map()).await, Ok(Created::Before(_))));
    let (client, _) = server(vec![exists(), owned_by("another")]);
    let error = create_new(&client, &run(), &map()).await.err().unwrap();
    assert_eq!(error.category(), crate::Category::Rejected, "{error}");
}

#[tokio::test]
async fn what_somebody_else_labelled_as_the_runs_stays() {
    let of = |name: &str, owner: &str| {
        let owner = json!({"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "name": "hourly-1",
            "uid": owner, "controller": true});
        let metadata = json!({"name": name, "namespace": "plant", "uid": "u", "ownerReferences": [owner]});
        Arc::new(serde_json::from_value::<ConfigMap>(json!({ "metadata": metadata })).unwrap())
    };
    let deleted = || (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
    for (labelled, expected) in [
        (
            vec![of("hourly-1-request", "mine"), of("notes", "another")],
            "DELETE /api/v1/namespaces/plant/configmaps/hourly-1-request",
        ),
        (
            vec![of("hourly-1-request", "mine"), of("hourly-1-ends", "mine")],
            "DELETE /api/v1/namespaces/plant/configmaps",
        ),
    ] {
        let (client, asked) = server(vec![deleted()]);
        delete_owned(&client, &run(), &labelled).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), [expected]);
    }
}

#[test]
fn what_the_nodes_were_is_written_down_only_once_it_is_known_for_good() {
    let told = |last: bool| {
        let mut run = run();
        let status = json!({"nodeSeconds": 90, "nodeSecondsFinal": last, "cost": "0.0048", "currency": "EUR"});
        run.status = Some(serde_json::from_value(status).unwrap());
        spent(&run)
    };
    assert_eq!(told(false), None);
    assert_eq!(json!(told(true)), json!({"nodeSeconds": 90, "cost": "0.0048", "currency": "EUR"}));
    assert_eq!(spent(&run()), None);
}
