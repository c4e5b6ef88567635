//! How the ends of a run's pods are written: as columns, with what repeats said once. A ConfigMap holds 1 MiB.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::report::SensorFailure;
use crate::request::{EndDetails, PodEnd, PodEnds, Spent};

/// The most ends that fit into a ConfigMap in this form, with room for pods that end by disruption.
pub const MAX_ENDS: u32 = 10_000;

/// [`PodEnds`] as they are written.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Packed {
    /// What pods' names start with, before index and suffix.
    prefix: String,
    /// What `started` counts from, in seconds since 1970.
    since: i64,
    nodes: Vec<String>,
    reasons: Vec<String>,
    ends: Vec<Row>,
    /// Failures, by the row that told them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<(usize, Vec<SensorFailure>)>,
    #[serde(default)]
    images: Vec<String>,
    /// The image of each row; absent where all have the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    image_of: Vec<usize>,
    /// What else is told of ends, by row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    details: Vec<(usize, EndDetails)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spent: Option<Spent>,
}

/// UID, index, pod, node, started, seconds until it ended, exit code, reason, succeeded, failed.
type Row = (String, u32, String, usize, Option<i64>, Option<i64>, Option<i32>, usize, u32, u32);

/// Why a text is no [`PodEnds`].
#[derive(Debug, thiserror::Error)]
#[error("pod end {row} names {what}, which is not there; the ConfigMap was not written by the operator")]
pub(crate) struct Unreadable {
    row: usize,
    what: &'static str,
}

/// The place of a text in a list of few, added where it is new.
fn place(list: &mut Vec<String>, text: String) -> usize {
    list.iter().position(|there| *there == text).unwrap_or_else(|| {
        list.push(text);
        list.len() - 1
    })
}

fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

impl From<PodEnds> for Packed {
    fn from(ends: PodEnds) -> Self {
        let first = ends.ends.first();
        let prefix = first.and_then(|end| Some(end.pod.rsplit_once(&format!("-{}-", end.index))?.0.to_owned()));
        let since = ends.ends.iter().filter_map(|end| end.started).min().map_or(0, seconds);
        let mut packed = Self { prefix: prefix.unwrap_or_default(), since, spent: ends.spent, ..Self::default() };
        for (row, end) in ends.ends.into_iter().enumerate() {
            let short = end.pod.strip_prefix(&format!("{}-{}-", packed.prefix, end.index));
            // No name of a pod starts with a sign.
            let pod = short.map_or_else(|| format!("={}", end.pod), str::to_owned);
            let started = end.started.map(|at| seconds(at) - since);
            let ended = end.ended.map(|at| seconds(at) - end.started.map_or(since, seconds));
            let (node, reason) = (place(&mut packed.nodes, end.node), place(&mut packed.reasons, end.reason));
            let numbers = (end.exit_code, reason, end.succeeded, end.failed);
            let (exit_code, reason, succeeded, failed) = numbers;
            packed.ends.push((end.uid, end.index, pod, node, started, ended, exit_code, reason, succeeded, failed));
            if !end.failures.is_empty() {
                packed.failures.push((row, end.failures));
            }
            let image = place(&mut packed.images, end.image);
            packed.image_of.push(image);
            if !end.details.is_empty() {
                packed.details.push((row, end.details));
            }
        }
        if packed.images.len() <= 1 {
            packed.image_of.clear();
        }
        packed
    }
}

impl TryFrom<Packed> for PodEnds {
    type Error = Unreadable;

