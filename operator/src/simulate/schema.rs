//! What the API server would refuse of an object by its schema: unknown fields, and numbers out of their range.

use serde_json::{Value, json};

use super::located::{Node, Tree};

/// The schema of a custom resource.
pub(super) fn of<K: kube::CustomResourceExt>() -> Value {
    let crd = serde_json::to_value(K::crd()).unwrap_or_default();
    let mut schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
    // These are not the resource's own, or not written by people.
    for free in ["apiVersion", "kind", "metadata", "status"] {
        schema["properties"][free] = json!({});
    }
    schema
}

/// The path of the first field that does not fit, and why.
pub(super) fn misfit(node: &Node, schema: &Value) -> Option<(String, String)> {
    let mut path = String::new();
    look(node, schema, &mut path).map(|why| (path.trim_start_matches('.').to_owned(), why))
}

fn look(node: &Node, schema: &Value, path: &mut String) -> Option<String> {
    match &node.tree {
        Tree::Plain(value) => out_of_range(value, schema),
        Tree::List(items) => {
            let many = u64::try_from(items.len()).unwrap_or(u64::MAX);
            if let Some(most) = schema["maxItems"].as_u64().filter(|most| many > *most) {
                return Some(format!("{many} entries are more than {most}"));
            }
            let each = schema.get("items")?;
            items.iter().enumerate().find_map(|(at, item)| below(item, each, path, &format!("[{at}]")))
        }
        Tree::Map(fields) => {
            let others = schema.get("additionalProperties").filter(|others| !others.is_boolean());
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["additionalProperties"] == true;
            let known = schema.get("properties");
            fields.iter().find_map(|(name, field)| {
                let segment = format!(".{name}");
                match known.and_then(|known| known.get(name)).or(others) {
                    Some(schema) => below(field, schema, path, &segment),
                    // An object of which the schema says nothing, such as metadata.
                    None if open || (known.is_none() && others.is_none()) => None,
                    None => {
                        path.push_str(&segment);
                        Some(format!("is not known; {}", instead(name, known)))
                    }
                }
            })
        }
    }
}

/// Goes down, and comes back up unless something was found.
fn below(node: &Node, schema: &Value, path: &mut String, segment: &str) -> Option<String> {
    let length = path.len();
    path.push_str(segment);
    let found = look(node, schema, path);
    if found.is_none() {
        path.truncate(length);
    }
    found
}

fn out_of_range(value: &Value, schema: &Value) -> Option<String> {
    let number = value.as_f64()?;
    let least = schema["minimum"].as_f64().filter(|least| number < *least);
    let most = schema["maximum"].as_f64().filter(|most| number > *most);
    let of = |limit: f64| format!("{value} is out of range; write a number {limit}");
    let least = least.map(|least| of(least).replacen("number ", "number from ", 1));
    least.or_else(|| most.map(|most| of(most).replacen("number ", "number up to ", 1)))
}

/// The fields that there are, or the one that was meant.
fn instead(name: &str, known: Option<&Value>) -> String {
    let names: Vec<&str> =
        known.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let meant = names.iter().find(|other| other.eq_ignore_ascii_case(name) || apart(name, other) <= 2);
    match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("known here: {}", names.join(", ")),
    }
}

/// How many letters have to be changed, added or left out to make one word of the other.
fn apart(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().take(64).enumerate() {
        let mut before = std::mem::replace(&mut row[0], at + 1);
        for (to, wanted) in other.iter().enumerate() {
            let changed = before + usize::from(letter != *wanted);
            before = row[to + 1];
            row[to + 1] = changed.min(before + 1).min(row[to] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{ScoringCluster, ScoringSchedule};

    fn wrong<K: kube::CustomResourceExt>(spec: &str) -> Option<(String, String)> {
        let text = format!("apiVersion: a\nkind: K\nmetadata: {{name: x, labels: {{a: b}}}}\nspec: {spec}\n");
        misfit(&Node::documents(&text).unwrap()[0], &of::<K>())
    }

    #[test]
    fn unknown_fields_are_told_with_the_one_that_was_meant() {
        let of = |spec: &str| wrong::<ScoringSchedule>(spec).unwrap();
        assert_eq!(
            of("{sechedule: x}"),
            ("spec.sechedule".to_owned(), "is not known; did you mean schedule?".to_owned())
        );
        assert_eq!(of("{packing: {sensorsperpod: 1}}").0, "spec.packing.sensorsperpod");
        let (path, why) = of("{scorer: {volumes: [{name: a}, {name: b, colour: red}]}}");
        assert_eq!(path, "spec.scorer.volumes[1].colour");
        assert!(why.starts_with("is not known; known here: "), "{why}");
    }

    #[test]
    fn numbers_out_of_their_range_are_told() {
        let most = wrong::<ScoringCluster>("{maxNodes: 4000000000}").unwrap();
        assert_eq!(
            most,
            ("spec.maxNodes".to_owned(), "4000000000 is out of range; write a number up to 1000".to_owned())
        );
        let least = wrong::<ScoringSchedule>("{startingDeadlineSeconds: 0}").unwrap();
        assert_eq!(least.1, "0 is out of range; write a number from 1");
    }

    #[test]
    fn what_is_right_or_free_is_no_misfit() {
        assert_eq!(wrong::<ScoringCluster>("{nodeCapacity: {nvidia.com/gpu: '1'}, maxNodes: 1000}"), None);
        let resources =
            "{sensors: {list: [{device: '1'}]}, scorer: {resources: {requests: {cpu: 1}}, env: [{name: a}]}}";
        assert_eq!(wrong::<ScoringSchedule>(resources), None);
    }
}
