//! `kubectl explain` has words for everything.
#![allow(clippy::unwrap_used)]

use crds::{ScoringCluster, ScoringRun, ScoringSchedule};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

fn definitions() -> [CustomResourceDefinition; 3] {
    [ScoringCluster::crd(), ScoringSchedule::crd(), ScoringRun::crd()]
}

fn schema(definition: &CustomResourceDefinition) -> &JSONSchemaProps {
    definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()
}

/// Calls with every field below a schema and its path.
fn fields(schema: &JSONSchemaProps, path: &str, with: &mut impl FnMut(&str, &JSONSchemaProps)) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        with(&path, field);
        fields(field, &path, with);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        fields(items, &format!("{path}[]"), with);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        fields(values, &format!("{path}{{}}"), with);
    }
}

#[test]
fn every_kind_says_what_it_is() {
    for definition in definitions() {
        let words = schema(&definition).description.clone().unwrap_or_default();
        assert!(!words.is_empty() && !words.contains("Auto-generated"), "{}: {words:?}", definition.spec.names.kind);
    }
}

#[test]
fn every_field_has_words() {
    let mut without = Vec::new();
    for definition in definitions() {
        fields(schema(&definition), &definition.spec.names.kind, &mut |path, field| {
            if field.description.as_deref().unwrap_or_default().trim().is_empty() {
                without.push(path.to_owned());
            }
        });
    }
    assert!(without.is_empty(), "fields without a description: {without:#?}");
}
