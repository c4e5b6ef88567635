//! Whether a new model is published.

use spec::{ModelVersion, Promote};
use store::versions::{Trial, Versions};

/// The model that is published when another was trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// None.
    None,
    /// One that is of no use, and why.
    Useless(String),
    /// One that was judged on the same readings as the new one.
    Judged,
}

/// Whether a new model is published, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is.
    pub promoted: bool,
    /// In one CamelCase word.
    pub reason: &'static str,
    /// In a sentence.
    pub why: String,
}

/// How far a new model may be from what is expected beyond the published one: two standard errors of a share of so many
/// readings, of which one more is taken to lie outside and one more inside.
fn tolerance(expected: f64, rows: f64) -> f64 {
    let share = (expected * rows + 1.0) / (rows + 2.0);
    2.0 * (share * (1.0 - share) / rows.max(1.0)).sqrt()
}

/// Whether a version is published, given what was published before.
///
/// A later version is never replaced by an earlier one, as a backfill or a late run would. Else `Always` and `Manual` say so
/// themselves. `IfNoWorse` takes what is expected of a good model, the share of the readings that the new one was fitted to
/// which lie outside of its boundary (`nu` at most, less where the boundary was moved out), and publishes it unless
/// its anomaly rate on the readings held back is further from that than the published model's, by more than a tolerance.
#[must_use]
pub fn judge(
    promote: Promote,
    version: &ModelVersion,
    trial: &Trial,
    published: &Published,
    known: &Versions,
) -> Verdict {
    let verdict = |promoted, reason, why: String| Verdict { promoted, reason, why };
    let is_trained = |version: &ModelVersion| known.versions.iter().any(|known| known.version == *version);
    let later = known.promoted.as_ref().map(|p| &p.version).filter(|p| *p > version && is_trained(p));
    match (promote, published, &trial.published) {
        (Promote::Manual, ..) => {
            let why = "training.promote is Manual; publish it with scorer promote".to_owned();
            verdict(false, "Manual", why)
        }
        _ if let Some(later) = later => {
            verdict(false, "Older", format!("version {later}, which is published, is later than {version}"))
        }
        (Promote::Always, ..) => verdict(true, "Always", "training.promote is Always".to_owned()),
        (_, Published::Useless(why), _) => {
            verdict(true, "PublishedUseless", format!("the published model is of no use: {why}"))
        }
        (_, Published::Judged, Some(old)) => {
            let (new, expected) = (&trial.evaluation, trial.expected_rate);
            let distance = |rate: f64| (rate - expected).abs();
            let tolerance = tolerance(expected, to_f64(new.rows));
            let (ours, theirs) = (distance(new.anomaly_rate), distance(old.anomaly_rate));
            let rates = format!(
                "of {} readings held back it calls {:.2} % anomalies, the published model {:.2} %; expected are {:.2} %, \
                 give or take {:.2}",
                new.rows,
                100.0 * new.anomaly_rate,
                100.0 * old.anomaly_rate,
                100.0 * expected,
                100.0 * tolerance,
            );
            match ours <= theirs + tolerance {
                true => verdict(true, "NoWorse", rates),
                false => verdict(false, "Worse", rates),
            }
        }
        (_, Published::None | Published::Judged, _) => verdict(true, "First", "no model was published".to_owned()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of readings are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use spec::Training;
    use store::versions::{Evaluation, Promotion, TrainedVersion};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn trial(expected_rate: f64, rows: u64, new: u64, old: Option<u64>) -> Trial {
        let evaluation = Evaluation::of(rows, new);
        Trial { rows: 4 * rows, expected_rate, evaluation, published: old.map(|old| Evaluation::of(rows, old)) }
    }

    fn promoted(second: i64) -> Versions {
        let version = ModelVersion::at(at(second));
        let promotion =
            Promotion { version: version.clone(), model_hash: "m".into(), run: None, at: at(0), why: "w".into() };
        let trained = TrainedVersion {
            version,
            run: "n/r".into(),
            trained: at(0),
            data: "d".into(),
            window: None,
            data_hash: "d".into(),
            model_hash: "m".into(),
            training: Training::default(),
            trial: trial(0.0, 1, 0, None),
        };
        Versions { promoted: Some(promotion), versions: vec![trained], ..Versions::default() }
    }

    fn verdict(promote: Promote, trial: &Trial) -> Verdict {
        let published = if trial.published.is_some() { Published::Judged } else { Published::None };
        judge(promote, &ModelVersion::at(at(100)), trial, &published, &promoted(50))
    }

    #[test]
    fn a_first_model_is_published_and_so_is_one_where_the_published_is_of_no_use() {
        let first = trial(0.1, 100, 90, None);
        assert_eq!(verdict(Promote::IfNoWorse, &first).reason, "First");
        let useless = Published::Useless("it is damaged".into());
        let verdict = judge(Promote::IfNoWorse, &ModelVersion::at(at(1)), &first, &useless, &Versions::default());
        assert!(verdict.promoted && verdict.why.ends_with("it is damaged"));
    }

    #[test]
    fn a_model_that_is_worse_on_what_was_held_back_is_not_published() {
        let worse = trial(0.01, 1_000, 400, Some(12));
        let told = verdict(Promote::IfNoWorse, &worse);
        assert_eq!((told.promoted, told.reason), (false, "Worse"));
        assert!(
            told.why.contains("40.00 % anomalies, the published model 1.20 %; expected are 1.00 %"),
            "{}",
            told.why
        );
        assert!(verdict(Promote::Always, &worse).promoted);
        assert!(!verdict(Promote::Manual, &trial(0.0, 10, 0, None)).promoted);
    }

    #[test]
    fn a_model_that_calls_too_little_an_anomaly_is_worse_too() {
        assert!(!verdict(Promote::IfNoWorse, &trial(0.1, 1_000, 0, Some(100))).promoted);
    }

    #[test]
    fn an_earlier_version_does_not_replace_a_later_one() {
        for promote in [Promote::Always, Promote::IfNoWorse] {
            let good = trial(0.1, 100, 10, Some(90));
            let of = |second| judge(promote, &ModelVersion::at(at(second)), &good, &Published::Judged, &promoted(50));
            assert_eq!((of(49).promoted, of(49).reason), (false, "Older"));
            assert!(of(50).promoted && of(51).promoted);
        }
    }

    proptest! {
        #[test]
        fn a_model_that_says_the_same_is_no_worse(expected in 0.0f64..1.0, rows in 1u64..5_000, share in 0.0f64..1.0) {
            let anomalies = (share * to_f64(rows)) as u64;
            prop_assert!(verdict(Promote::IfNoWorse, &trial(expected, rows, anomalies, Some(anomalies))).promoted);
        }

        #[test]
        fn a_model_nearer_to_what_is_expected_is_published(
            expected in 0.0f64..1.0, rows in 1u64..5_000, new in 0u64..5_000, old in 0u64..5_000,
        ) {
            let trial = trial(expected, rows, new.min(rows), Some(old.min(rows)));
            let far = |of: &Evaluation| (of.anomaly_rate - expected).abs();
            let nearer = far(&trial.evaluation) <= far(trial.published.as_ref().unwrap());
            prop_assert!(!nearer || verdict(Promote::IfNoWorse, &trial).promoted);
        }
    }
}