    fn try_from(packed: Packed) -> Result<Self, Unreadable> {
        let Packed { prefix, since, nodes, reasons, ends, failures, images, image_of, details, spent } = packed;
        let time = |row, from: i64, seconds: i64| {
            let at = from.checked_add(seconds).and_then(|at| Timestamp::from_second(at).ok());
            at.ok_or(Unreadable { row, what: "a time" })
        };
        let image = |row: usize| match (images.as_slice(), image_of.get(row)) {
            // Written before images were.
            ([], None) => Ok(String::new()),
            ([first, ..], None) => Ok(first.clone()),
            (images, Some(place)) => images.get(*place).cloned().ok_or(Unreadable { row, what: "an image" }),
        };
        let one = |(row, end): (usize, Row)| {
            let (uid, index, pod, node, started, ended, exit_code, reason, succeeded, failed) = end;
            let pod = match pod.strip_prefix('=') {
                Some(whole) => whole.to_owned(),
                None => format!("{prefix}-{index}-{pod}"),
            };
            let started = started.map(|seconds| time(row, since, seconds)).transpose()?;
            let from = started.map_or(since, Timestamp::as_second);
            Ok(PodEnd {
                pod,
                uid,
                index,
                node: nodes.get(node).ok_or(Unreadable { row, what: "a node" })?.clone(),
                started,
                ended: ended.map(|seconds| time(row, from, seconds)).transpose()?,
                exit_code,
                reason: reasons.get(reason).ok_or(Unreadable { row, what: "a reason" })?.clone(),
                image: image(row)?,
                succeeded,
                failed,
                failures: Vec::new(),
                details: EndDetails::default(),
            })
        };
        let mut ends: Vec<PodEnd> = ends.into_iter().enumerate().map(one).collect::<Result<_, Unreadable>>()?;
        for (row, failures) in failures {
            ends.get_mut(row).ok_or(Unreadable { row, what: "an end" })?.failures = failures;
        }
        for (row, details) in details {
            ends.get_mut(row).ok_or(Unreadable { row, what: "an end" })?.details = details;
        }
        Ok(Self { ends, spent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        proptest::option::of((0i64..4_000_000_000).prop_map(|at| Timestamp::from_second(at).unwrap()))
    }

    fn end() -> impl Strategy<Value = PodEnd> {
        let names = ("[a-z0-9-]{0,12}", "[0-9a-f-]{0,36}", "[a-z]{0,3}", "[A-Z][a-z]{0,4}", any::<bool>());
        let numbers = (0u32..100_000, proptest::option::of(-1i32..256), 0u32..10_000, 0u32..3);
        (names, numbers, time(), time()).prop_map(|((pod, uid, node, reason, of_run), numbers, started, ended)| {
            let (index, exit_code, succeeded, failed) = numbers;
            let failure = SensorFailure {
                sensor: [("device", "1")].into_iter().collect(),
                reason: "ModelInvalid".into(),
                message: "cannot be read".into(),
            };
            PodEnd {
                pod: if of_run { format!("hourly-29-{index}-{pod}") } else { pod },
                uid,
                index,
                node,
                started,
                ended,
                exit_code,
                reason,
                image: if succeeded.is_multiple_of(2) { String::new() } else { format!("scorer@sha256:{}", index % 3) },
                succeeded,
                failed,
                failures: vec![failure; failed as usize],
                details: EndDetails { output: "x".repeat(failed as usize), ..EndDetails::default() },
            }
        })
    }

    proptest! {
        #[test]
        fn ends_read_back_as_they_were_written(ends in proptest::collection::vec(end(), 0..20), cost: Option<u32>) {
            let spent = |cost: u32| Spent {
                node_seconds: cost.into(),
                cost: (!cost.is_multiple_of(3)).then(|| crate::Money::from_millionths(cost.into())),
                currency: (!cost.is_multiple_of(3)).then(|| "EUR".to_owned()),
            };
            let ends = PodEnds { ends, spent: cost.map(spent) };
            let text = serde_json::to_string(&ends).unwrap();
            prop_assert_eq!(serde_json::from_str::<PodEnds>(&text).unwrap(), ends);
        }

        #[test]
        fn any_rows_are_read_or_refused_without_panic(
            since: i64, node in 0usize..3, reason in 0usize..3, started: Option<i64>, ended: Option<i64>, row in 0usize..3
        ) {
            let text = serde_json::json!({"prefix": "p", "since": since, "nodes": ["n"], "reasons": ["r"],
                "ends": [["u", 0, "x", node, started, ended, null, reason, 0, 0]], "failures": [[row, []]]});
            let _ = serde_json::from_value::<PodEnds>(text);
        }
    }

    #[test]
    fn ends_that_were_written_before_images_and_details_were_are_read() {
        let text =
            r#"{"prefix":"p","since":0,"nodes":["n"],"reasons":["r"],"ends":[["u",0,"x",0,null,null,null,0,0,0]]}"#;
        let end = &serde_json::from_str::<PodEnds>(text).unwrap().ends[0];
        assert_eq!((end.pod.as_str(), end.image.as_str(), end.details.is_empty()), ("p-0-x", "", true));
    }

    #[test]
    fn as_many_ends_as_a_run_may_have_fit_into_a_config_map() {
        let at = |seconds| Some(Timestamp::from_second(1_800_000_000 + i64::from(seconds)).unwrap());
        let end = |n: u32| PodEnd {
            pod: format!("{}-29301234-{n}-abcde", "s".repeat(44)),
            uid: format!("00000000-0000-0000-0000-{n:012}"),
            index: n,
            node: format!("aks-scoring-12345678-vmss{:06}", n % 1_000),
            started: at(n),
            ended: at(n + 3_600),
            exit_code: Some(75),
            reason: "Completed".into(),
            image: if n.is_multiple_of(7) {
                String::new()
            } else {
                format!("registry.example/scorer@sha256:{}", "0".repeat(64))
            },
            succeeded: 100,
            failed: 10,
            failures: Vec::new(),
            details: EndDetails::default(),
        };
        let ends = PodEnds { ends: (0..MAX_ENDS).map(end).collect(), spent: None };
        let bytes = serde_json::to_string(&ends).unwrap().len();
        assert!(bytes < 950_000, "{bytes} bytes");
    }
}
