//! How many of the injected anomalies were found, by the labels that the simulation wrote.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use serde::Serialize;

/// The least share of the injected anomalies that must be found.
pub(crate) const MIN_RECALL: f64 = 0.9;
/// The least share of what is found that must be injected.
pub(crate) const MIN_PRECISION: f64 = 0.8;

/// Counts over all sensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// Readings with a prediction.
    pub(crate) rows: u64,
    /// Anomalies among all readings, those that nobody scored included: a sensor that failed is a miss.
    pub(crate) injected: u64,
    pub(crate) found: u64,
    /// Found and injected.
    pub(crate) right: u64,
}

impl Verdict {
    /// Of what was found, how much was injected.
    pub(crate) fn precision(&self) -> f64 {
        ratio(self.right, self.found)
    }

    /// Of what was injected, how much was found.
    pub(crate) fn recall(&self) -> f64 {
        ratio(self.right, self.injected)
    }
}

/// Nothing of nothing is no success.
fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// Which readings are anomalies by design: `TS,Device,Tag,Value,Anomaly`.
pub(crate) struct Labels(HashMap<[String; 3], bool>);

const KEYS: [&str; 3] = ["TS", "Device", "Tag"];

impl Labels {
    pub(crate) fn parse(csv: &str) -> anyhow::Result<Self> {
        let labels = rows(csv, "Anomaly").collect::<anyhow::Result<_>>().context("the labels")?;
        Ok(Self(labels))
    }

    /// The counts before any predictions file was looked at.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict { injected: self.0.values().filter(|anomaly| **anomaly).count() as u64, ..Verdict::default() }
    }

    /// Compares one predictions file with the labels and adds to the counts.
    pub(crate) fn judge(&self, predictions: &str, verdict: &mut Verdict) -> anyhow::Result<()> {
        for row in rows(predictions, "prediction") {
            let (key, found) = row?;
            let injected = *self.0.get(&key).with_context(|| format!("no label for the reading {}", key.join(", ")))?;
            verdict.rows += 1;
            verdict.found += u64::from(found);
            verdict.right += u64::from(injected && found);
        }
        Ok(())
    }
}

/// Each row's key and the flag in a column. The simulation's values have neither commas nor quotes.
fn rows<'a>(csv: &'a str, flag: &'a str) -> impl Iterator<Item = anyhow::Result<([String; 3], bool)>> + 'a {
    let mut lines = csv.lines();
    let header: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        header.iter().position(|h| *h == name).with_context(|| format!("no column {name} in {}", header.join(",")))
    };
    let columns: anyhow::Result<Vec<usize>> = KEYS.iter().copied().chain([flag]).map(column).collect();
    let columns = columns.map_err(|error| error.to_string());
    lines.map(move |line| {
        let columns = columns.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        let fields: Vec<_> = line.split(',').collect();
        let field = |i: usize| fields.get(columns[i]).copied().with_context(|| format!("a short row: {line}"));
        let flag = field(3)?;
        ensure!(flag == "0" || flag == "1", "neither 0 nor 1: {line}");
        Ok(([field(0)?.to_owned(), field(1)?.to_owned(), field(2)?.to_owned()], flag == "1"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_and_injected_are_compared_row_by_row() {
        let labels = "TS,Device,Tag,Value,Anomaly\na,1,1,5.0,1\nb,1,1,5.0,0\nc,1,1,5.0,1\n";
        let predictions = "TS,Device,Tag,Value,score,prediction\na,1,1,5.0,-1,1\nb,1,1,5.0,-1,1\nc,1,1,5.0,1,0\n";
        let labels = Labels::parse(labels).unwrap();
        let mut verdict = labels.verdict();
        labels.judge(predictions, &mut verdict).unwrap();
        assert_eq!(verdict, Verdict { rows: 3, injected: 2, found: 2, right: 1 });
        assert_eq!((verdict.precision(), verdict.recall()), (0.5, 0.5));
    }

    #[test]
    fn an_anomaly_of_a_sensor_that_nobody_scored_is_a_miss() {
        let labels = Labels::parse("TS,Device,Tag,Value,Anomaly\na,1,1,5.0,1\na,1,2,5.0,1\n").unwrap();
        let mut verdict = labels.verdict();
        assert_eq!((verdict.precision(), verdict.recall()), (0.0, 0.0), "nothing was scored");
        labels.judge("TS,Device,Tag,score,prediction\na,1,1,-1,1\n", &mut verdict).unwrap();
        assert_eq!((verdict.precision(), verdict.recall()), (1.0, 0.5));
    }

    #[test]
    fn a_reading_without_label_is_an_error_and_not_a_miss() {
        let labels = Labels::parse("TS,Device,Tag,Value,Anomaly\n").unwrap();
        let mut verdict = labels.verdict();
        let error = labels.judge("TS,Device,Tag,score,prediction\na,1,1,0,1\n", &mut verdict).unwrap_err();
        assert!(error.to_string().contains("a, 1, 1"), "{error}");
    }
}
