//! What the API server would refuse of names.

use serde_json::Value;

/// The most letters of a namespace.
const NAMESPACE: usize = 63;
/// How the rule of a custom resource begins that says so of its own names.
const RULE: &str = "self.metadata.name.size() <= ";

/// A name of a custom resource with this schema, which says how long it may be, and why.
pub(super) fn object(name: &str, schema: &Value) -> Result<(), String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let most = |rule: &Value| {
        let rest = rule["rule"].as_str()?.strip_prefix(RULE)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    match rules.filter_map(|rule| Some((most(rule)?, rule))).find(|(most, _)| !is_label(name, *most)) {
        Some((_, rule)) => Err(format!("{name:?} is refused: {}", rule["message"].as_str().unwrap_or_default())),
        None => Ok(()),
    }
}

/// A namespace.
pub(super) fn namespace(name: &str) -> Result<(), String> {
    let told =
        || format!("{name:?} is refused: a namespace is a DNS label of at most {NAMESPACE} characters: a-z, 0-9 and -");
    is_label(name, NAMESPACE).then_some(()).ok_or_else(told)
}

/// Whether it is a DNS label of at most so many letters.
fn is_label(name: &str, most: usize) -> bool {
    let inner = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    inner && (1..=most).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crds::{ScoringCluster, ScoringSchedule};
    use kube::CustomResourceExt;
    use kube::core::cel::Validator;
    use serde_json::json;

    /// Whether the rules of the resource itself, and ours, refuse a name.
    fn refused<K: CustomResourceExt>(name: &str) -> [bool; 2] {
        let schema = schema::of::<K>();
        let rules = json!({"type": "object", "x-kubernetes-validations": [schema["x-kubernetes-validations"][0]]});
        let rule = Validator::new().validate(&rules, &json!({"metadata": {"name": name}}), None);
        [rule.is_err(), object(name, &schema).is_err()]
    }

    #[test]
    fn names_are_refused_as_by_the_rules_of_their_kind() {
        let long = |letters| "a".repeat(letters);
        for name in [
            "hourly",
            "a",
            "0-1",
            "a--b",
            "",
            "-",
            "Hourly_X",
            "-a",
            "a-",
            "a.b",
            "a b",
            "c<p&u",
            "é",
            &long(44),
            &long(45),
            &long(77),
        ] {
            let [rule, ours] = refused::<ScoringSchedule>(name);
            assert_eq!(rule, ours, "{name}");
        }
        assert_eq!(
            (refused::<ScoringCluster>(&long(63)), refused::<ScoringCluster>(&long(64))),
            ([false; 2], [true; 2])
        );
    }
}
