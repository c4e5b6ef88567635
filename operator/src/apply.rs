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
    pub async fn status<K, S>(self, api: &Api<K>, object: &K, current: Option<&S>, wanted: &S) -> Result<bool, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
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
