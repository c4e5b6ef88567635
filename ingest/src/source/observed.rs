//! What the client knows of the log without asking.

use std::collections::BTreeMap;

use rdkafka::Statistics;

/// What the client knew at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// How many partitions the topic has.
    pub partitions: u32,
    /// The offset behind the last record of each partition that may be read, as its broker last told.
    pub ends: BTreeMap<u32, i64>,
    /// Partitions of which all that there is has been fetched, be the last offsets those of a transaction's ends, which nobody sees.
    pub drained: Vec<u32>,
    /// Partitions whose broker has answered since the observation before, and that are in no transaction.
    pub heard: Vec<u32>,
    /// How much each broker had answered by then.
    answers: BTreeMap<i32, u64>,
}

impl Observed {
    /// What these statistics tell of a topic, after those of `before`.
    #[must_use]
    pub fn of(statistics: &Statistics, topic: &str, before: Option<&Self>) -> Self {
        let brokers = statistics.brokers.values().filter(|broker| broker.state == "UP");
        let answers: BTreeMap<i32, u64> = brokers.map(|broker| (broker.nodeid, broker.rx)).collect();
        let mut observed = Self { answers, ..Self::default() };
        let Some(topic) = statistics.topics.get(topic) else { return observed };
        for partition in topic.partitions.values() {
            let Ok(number) = u32::try_from(partition.partition) else { continue };
            observed.partitions += 1;
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            if end >= 0 {
                observed.ends.insert(number, end);
                if partition.next_offset >= end {
                    observed.drained.push(number);
                }
            }
            let answered = |observed: &Self| observed.answers.get(&partition.leader).copied();
            let earlier = before.and_then(answered);
            // While a transaction is open there is more to come of what was sent already.
            let is_open = partition.ls_offset >= 0 && partition.hi_offset > partition.ls_offset;
            if let Some(now) = answered(&observed)
                && earlier.is_some_and(|earlier| now > earlier)
                && !is_open
            {
                observed.heard.push(number);
            }
        }
        observed
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Broker, Partition, Topic};

    use super::*;

    fn statistics(state: &str, rx: u64) -> Statistics {
        let broker = Broker { nodeid: 1, state: state.to_owned(), rx, ..Broker::default() };
        let partition = |partition, end| {
            let next_offset = 12;
            (
                partition,
                Partition { partition, leader: 1, hi_offset: end, ls_offset: end, next_offset, ..Partition::default() },
            )
        };
        let partitions = [partition(-1, -1001), partition(0, 12), partition(1, -1001), partition(2, 13)];
        let partitions = partitions.into_iter().collect();
        let topic = Topic { partitions, ..Topic::default() };
        Statistics {
            brokers: [("b".to_owned(), broker)].into_iter().collect(),
            topics: [("readings".to_owned(), topic)].into_iter().collect(),
            ..Statistics::default()
        }
    }

    #[test]
    fn a_partition_was_heard_of_only_if_its_broker_has_answered_meanwhile() {
        let first = Observed::of(&statistics("UP", 5), "readings", None);
        assert_eq!((first.partitions, first.ends.get(&0), first.ends.get(&1)), (3, Some(&12), None));
        assert_eq!(first.drained, [0]);
        assert!(first.heard.is_empty());
        assert_eq!(Observed::of(&statistics("UP", 6), "readings", Some(&first)).heard.len(), 3);
        assert!(Observed::of(&statistics("UP", 5), "readings", Some(&first)).heard.is_empty());
        assert!(Observed::of(&statistics("CONNECT", 6), "readings", Some(&first)).heard.is_empty());
        assert_eq!(Observed::of(&statistics("UP", 6), "other", Some(&first)).partitions, 0);
    }
}
