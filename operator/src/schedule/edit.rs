//! What an edit of `schedule` or `timeZone` means for ticks: those of the old one that passed before it are not lost, and
//! those that the new one would have had before it are none.

use crds::ScoringSchedule;
use crds::schedule::{ObservedSchedule, ScoringScheduleStatus};
use jiff::Timestamp;
use planner::ticks::{Ticks, passed};

use crate::conditions::whole_seconds;

/// What is known of a schedule's ticks before this look.
#[derive(Debug, PartialEq)]
pub(super) struct Before {
    /// Up to when it is decided what becomes of ticks.
    pub(super) decided: Option<Timestamp>,
    /// The ticks that wait, in order.
    pub(super) waiting: Vec<Timestamp>,
}

/// Whether a schedule ticks otherwise than when its status was written.
pub(super) fn is_another(schedule: &ScoringSchedule) -> bool {
    let status = schedule.status.as_ref().filter(|status| status.observed_generation.is_some());
    status.is_some_and(|status| status.observed_schedule != Some(ObservedSchedule::of(&schedule.spec)))
}

/// What is known before this look, after an edit if there was one. Created then, at this time now.
pub(super) fn before(schedule: &ScoringSchedule, created: Timestamp, now: Timestamp) -> Before {
    let status = schedule.status.clone().unwrap_or_default();
    let missed = status.last_missed.as_ref().map(|missed| missed.tick);
    let decided = status.decided_until.max(status.last_scheduled_tick).max(missed);
    if !is_another(schedule) {
        return Before { decided, waiting: status.waiting };
    }
    let at = edited(schedule, &status, now);
    let old = status.observed_schedule.as_ref();
    let old = old.and_then(|old| Ticks::parse(&old.schedule, old.time_zone.as_deref(), now).ok());
    let mut waiting = status.waiting;
    waiting.extend(old.into_iter().flat_map(|old| passed(&old, decided.unwrap_or(created).max(created), at).0));
    Before { decided: decided.max(Some(at)), waiting }
}

/// When the schedule was edited: as the API server noted it, else now. What was seen of the old one came before.
fn edited(schedule: &ScoringSchedule, status: &ScoringScheduleStatus, now: Timestamp) -> Timestamp {
    let entries = schedule.metadata.managed_fields.iter().flatten();
    let of_ticks = entries.filter(|entry| {
        let spec = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
        spec.is_some_and(|spec| spec.get("f:schedule").is_some() || spec.get("f:timeZone").is_some())
    });
    let noted = of_ticks.filter_map(|entry| Some(entry.time.as_ref()?.0)).max();
    let seen = status.conditions.iter().map(|condition| condition.last_transition_time).max();
    whole_seconds(noted.max(seen.filter(|_| noted.is_some())).unwrap_or(now).min(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T{text}Z").parse().unwrap()
    }

    /// A schedule that was hourly, decided up to noon, and is edited.
    fn edited_to(cron: &str, at: Option<&str>) -> ScoringSchedule {
        let entry = |time: &str, field: &str| {
            json!({"manager": field, "operation": "Update", "time": format!("2026-01-01T{time}Z"),
                "fieldsV1": {"f:spec": {field: {}}}})
        };
        let entries: Vec<Value> =
            at.map(|at| vec![entry(at, "f:schedule"), entry("23:00:00", "f:priority")]).unwrap_or_default();
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"name": "line", "generation": 2, "managedFields": entries},
            "spec": {
                "clusterRef": {"name": "cpu"}, "schedule": cron, "store": {"url": "file:///mnt"},
                "model": {"path": "models/model_{device}"}, "data": {"path": "data/d.csv"},
            },
            "status": {"observedGeneration": 1, "observedSchedule": {"schedule": "@hourly"},
                "decidedUntil": "2026-01-01T12:00:00Z"},
        }))
        .unwrap()
    }

    fn known(schedule: &ScoringSchedule, now: &str) -> (Option<Timestamp>, Vec<Timestamp>) {
        let Before { decided, waiting } = before(schedule, at("00:00:00"), at(now));
        (decided, waiting)
    }

    #[test]
    fn nothing_changes_where_only_other_fields_are_edited() {
        assert_eq!(known(&edited_to("@hourly", Some("14:30:00")), "15:00:01"), (Some(at("12:00:00")), vec![]));
    }

    #[test]
    fn ticks_of_the_new_schedule_count_from_the_edit_however_late_it_is_seen() {
        let daily = edited_to("*/10 * * * *", Some("12:05:00"));
        assert_eq!(known(&daily, "12:35:00"), (Some(at("12:05:00")), vec![]));
        let in_a_moment = edited_to("*/10 * * * *", Some("12:09:59"));
        assert_eq!(known(&in_a_moment, "12:10:00.05"), (Some(at("12:09:59")), vec![]));
    }

    #[test]
    fn a_tick_of_the_old_schedule_that_passed_undecided_before_the_edit_waits() {
        let edited = edited_to("*/10 * * * *", Some("13:10:00"));
        assert_eq!(known(&edited, "13:20:00"), (Some(at("13:10:00")), vec![at("13:00:00")]));
    }

    #[test]
    fn an_edit_whose_time_nobody_noted_is_one_of_now() {
        assert_eq!(known(&edited_to("*/10 * * * *", None), "12:35:00.7"), (Some(at("12:35:00")), vec![]));
    }

    #[test]
    fn an_edit_came_after_what_was_seen_before_it() {
        let mut schedule = edited_to("*/10 * * * *", Some("12:05:00"));
        let seen = json!({"type": "Valid", "status": "True", "reason": "Valid", "message": "",
            "lastTransitionTime": "2026-01-01T12:20:00Z"});
        schedule.status.as_mut().unwrap().conditions = vec![serde_json::from_value(seen).unwrap()];
        assert_eq!(known(&schedule, "12:35:00").0, Some(at("12:20:00")));
    }

    #[test]
    fn of_a_schedule_that_nobody_could_read_no_tick_is_known() {
        let mut schedule = edited_to("@hourly", Some("14:30:00"));
        schedule.status.as_mut().unwrap().observed_schedule.as_mut().unwrap().schedule = "every hour".into();
        assert_eq!(known(&schedule, "15:00:01"), (Some(at("14:30:00")), vec![]));
    }
}
