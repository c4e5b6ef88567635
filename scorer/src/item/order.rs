//! In what order an item's sensors are worked on.
//!
//! An attempt that left no last word may have been killed by one of its sensors: by the memory that it takes, say. Those
//! after it work on one sensor at a time, write before each which one it is and what became of the others, and come last to
//! those at which attempts have died. So the second attempt finds a sensor that kills its pods, and the third has done all
//! others before it.

use std::collections::BTreeMap;

use spec::SensorKeys;
use store::PlannedSensor;
use store::outcome::Attempted;

/// The most steps of an attempt but for those of suspects: each costs a write of all outcomes.
const MOST_STEPS: usize = 256;

/// How likely a sensor killed its pod: how often it alone was under way then, how often others were, too, and how many of
/// them were begun after it.
type Suspicion = (usize, usize, usize);

/// Sensors of an item, in the order in which they are worked on.
pub(super) struct Order<'a> {
    /// Those that are beyond suspicion.
    others: Vec<&'a PlannedSensor>,
    /// Those at which attempts have died, the likeliest cause last.
    suspects: Vec<&'a PlannedSensor>,
}

impl<'a> Order<'a> {
    /// The order after these attempts; none where each of them has ended by itself.
    pub(super) fn after(earlier: &'a [Attempted], pending: &[&'a PlannedSensor]) -> Option<Self> {
        let mut died = earlier.iter().filter(|attempted| attempted.attempt.is_none()).peekable();
        died.peek()?;
        let mut suspicions: BTreeMap<&SensorKeys, Suspicion> = BTreeMap::new();
        for under_way in died.filter_map(|attempted| attempted.under_way.as_ref()) {
            for (after, sensor) in under_way.sensors.iter().rev().enumerate() {
                let (alone, times, before) = suspicions.entry(sensor).or_default();
                *alone += usize::from(under_way.alone && under_way.sensors.len() == 1);
                *times += 1;
                *before = after.max(*before);
            }
        }
        let suspicion = |planned: &&PlannedSensor| suspicions.get(&planned.sensor).copied();
        let (mut suspects, others): (Vec<_>, Vec<_>) =
            pending.iter().copied().partition(|planned| suspicion(planned).is_some());
        // What is equally suspect was begun in the manifest's order.
        suspects.reverse();
        suspects.sort_by_key(suspicion);
        Some(Self { others, suspects })
    }

    /// Steps, each of which is over before the next begins: as a rule of one sensor.
    pub(super) fn steps(&self) -> impl Iterator<Item = &[&'a PlannedSensor]> {
        let at_once = self.others.len().div_ceil(MOST_STEPS).max(1);
        self.others.chunks(at_once).chain(self.suspects.chunks(1))
    }

    /// The same where all write to one file, each sensor in its turn: first the file of those that are beyond suspicion
    /// or `in_file` already, which it must not lack, then the file of all.
    pub(super) fn files(
        &self,
        pending: &[&'a PlannedSensor],
        in_file: impl Fn(&SensorKeys) -> bool,
    ) -> Vec<Vec<&'a PlannedSensor>> {
        let is_suspect = |planned: &PlannedSensor| {
            self.suspects.iter().any(|suspect| suspect.sensor == planned.sensor) && !in_file(&planned.sensor)
        };
        let first: Vec<_> = pending.iter().copied().filter(|planned| !is_suspect(planned)).collect();
        let all = pending.to_vec();
        if first.is_empty() || first.len() == all.len() { vec![all] } else { vec![first, all] }
    }
}

#[cfg(test)]
mod tests {
    use store::Attempt;
    use store::outcome::UnderWay;

    use super::*;

    fn planned(count: usize) -> Vec<PlannedSensor> {
        let sensor = |n: usize| serde_json::json!({"sensor": {"device": n.to_string()}, "model": {"path": "m"}});
        (1..=count).map(|n| serde_json::from_value(sensor(n)).unwrap()).collect()
    }

    fn died(devices: &[usize], alone: bool) -> Attempted {
        let sensors = devices.iter().map(|n| [("device", n.to_string())].into_iter().collect()).collect();
        let under_way = UnderWay { index: 0, pod_uid: "u".into(), sensors, alone };
        Attempted { under_way: Some(under_way), ..Attempted::default() }
    }

    /// The steps after these attempts at six sensors.
    fn steps(earlier: &[Attempted]) -> Vec<String> {
        let planned = planned(6);
        let pending: Vec<&PlannedSensor> = planned.iter().collect();
        let order = Order::after(earlier, &pending).unwrap();
        order.steps().map(names).collect()
    }

    fn names(step: &[&PlannedSensor]) -> String {
        step.iter().map(|planned| planned.sensor.0["device"].as_str()).collect()
    }

    #[test]
    fn attempts_that_ended_by_themselves_leave_the_order_as_it_is() {
        let planned = planned(2);
        let pending: Vec<&PlannedSensor> = planned.iter().collect();
        let attempt = Attempt {
            index: 0,
            pod_uid: "u".into(),
            node: String::new(),
            started: jiff::Timestamp::UNIX_EPOCH,
            seconds: 1.0,
            store_requests: store::RequestCounts::default(),
        };
        let ended = Attempted { attempt: Some(attempt), ..Attempted::default() };
        assert!(Order::after(&[], &pending).is_none() && Order::after(&[ended], &pending).is_none());
    }

    #[test]
    fn after_an_attempt_that_died_before_it_said_where_each_sensor_is_a_step() {
        assert_eq!(steps(&[Attempted::default()]), ["1", "2", "3", "4", "5", "6"]);
    }

    #[test]
    fn the_sensor_at_which_an_attempt_died_comes_last() {
        assert_eq!(steps(&[Attempted::default(), died(&[3], true)]), ["1", "2", "4", "5", "6", "3"]);
    }

    #[test]
    fn of_several_that_were_under_way_the_one_begun_first_comes_last_and_after_it_the_one_that_was_alone() {
        assert_eq!(steps(&[died(&[2, 3, 4], false)]), ["1", "5", "6", "4", "3", "2"]);
        assert_eq!(steps(&[died(&[2, 3, 4], false), died(&[4], true)]), ["1", "5", "6", "3", "2", "4"]);
    }

    #[test]
    fn steps_are_bounded_where_very_many_sensors_share_an_item() {
        let planned = planned(10_000);
        let pending: Vec<&PlannedSensor> = planned.iter().collect();
        let earlier = [died(&[17, 18], true)];
        let order = Order::after(&earlier, &pending).unwrap();
        let steps: Vec<usize> = order.steps().map(<[_]>::len).collect();
        assert!(steps.len() <= MOST_STEPS + 2, "{}", steps.len());
        assert_eq!((steps.iter().sum::<usize>(), &steps[steps.len() - 2..]), (10_000, &[1, 1][..]));
    }

    #[test]
    fn a_file_that_all_share_is_made_without_the_suspects_first_unless_it_has_them() {
        let planned = planned(4);
        let pending: Vec<&PlannedSensor> = planned.iter().collect();
        let files = |earlier: &[Attempted], in_file: &str| {
            let order = Order::after(earlier, &pending).unwrap();
            let files = order.files(&pending, |sensor| sensor.0["device"] == in_file);
            files.iter().map(|file| names(file)).collect::<Vec<_>>()
        };
        assert_eq!(files(&[Attempted::default()], ""), ["1234"]);
        assert_eq!(files(&[died(&[2], true)], ""), ["134", "1234"]);
        assert_eq!(files(&[died(&[2], true)], "2"), ["1234"]);
    }
}
