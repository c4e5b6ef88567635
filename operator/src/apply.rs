//! Writes of status by server-side apply: one field manager per controller, and none when nothing changes.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Error;

/// The field manager of a controller, such as `batchscoring.dev/cluster`.
#[derive(Clone, Copy, Debug)]
pub struct Manager(pub &'static str);

impl Manager {
    /// Applies the part of a status that this controller owns, unless `current` (the same part, as last seen) equals
    /// it. Returns whether it wrote. The object's UID goes with it, so that a new object of the same name is not touched.
    ///
    /// # Errors
    /// When the API server refuses or is not reached.
    pub async fn status<A, K, S>(self, api: &Api<A>, object: &K, current: Option<&S>, wanted: &S) -> Result<bool, Error>
    where
        A: DeserializeOwned + Clone + Debug,
        K: Resource<DynamicType = ()>,
        S: Serialize + PartialEq,
    {
        if current == Some(wanted) {
            return Ok(false);
        }
        let name = object.meta().name.as_deref().unwrap_or_default();
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": name, "uid": object.meta().uid },
            "status": wanted,
        });
        let params = PatchParams::apply(self.0).force();
        let object = ObjectRef::from_obj(object);
        api.patch_status(name, &params, &Patch::Apply(&patch)).await.map_err(Error::api("write status of", &object))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crds::ScoringSchedule;
    use serde_json::Value;

    use super::*;
    use crate::guard::Guard;
    use crate::testing::server;

    #[tokio::test]
    async fn the_status_of_a_schedule_whose_spec_is_wrong_is_written_and_no_error() {
        let mut answer = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"name": "hourly", "namespace": "plant"},
            "spec": {
                "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "store": {"url": "az://models"},
                "model": {"path": "models/{device}"}, "data": {"path": "d.csv"},
            },
        });
        let schedule: ScoringSchedule = serde_json::from_value(answer.clone()).unwrap();
        answer["spec"]["model"]["path"] = Value::from("models/{device");
        let (client, asked) = server(vec![(200, answer)]);
        let api: Api<Guard<ScoringSchedule>> = Api::namespaced(client, "plant");
        let wrote = Manager("batchscoring.dev/test").status(&api, &schedule, None, &json!({"nextTick": null})).await;
        assert!(wrote.unwrap());
        let path = "PATCH /apis/batchscoring.dev/v1alpha1/namespaces/plant/scoringschedules/hourly/status";
        assert_eq!(*asked.lock().unwrap(), [path]);
    }
}
