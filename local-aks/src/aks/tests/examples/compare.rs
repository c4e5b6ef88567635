//! How an answer is held against an example.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::super::properties::READ_ONLY;

/// What a machine has in the version of the API that the stand-in serves; later ones show more.
const OF_MACHINES: &[&str] = &["network", "resourceId"];

/// An answer beside an example.
#[derive(Default)]
pub(super) struct Comparison<'a> {
    /// The properties that the request set.
    pub(super) asked: Option<&'a Value>,
    /// The example is of a later version of the API, whose machines show more.
    pub(super) later: bool,
    /// What the example has and the answer need not have.
    pub(super) spared: BTreeSet<String>,
}

impl Comparison<'_> {
    /// Every field of `expected` is in `actual`, with a value of the same type.
    pub(super) fn covers(&mut self, expected: &Value, actual: &Value) {
        self.check(expected, actual, None, "body");
    }

    /// `within` is what the request set of this very object, where that is one of the pool's properties. What an example
    /// has beyond that is AKS's own, such as `kubeletConfig.podMaxPids`.
    fn check(&mut self, expected: &Value, actual: &Value, within: Option<&Value>, at: &str) {
        match (expected, actual) {
            (Value::Object(expected), Value::Object(found)) => {
                for (key, value) in expected {
                    let place = format!("{at}.{key}");
                    if let Some(found) = found.get(key) {
                        let given = match within {
                            Some(within) => within.get(key),
                            None => self.asked.filter(|_| at == "body.properties").and_then(|asked| asked.get(key)),
                        };
                        self.check(value, found, given, &place);
                    } else if within.is_some_and(Value::is_object) || self.is_later(at, key) {
                        self.spared.insert(place);
                    } else {
                        panic!("{place} is missing in {actual}");
                    }
                }
            }
            (Value::Array(expected), Value::Array(actual)) => {
                if let (Some(expected), Some(actual)) = (expected.first(), actual.first()) {
                    self.check(expected, actual, within.and_then(|within| within.get(0)), &format!("{at}[0]"));
                }
            }
            _ => assert_eq!(
                std::mem::discriminant(expected),
                std::mem::discriminant(actual),
                "{at}: {actual} has another type than {expected}"
            ),
        }
    }

    fn is_later(&self, at: &str, key: &str) -> bool {
        self.later && at.ends_with(".properties") && !OF_MACHINES.contains(&key)
    }
}

/// What the request set came back as it was; only what cannot be written is the service's.
pub(super) fn keeps(asked: &Value, answered: &Value) {
    for (key, value) in asked["properties"].as_object().unwrap() {
        let theirs = READ_ONLY.contains(&key.as_str()) || value.is_null();
        if !(theirs || key == "orchestratorVersion" && value == "") {
            kept(value, &answered["properties"][key], key);
        }
    }
}

fn kept(asked: &Value, answered: &Value, at: &str) {
    match asked {
        Value::Object(asked) => {
            assert!(answered.is_object(), "{at}: {answered}");
            for (key, value) in asked.iter().filter(|(key, _)| !(at == "localDNSProfile" && *key == "state")) {
                kept(value, &answered[key], &format!("{at}.{key}"));
            }
        }
        _ => assert_eq!(answered, asked, "{at}"),
    }
}

/// Azure compares ids without case, and writes them one way and another.
pub(super) fn same_id(expected: &Value, answered: &Value) {
    let (Some(expected), Some(answered)) = (expected["id"].as_str(), answered["id"].as_str()) else { return };
    assert!(expected.eq_ignore_ascii_case(answered), "{answered} is not {expected}");
}

fn refuses(check: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(check).is_err()
}

#[test]
fn what_aks_adds_to_a_profile_that_was_asked_for_is_spared_and_told() {
    let asked = json!({"kubeletConfig": {"cpuManagerPolicy": "static"}});
    let expected = json!({"properties": {"kubeletConfig": {"cpuManagerPolicy": "none", "podMaxPids": 7}}});
    let mut comparison = Comparison { asked: Some(&asked), ..Comparison::default() };
    comparison.covers(&expected, &json!({"properties": asked}));
    assert_eq!(comparison.spared.into_iter().collect::<Vec<_>>(), ["body.properties.kubeletConfig.podMaxPids"]);
}

#[test]
fn a_property_of_its_own_or_a_profile_not_asked_for_must_be_there() {
    let asked = json!({"count": 1});
    let actual = json!({"properties": {"count": 1, "profile": {"a": 1}}});
    let covers = |expected: Value| {
        let mut comparison = Comparison { asked: Some(&asked), ..Comparison::default() };
        comparison.covers(&expected, &actual);
    };
    covers(json!({"properties": {"profile": {"a": 2}}}));
    assert!(refuses(|| covers(json!({"properties": {"kubeletDiskType": "OS"}}))));
    assert!(refuses(|| covers(json!({"properties": {"profile": {"b": 2}}}))));
    assert!(refuses(|| covers(json!({"properties": {"count": "one"}}))), "of another type");
}

#[test]
fn machines_of_later_versions_show_more() {
    let expected = json!({"value": [{"name": "m", "properties": {"hardware": {}, "resourceId": "r"}}]});
    let actual = json!({"value": [{"name": "n", "properties": {"resourceId": "s"}}]});
    let covers = |later: bool| Comparison { later, ..Comparison::default() }.covers(&expected, &actual);
    covers(true);
    assert!(refuses(|| covers(false)));
}

#[test]
fn what_was_asked_comes_back_with_more_but_never_changed() {
    let asked =
        json!({"properties": {"orchestratorVersion": "", "eTag": "e", "localDNSProfile": {"mode": "Required"}}});
    keeps(&asked, &json!({"properties": {"localDNSProfile": {"mode": "Required", "state": "Enabled"}}}));
    assert!(refuses(|| keeps(&asked, &json!({"properties": {"localDNSProfile": {"mode": "Preferred"}}}))));
}

#[test]
fn ids_are_the_same_whatever_their_case() {
    same_id(&json!({"id": "/subscriptions/s/resourcegroups/G"}), &json!({"id": "/subscriptions/s/resourceGroups/g"}));
    assert!(refuses(|| same_id(&json!({"id": "/a"}), &json!({"id": "/b"}))));
}
