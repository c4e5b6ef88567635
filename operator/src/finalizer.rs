//! Finalizers: an object that carries one stays until it is taken off again.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Error;
use crate::apply::Manager;
use crate::context::name_of;
use crate::error::is_code;

/// Whether the object carries the finalizer.
#[must_use]
pub fn is_held<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.meta().finalizers.iter().flatten().any(|name| name == finalizer)
}

/// Puts a finalizer onto an object, or takes it off: of the version that was seen, so that nobody else's is lost. An
/// object that is gone needs no release.
///
/// # Errors
/// When the API server refuses or is not reached, or somebody changed the object since (`Conflict`).
pub async fn set<K>(api: &Api<K>, manager: Manager, object: &K, finalizer: &str, hold: bool) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    finalizers.retain(|name| name != finalizer);
    if hold {
        finalizers.push(finalizer.to_owned());
    }
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.meta().resource_version}});
    let params = PatchParams { field_manager: Some(manager.0.to_owned()), ..PatchParams::default() };
    match api.patch_metadata(name_of(object), &params, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(error) if !hold && is_code(&error, 404) => Ok(()),
        Err(error) => Err(Error::api("patch", &ObjectRef::from_obj(object))(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use crds::ScoringRun;
    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use serde_json::Value;

    use super::*;

    const MANAGER: Manager = Manager("batchscoring.dev/test");

    /// Sets a finalizer against an API server that answers so; gives what it was asked to write.
    async fn sent(hold: bool, code: u16) -> (Result<(), Error>, Value) {
        let asked = Arc::new(Mutex::new(Value::Null));
        let log = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let log = log.clone();
            async move {
                let body = request.into_body().collect_bytes().await.unwrap();
                *log.lock().unwrap() = serde_json::from_slice(&body).unwrap();
                let answer = match code {
                    200 => json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {}}),
                    _ => {
                        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "", "code": code})
                    }
                };
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        let api: Api<ScoringRun> = Api::namespaced(Client::new(service, "plant"), "plant");
        let run = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "spec": {"scheduleName": "hourly"},
            "metadata": {"name": "r", "namespace": "plant", "resourceVersion": "7", "finalizers": ["theirs", "ours"]},
        }))
        .unwrap();
        let result = set(&api, MANAGER, &run, "ours", hold).await;
        let sent = asked.lock().unwrap().clone();
        (result, sent)
    }

    #[tokio::test]
    async fn somebody_elses_finalizer_stays_and_only_the_version_that_was_seen_is_changed() {
        let (result, asked) = sent(false, 200).await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(asked, json!({"metadata": {"finalizers": ["theirs"], "resourceVersion": "7"}}));
        let (_, asked) = sent(true, 200).await;
        assert_eq!(asked["metadata"]["finalizers"], json!(["theirs", "ours"]));
    }

    #[tokio::test]
    async fn what_is_gone_needs_no_release_but_cannot_be_held() {
        assert!(sent(false, 404).await.0.is_ok());
        assert!(sent(true, 404).await.0.is_err());
        assert_eq!(sent(true, 409).await.0.unwrap_err().category(), crate::Category::Conflict);
    }
}
