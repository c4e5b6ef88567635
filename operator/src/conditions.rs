//! Conditions, merged so that a transition time changes only with the status.

use crds::Condition;
use jiff::Timestamp;

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known yet.
    Unknown,
}

impl Is {
    /// As the API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Is {
    fn from(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }
}

/// The conditions of an object as they should be, built upon what they were.
#[derive(Debug)]
pub struct Conditions {
    list: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Starts from what the object's status has; what is not set again stays.
    #[must_use]
    pub fn of(current: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { list: current.to_vec(), generation, now: whole_seconds(now) }
    }

    /// Sets one condition. Its transition time changes only when its status does.
    pub fn set(&mut self, type_: &str, is: impl Into<Is>, reason: &str, message: impl Into<String>) -> &mut Self {
        let status = is.into().as_str();
        let known = self.list.iter().position(|c| c.type_ == type_);
        let since = known.and_then(|at| self.list.get(at)).filter(|c| c.status == status);
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            last_transition_time: since.map_or(self.now, |c| c.last_transition_time),
            observed_generation: self.generation,
        };
        match known.and_then(|at| self.list.get_mut(at)) {
            Some(place) => *place = condition,
            None => self.list.push(condition),
        }
        self
    }

    /// The conditions.
    #[must_use]
    pub fn into_vec(self) -> Vec<Condition> {
        self.list
    }
}

/// A condition of the list.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition is there and `False`.
#[must_use]
pub fn is_false(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == Is::False.as_str())
}

/// Whether the condition is there and `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == Is::True.as_str())
}

/// Times in a status have whole seconds, as Kubernetes' own have.
#[must_use]
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_transition_time_changes_only_with_the_status() {
        let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:05:00.5Z"));
        let mut first = Conditions::of(&[], Some(1), early);
        first.set("Ready", false, "Starting", "no node yet");
        let first = first.into_vec();
        let mut second = Conditions::of(&first, Some(2), late);
        second.set("Ready", false, "Throttled", "wait a minute");
        let second = second.into_vec();
        assert_eq!((second[0].last_transition_time, second[0].reason.as_str()), (early, "Throttled"));
        let mut third = Conditions::of(&second, Some(2), late);
        third.set("Ready", true, "NodesReady", "");
        assert_eq!(third.into_vec()[0].last_transition_time, at("2026-01-01T00:05:00Z"));
    }
}
