//! The versions of a sensor's model: beside the published one, in a folder that is no sensor's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spec::{ModelVersion, SensorKeys, Template, TimeRange, Training};

mod publish;

pub use publish::{PublishError, Publishing};

/// The version of this form.
pub const FORM: u32 = 1;
/// The most bytes of an index.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// The folder of versions, beside the models.
pub const FOLDER: &str = "_versions";
/// The index of a model's versions.
const INDEX: &str = "index.json";

/// Where the versions of a model are: `models/_versions/model_1_5/` of `models/model_1_5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionPaths {
    folder: String,
}

impl VersionPaths {
    /// Those of a published model.
    #[must_use]
    pub fn of(model: &str) -> Self {
        Self { folder: folder(model) }
    }

    /// The file of a version.
    #[must_use]
    pub fn file(&self, version: &ModelVersion) -> String {
        format!("{}/{version}", self.folder)
    }

    /// What tells of all of them.
    #[must_use]
    pub fn index(&self) -> String {
        format!("{}/{INDEX}", self.folder)
    }
}

fn folder(model: &str) -> String {
    match model.rsplit_once('/') {
        Some((folder, file)) => format!("{folder}/{FOLDER}/{file}"),
        None => format!("{FOLDER}/{model}"),
    }
}

/// Whether a path is in a folder of versions, and so no sensor's published model.
#[must_use]
pub fn is_version(path: &str) -> bool {
    path.split('/').any(|segment| segment == FOLDER)
}

/// The path of each sensor's model in a version, as a template of the same keys.
#[must_use]
pub fn template(models: &Template, version: &ModelVersion) -> Option<Template> {
    // Names of keys have no slash, so the last one divides the template as it divides every path.
    format!("{}/{version}", folder(&models.to_string())).parse().ok()
}

/// `index.json`: what is known of a model's versions, and which is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The version of this form.
    pub form: u32,
    /// The sensor.
    pub sensor: SensorKeys,
    /// Which version was published last; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Promotion>,
    /// The trained versions, by name: the latest is last.
    #[serde(default)]
    pub versions: Vec<TrainedVersion>,
}

/// That a version was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// The version.
    pub version: ModelVersion,
    /// The SHA-256 of its file, in hexadecimal.
    pub model_hash: String,
    /// The run that did, as `namespace/run`; absent where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// What a version was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainedVersion {
    /// The version.
    pub version: ModelVersion,
    /// The run that trained it, as `namespace/run`.
    pub run: String,
    /// When it was trained.
    pub trained: Timestamp,
    /// The path of the readings.
    pub data: String,
    /// The span of the readings; absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// The SHA-256 of the values that it was fitted to, in hexadecimal.
    pub data_hash: String,
    /// The SHA-256 of its file, in hexadecimal.
    pub model_hash: String,
    /// How it was trained.
    pub training: Training,
    /// What it was fitted to, and how it did on what was held back.
    #[serde(flatten)]
    pub trial: Trial,
}

/// How a new model was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Readings that it was fitted to.
    pub rows: u64,
    /// The share of those that lie outside of its boundary: what is expected of others of their kind.
    pub expected_rate: f64,
    /// The new model on the readings that were held back.
    pub evaluation: Evaluation,
    /// The published model on the same readings; absent where there is none, or it is of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Evaluation>,
}

/// What a model says of readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// Readings.
    pub rows: u64,
    /// Those that it calls anomalies.
    pub anomalies: u64,
    /// Their share.
    pub anomaly_rate: f64,
}

impl Evaluation {
    /// So many anomalies among so many readings.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of readings are far below 2^53")]
    pub fn of(rows: u64, anomalies: u64) -> Self {
        let anomaly_rate = if rows == 0 { 0.0 } else { anomalies as f64 / rows as f64 };
        Self { rows, anomalies, anomaly_rate }
    }
}

impl Versions {
    /// Adds a version, or replaces the one of its name.
    pub fn add(&mut self, version: TrainedVersion) {
        self.versions.retain(|other| other.version != version.version);
        self.versions.push(version);
        self.versions.sort_by(|a, b| a.version.cmp(&b.version));
    }

