//! Objects that may not deserialise: they break no watch, and are told which field is wrong, and what to write.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An object, or its metadata and what is wrong with the rest. (kube's own guard does not tell the field.)
#[derive(Clone, Debug)]
pub struct Guard<K>(pub Result<K, Broken>);

/// An object that does not deserialise.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{wrong}")]
pub struct Broken {
    /// The field's path, what is wrong with it, and what to write.
    pub wrong: String,
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// All of it, for what of it can be read.
    pub object: Value,
}

impl<'de, K: DeserializeOwned + Resource> Deserialize<'de> for Guard<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(match serde_path_to_error::deserialize(&value) {
            Ok(object) => Ok(object),
            Err(error) => {
                let metadata = value.get("metadata").ok_or_else(|| D::Error::missing_field("metadata"))?;
                let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
                let wrong = sentence(&error.path().to_string(), &error.inner().to_string());
                Err(Broken { wrong, metadata, object: value })
            }
        }))
    }
}

impl<K: Resource> Resource for Guard<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|broken| &broken.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|broken| &mut broken.metadata, K::meta_mut)
    }
}

/// Turns serde's words into a sentence that says what to write. Our own types say so themselves.
pub(crate) fn sentence(path: &str, error: &str) -> String {
    let text = match error.split_once(", expected ") {
        Some((found, wanted)) => {
            let found = found.strip_prefix("invalid type: ").or(found.strip_prefix("invalid value: ")).unwrap_or(found);
            format!("{found} cannot stand here; write {}", plain(wanted))
        }
        None if error.starts_with("missing field ") => format!("{error}; add it"),
        None => error.to_owned(),
    };
    // "." is the object itself.
    if path == "." { text } else { format!("{path}: {text}") }
}

/// Rust's names of types, in the words of a manifest.
fn plain(wanted: &str) -> &str {
    match wanted {
        "a string" | "a borrowed string" => "a text, in quotes",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "a sequence" => "a list",
        _ if wanted.starts_with("struct ") || wanted == "a map" => "a mapping of fields",
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{ScoringCluster, ScoringRun, ScoringSchedule};
    use serde_json::json;

    fn wrong<K>(spec: &Value) -> String
    where
        K: for<'de> Deserialize<'de> + Resource<DynamicType = ()>,
    {
        let object =
            json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": "x"}, "spec": spec});
        let guard: Guard<K> = serde_json::from_value(object).unwrap();
        assert_eq!(guard.meta().name.as_deref(), Some("x"));
        guard.0.err().unwrap().to_string()
    }

    fn schedule(field: &str, value: Value) -> String {
        let mut spec = json!({
            "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "store": {"url": "az://models"},
            "model": {"path": "models/{device}"}, "data": {"path": "data/readings.csv"},
        });
        spec[field] = value;
        wrong::<ScoringSchedule>(&spec)
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path_with_what_to_write() {
        for (field, value, expected) in [
            (
                "scorer",
                json!({"env": [{"name": "A", "value": "1"}, {"name": "LEVEL", "value": 5}]}),
                "spec.scorer.env[1].value: integer `5` cannot stand here; write a text, in quotes",
            ),
            (
                "model",
                json!({"path": "models/{device"}),
                "spec.model.path: \"models/{device\" has a brace without its partner; write a key as {device}",
            ),
            (
                "window",
                json!({"length": "5"}),
                "spec.window.length: \"5\" is not a duration; write whole numbers with units, largest first, such as 90s, \
                 5m, 1h30m or 2d",
            ),
            ("suspend", json!("no"), "spec.suspend: string \"no\" cannot stand here; write true or false"),
            ("retries", json!(-1), "spec.retries: integer `-1` cannot stand here; write a whole number from 0"),
            (
                "concurrencyPolicy",
                json!("Sometimes"),
                "spec.concurrencyPolicy: unknown variant `Sometimes` cannot stand here; write one of `Forbid`, `Allow`, \
                 `Replace`",
            ),
            ("model", json!({}), "spec.model: missing field `path`; add it"),
        ] {
            assert_eq!(schedule(field, value), expected);
        }
    }

    #[test]
    fn runs_and_clusters_are_told_too() {
        let run = wrong::<ScoringRun>(&json!({"scheduleName": "hourly", "tick": "yesterday"}));
        assert!(run.starts_with("spec.tick: "), "{run}");
        let cluster = wrong::<ScoringCluster>(&json!({"maxNodes": 3, "nodePool": {"aks": {
            "subscriptionId": "", "resourceGroup": "g", "clusterName": "c", "agentPool": "p"}},
            "scaleDown": {"after": "soon"}}));
        assert!(cluster.starts_with("spec.scaleDown.after: \"soon\" is not a duration"), "{cluster}");
    }

    #[test]
    fn what_is_right_stays_as_it_is() {
        let object = json!({"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "x"}, "spec": {"scheduleName": "hourly"}});
        let guard: Guard<ScoringRun> = serde_json::from_value(object).unwrap();
        assert_eq!(guard.0.unwrap().spec.schedule_name, "hourly");
    }
}
