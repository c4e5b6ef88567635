//! Publishing a version of a model: noted in the index first, then copied over the published file, each only over what was
//! looked at. Who loses looks again, and sees in the index what the other did: of two that train one sensor at once, the
//! later version is published in the end, and the earlier one never after it.

use std::collections::BTreeSet;

use bytes::Bytes;
use spec::SensorKeys;

use super::{FORM, MAX_BYTES, VersionPaths, Versions};
use crate::{Seen, Store, StoreError};

/// How often it is tried for while others write.
const TRIES: u32 = 5;

/// Why a version could not be published, or noted.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model of the path is another sensor's.
    #[error(
        "{uri} tells of the versions of sensor {other}'s model, and model.path gives this sensor the same path: put between \
         its keys what no value has, such as /, or delete the index if there is no such sensor any more"
    )]
    OfOther {
        /// The index.
        uri: String,
        /// Whose it is.
        other: SensorKeys,
    },
    /// Others write all the time.
    #[error("{uri}: others changed it {TRIES} times while it was written; try again")]
    Contended {
        /// The index.
        uri: String,
    },
}

impl PublishError {
    /// Whether the same may work later, with nothing changed by a person.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::OfOther { .. } => false,
            Self::Contended { .. } => true,
        }
    }
}

/// A change of a model's versions that is under way. `T` is what is said of it in the end.
pub struct Publishing<'a, T> {
    at: Place<'a>,
    next: Next<T>,
}

struct Place<'a> {
    store: &'a Store,
    model: &'a str,
    /// Whose model it must be.
    sensor: Option<&'a SensorKeys>,
    index: String,
    looks: u32,
}

enum Next<T> {
    /// Look at the published model.
    Look,
    /// Then read the index: whoever published what was seen there has noted it before.
    Read(Seen),
    /// Change the index.
    Note {
        model: Seen,
        index: Seen,
        known: Versions,
    },
    /// Copy the version over the published model.
    Copy(Seen, T),
    Done(T),
}

impl<'a, T> Publishing<'a, T> {
    /// Looks at a published model, unless it was looked at before, and at the index of its versions.
    ///
    /// # Errors
    /// When the index is another sensor's than `sensor`, if one is given, or the store fails.
    pub async fn begin(
        store: &'a Store,
        model: &'a str,
        sensor: Option<&'a SensorKeys>,
        seen: Option<Seen>,
    ) -> Result<Self, PublishError> {
        let mut at = Place { store, model, sensor, index: VersionPaths::of(model).index(), looks: 0 };
        let seen = match seen {
            Some(seen) => seen,
            None => at.look().await?,
        };
        let next = at.read(seen).await?;
        Ok(Self { at, next })
    }

    /// Changes the index by `change`, and makes `bytes` the published model where that says so. It is asked anew whenever
    /// somebody else has changed one of them meanwhile; what it said last is given back.
    ///
    /// # Errors
    /// When others write all the time, or the store fails.
    pub async fn run(
        self,
        bytes: &Bytes,
        mut change: impl FnMut(&mut Versions) -> (bool, T),
    ) -> Result<T, PublishError> {
        let Self { mut at, mut next } = self;
        loop {
            next = match next {
                Next::Done(said) => return Ok(said),
                next => at.step(next, bytes, &mut change).await?,
            };
        }
    }
}

impl Place<'_> {
    async fn look(&mut self) -> Result<Seen, PublishError> {
        if self.looks == TRIES {
            return Err(PublishError::Contended { uri: self.store.uri(&self.index) });
        }
        self.looks += 1;
        Ok(self.store.look(self.model).await?)
    }

    async fn read<T>(&self, model: Seen) -> Result<Next<T>, PublishError> {
        let what = "index of versions";
        let (known, index) = self.store.get_json_seen::<Versions>(&self.index, what, MAX_BYTES).await?;
        match (known, self.sensor) {
            (Some(Versions { sensor: other, .. }), Some(sensor)) if other != *sensor && !is_renamed(sensor, &other) => {
                Err(PublishError::OfOther { uri: self.store.uri(&self.index), other })
            }
            (known, _) => Ok(Next::Note { model, index, known: known.unwrap_or_default() }),
        }
    }

    /// Does what is next: at most one request.
    async fn step<T>(
        &mut self,
        next: Next<T>,
        bytes: &Bytes,
        change: &mut impl FnMut(&mut Versions) -> (bool, T),
    ) -> Result<Next<T>, PublishError> {
        Ok(match next {
            Next::Look => Next::Read(self.look().await?),
            Next::Read(model) => self.read(model).await?,
            Next::Note { model, index, mut known } => {
                known.form = FORM;
                let (publish, said) = change(&mut known);
                match self.store.put_json_over(&self.index, &index, "index of versions", &known).await? {
                    false => Next::Look,
                    true if publish => Next::Copy(model, said),
                    true => Next::Done(said),
                }
            }
            Next::Copy(seen, said) => match self.store.put_over(self.model, &seen, bytes.clone()).await? {
                true => Next::Done(said),
                false => Next::Look,
            },
            done @ Next::Done(_) => done,
        })
    }
}

