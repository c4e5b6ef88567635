//! `kubectl explain` has words for everything, and `kubectl get` columns of what is there.
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

/// The fields on the way to what a column shows; of a list in between, those of its items.
fn steps(column: &str) -> Vec<&str> {
    let (before, filter) = column.split_once("[?(").unwrap_or((column, ""));
    let after = filter.split_once(")]").map_or("", |(_, after)| after);
    before.split('.').chain(after.split('.')).filter(|step| !step.is_empty()).collect()
}

/// The columns that a union of fields (`['sensors','windows']`) stands for.
fn alternatives(column: &str) -> Vec<String> {
    let union = column.split_once("['").and_then(|(before, rest)| Some((before, rest.split_once("']")?)));
    match union {
        Some((before, (names, after))) => names.split("','").map(|name| format!("{before}.{name}{after}")).collect(),
        None => vec![column.to_owned()],
    }
}

fn has(schema: &JSONSchemaProps, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    let schema = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => items,
        _ => schema,
    };
    schema.properties.as_ref().and_then(|fields| fields.get(*first)).is_some_and(|field| has(field, rest))
}

#[test]
fn every_column_shows_a_field_that_is_there() {
    for definition in definitions() {
        let (version, kind) = (&definition.spec.versions[0], &definition.spec.names.kind);
        let columns = version.additional_printer_columns.as_deref().unwrap_or_default();
        assert!(!columns.is_empty(), "{kind}");
        // What every object has is in no schema.
        for column in columns.iter().filter(|column| !column.json_path.starts_with(".metadata.")) {
            for path in alternatives(&column.json_path) {
                assert!(has(schema(&definition), &steps(&path)), "{kind} {}: {path}", column.name);
            }
        }
    }
}
