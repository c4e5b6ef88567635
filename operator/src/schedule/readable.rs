//! What can be read of a schedule whose spec is wrong: its ticks are known all the same, unless they are what is wrong.

use crds::ScoringSchedule;
use serde_json::{Value, json};

use crate::guard::{Broken, Guard};

/// The fields by which ticks are told and decided upon; without one of them no tick is known.
const OF_TICKS: [&str; 7] =
    ["schedule", "timeZone", "suspend", "concurrencyPolicy", "startingDeadlineSeconds", "jitter", "catchUp"];
/// More fields than a spec has.
const MOST: usize = 64;

/// A schedule as far as it can be read.
#[derive(Clone, Debug)]
pub(super) struct Readable {
    /// The schedule; a field that cannot be read is absent, or stands for nothing.
    pub(super) schedule: ScoringSchedule,
    /// What cannot be read, and why: such a schedule is not valid.
    pub(super) wrong: Option<String>,
}

impl Readable {
    /// Reads what can be read; an error where not even the ticks can.
    pub(super) fn of(guard: &Guard<ScoringSchedule>) -> Result<Self, &Broken> {
        match &guard.0 {
            Ok(schedule) => Ok(Self { schedule: schedule.clone(), wrong: None }),
            Err(broken) => Ok(Self { schedule: rest(broken).ok_or(broken)?, wrong: Some(broken.wrong.clone()) }),
        }
    }
}

/// The schedule without the fields that cannot be read.
fn rest(broken: &Broken) -> Option<ScoringSchedule> {
    let mut object = broken.object.clone();
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize(&object) {
            Ok(schedule) => return Some(schedule),
            Err(error) => error,
        };
        let field = wrong_field(&error)?;
        let spec = object.get_mut("spec")?.as_object_mut()?;
        match stand_in(&field) {
            Some(value) if spec.get(&field) != Some(&value) => spec.insert(field, value),
            // What is not there cannot be what is wrong.
            _ => Some(spec.remove(&field)?),
        };
    }
    None
}

/// The field of the spec that does not deserialise, unless it is one of those that tell ticks.
fn wrong_field(error: &serde_path_to_error::Error<serde_json::Error>) -> Option<String> {
    use serde_path_to_error::Segment;
    let mut path = error.path().iter();
    let name = |segment: Option<&Segment>| match segment {
        Some(Segment::Map { key }) => Some(key.clone()),
        _ => None,
    };
    name(path.next()).filter(|first| first == "spec")?;
    let missing = || {
        let text = error.inner().to_string();
        Some(text.strip_prefix("missing field `")?.split('`').next()?.to_owned())
    };
    name(path.next()).or_else(missing).filter(|field| !OF_TICKS.contains(&field.as_str()))
}

/// What stands for a field that a schedule must have. Nothing is scored by it: the schedule is not valid.
fn stand_in(field: &str) -> Option<Value> {
    match field {
        "clusterRef" => Some(json!({"name": ""})),
        "store" => Some(json!({"url": ""})),
        "model" | "data" => Some(json!({"path": "unknown"})),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(patch: &Value) -> Option<Readable> {
        let mut object = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"name": "hourly", "generation": 3},
            "spec": {
                "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "timeZone": "Europe/Berlin",
                "store": {"url": "az://models"}, "model": {"path": "models/{device}"}, "data": {"path": "d.csv"},
                "history": {"successful": 9, "failed": 9},
            },
            "status": {"decidedUntil": "2026-01-01T00:00:00Z"},
        });
        for (field, value) in patch.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        Readable::of(&serde_json::from_value(object).unwrap()).ok()
    }

    #[test]
    fn what_is_right_is_read_as_it_is() {
        let readable = read(&json!({})).unwrap();
        assert_eq!((readable.wrong, readable.schedule.spec.cluster_ref.name.as_str()), (None, "cpu"));
    }

    #[test]
    fn beside_fields_that_are_wrong_ticks_history_and_status_are_known() {
        let wrong = json!({"model": {"path": "models/{device"}, "deadline": "soon", "store": null,
            "scorer": {"env": [{"name": 1}]}});
        let Readable { schedule, wrong } = read(&wrong).unwrap();
        assert!(wrong.is_some_and(|why| why.starts_with("spec.deadline: ")));
        assert_eq!(schedule.spec.time_zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!((schedule.spec.history.successful, schedule.metadata.generation), (9, Some(3)));
        assert!(schedule.status.is_some_and(|status| status.decided_until.is_some()));
        assert!(read(&json!({"data": {}})).is_some());
    }

    #[test]
    fn no_tick_is_known_where_a_field_is_wrong_that_tells_it() {
        for wrong in [json!({"schedule": 5}), json!({"jitter": "soon"}), json!({"catchUp": {"policy": "Some"}})] {
            assert!(read(&wrong).is_none(), "{wrong}");
        }
    }
}