    /// Takes out the versions beyond the latest `keep` and gives their names; never `newest`, which was just made, nor the
    /// one that is published.
    pub fn forget(&mut self, keep: u32, newest: &ModelVersion) -> Vec<ModelVersion> {
        let surplus = self.versions.len().saturating_sub(keep as usize);
        let promoted = self.promoted.as_ref().map(|promoted| &promoted.version);
        let (mut place, mut gone) = (0, Vec::new());
        self.versions.retain(|known| {
            let goes = place < surplus && known.version != *newest && Some(&known.version) != promoted;
            place += 1;
            if goes {
                gone.push(known.version.clone());
            }
            !goes
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trained(second: i64) -> TrainedVersion {
        let at = Timestamp::from_second(second).unwrap();
        TrainedVersion {
            version: ModelVersion::at(at),
            run: "plant/nightly-1".into(),
            trained: at,
            data: "data/d.csv".into(),
            window: None,
            data_hash: "d".into(),
            model_hash: "m".into(),
            training: Training::default(),
            trial: Trial { rows: 80, expected_rate: 0.01, evaluation: Evaluation::of(20, 1), published: None },
        }
    }

    fn promotion(second: i64) -> Promotion {
        let at = Timestamp::from_second(second).unwrap();
        Promotion { version: ModelVersion::at(at), model_hash: "m".into(), run: None, at, why: "by hand".into() }
    }

    #[test]
    fn versions_lie_beside_their_model_and_are_no_sensors() {
        let (paths, version) = (VersionPaths::of("models/model_1_5"), trained(0).version);
        assert_eq!(paths.file(&version), "models/_versions/model_1_5/19700101T000000Z");
        assert_eq!(paths.index(), "models/_versions/model_1_5/index.json");
        assert_eq!(VersionPaths::of("m").index(), "_versions/m/index.json");
        assert!(is_version(&paths.index()) && !is_version("models/model_versions"));
        let models: Template = "models/{device}/m_{tag}".parse().unwrap();
        let template = template(&models, &version).unwrap();
        assert_eq!(template.to_string(), "models/{device}/_versions/m_{tag}/19700101T000000Z");
    }

    #[test]
    fn an_index_reads_back_as_written() {
        let mut versions = Versions { form: FORM, promoted: Some(promotion(5)), ..Versions::default() };
        versions.add(trained(5));
        let json = serde_json::to_string(&versions).unwrap();
        assert!(json.contains(r#""expectedRate":0.01"#), "{json}");
        assert_eq!(serde_json::from_str::<Versions>(&json).unwrap(), versions);
    }

    proptest! {
        #[test]
        fn what_is_kept_are_the_latest_the_newest_and_the_published(
            seconds in prop::collection::vec(0i64..40, 0..30), keep in 1u32..12, newest in 0i64..40, published in 0i64..40,
        ) {
            let mut versions = Versions { promoted: Some(promotion(published)), ..Versions::default() };
            seconds.iter().chain([&newest]).for_each(|second| versions.add(trained(*second)));
            let before = versions.clone();
            let newest = trained(newest).version;
            let gone = versions.forget(keep, &newest);
            prop_assert_eq!(gone.len() + versions.versions.len(), before.versions.len());
            prop_assert!(versions.versions.len() <= keep as usize + 2);
            prop_assert!(versions.versions.is_sorted_by(|a, b| a.version < b.version));
            let published = promotion(published).version;
            for (place, known) in before.versions.iter().rev().enumerate() {
                let spared = place < keep as usize || known.version == newest || known.version == published;
                prop_assert_eq!(!spared, gone.contains(&known.version));
            }
        }

        #[test]
        fn a_sensors_version_is_where_its_template_says(device in "[a-z0-9_]{1,5}", tag in "[a-z0-9.]{1,4}") {
            let version = trained(7).version;
            for form in ["models/model_{device}_{tag}", "{tag}/{device}.pkl", "{device}"] {
                let models: Template = form.parse().unwrap();
                let sensor: SensorKeys = [("device", device.as_str()), ("tag", tag.as_str())].into_iter().collect();
                let Ok(path) = models.render(&sensor) else { continue };
                let of_version = template(&models, &version).unwrap().render(&sensor).unwrap();
                prop_assert_eq!(of_version, VersionPaths::of(&path).file(&version));
            }
        }
    }
}