/// Whether these are the same values, and only the keys are called otherwise.
fn is_renamed(sensor: &SensorKeys, other: &SensorKeys) -> bool {
    let values = |of: &SensorKeys| of.0.values().cloned().collect::<BTreeSet<String>>();
    !sensor.0.keys().eq(other.0.keys()) && values(sensor) == values(other)
}

#[cfg(test)]
mod tests {
    use super::super::{Promotion, VersionPaths};
    use super::*;
    use crate::Credentials;
    use jiff::Timestamp;
    use spec::ModelVersion;

    const MODEL: &str = "models/m";

    fn folder() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", dir.path().display()), &Credentials::none()).unwrap();
        (dir, store)
    }

    /// A training that publishes its version unless a later one is published.
    struct Training<'a> {
        at: Place<'a>,
        next: Next<bool>,
        version: ModelVersion,
    }

    impl<'a> Training<'a> {
        fn new(store: &'a Store, hour: i64) -> Self {
            let at = Place { store, model: MODEL, sensor: None, index: VersionPaths::of(MODEL).index(), looks: 0 };
            let version = ModelVersion::at(Timestamp::from_second(3_600 * hour).unwrap());
            Self { at, next: Next::Look, version }
        }

        fn is_done(&self) -> bool {
            matches!(self.next, Next::Done(_))
        }

        async fn step(&mut self) {
            let version = self.version.clone();
            let mut change = |known: &mut Versions| {
                let publish = known.promoted.as_ref().is_none_or(|published| published.version <= version);
                if publish {
                    let at = Timestamp::UNIX_EPOCH;
                    let (model_hash, why) = (String::new(), String::new());
                    known.promoted = Some(Promotion { version: version.clone(), model_hash, run: None, at, why });
                }
                (publish, publish)
            };
            let next = std::mem::replace(&mut self.next, Next::Look);
            let bytes = Bytes::from(self.version.to_string());
            self.next = self.at.step(next, &bytes, &mut change).await.unwrap();
        }
    }

    async fn published(store: &Store) -> (String, ModelVersion) {
        let bytes = store.get(MODEL, 100).await.unwrap();
        let index = VersionPaths::of(MODEL).index();
        let known: Versions = store.get_json(&index, "index", MAX_BYTES).await.unwrap();
        (String::from_utf8(bytes.to_vec()).unwrap(), known.promoted.unwrap().version)
    }

    #[tokio::test]
    async fn of_two_trainings_at_once_the_later_version_is_published_whoever_is_faster() {
        for order in 0..1_u32 << 9 {
            let (_dir, store) = folder();
            if order % 2 == 0 {
                store.put(MODEL, "an earlier one").await.unwrap();
            }
            let (mut earlier, mut later) = (Training::new(&store, 1), Training::new(&store, 2));
            let latest = later.version.clone();
            let mut seen_later = false;
            // Each bit says whose turn it is; then both go on to their ends.
            let turns = (0..9).map(|bit| order >> bit & 1 == 1).chain([true; 20]).chain([false; 20]);
            for is_later in turns {
                let training = if is_later { &mut later } else { &mut earlier };
                if !training.is_done() {
                    training.step().await;
                }
                let now = store.look(MODEL).await.unwrap() != Seen::Absent
                    && store.get(MODEL, 100).await.unwrap() == latest.to_string();
                assert!(now || !seen_later, "{order:b}: an earlier version was published over a later one");
                seen_later = now;
            }
            assert!(earlier.is_done() && later.is_done(), "{order:b}");
            assert_eq!(published(&store).await, (latest.to_string(), latest), "{order:b}");
        }
    }

    #[tokio::test]
    async fn a_training_that_is_tried_again_ends_what_was_begun() {
        let (_dir, store) = folder();
        let mut killed = Training::new(&store, 2);
        for _ in 0..3 {
            killed.step().await;
        }
        assert!(matches!(killed.next, Next::Copy(..)), "noted, and not yet published");
        assert_eq!(store.look(MODEL).await.unwrap(), Seen::Absent);
        let mut again = Training::new(&store, 2);
        while !again.is_done() {
            again.step().await;
        }
        assert_eq!(published(&store).await, (again.version.to_string(), again.version));
    }

    #[tokio::test]
    async fn the_index_of_another_sensor_is_refused_with_its_name() {
        let (_dir, store) = folder();
        let [ours, other] = ["a", "b"].map(|device| -> SensorKeys { [("device", device)].into_iter().collect() });
        let known = Versions { form: FORM, sensor: other, ..Versions::default() };
        store.put_json(&VersionPaths::of(MODEL).index(), "index", &known).await.unwrap();
        let begun = Publishing::<()>::begin(&store, MODEL, Some(&ours), None).await;
        let error = begun.err().unwrap();
        assert!(matches!(error, PublishError::OfOther { .. }) && !error.is_retryable());
        assert!(error.to_string().contains("of sensor device=b's model"), "{error}");
        assert!(Publishing::<()>::begin(&store, MODEL, None, None).await.is_ok());
        for (key, value, same) in [("machine", "b", true), ("machine", "c", false)] {
            let renamed = [(key, value)].into_iter().collect();
            assert_eq!(Publishing::<()>::begin(&store, MODEL, Some(&renamed), None).await.is_ok(), same, "{value}");
        }
    }
}
