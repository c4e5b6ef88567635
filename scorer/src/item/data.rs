//! The readings of an item's sensors: each file is read once, for all sensors that it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use spec::SensorKeys;
use spec::work::DataSource;
use tokio::sync::OnceCell;

use super::files::files_of;
use super::sensor::Problem;
use crate::context::Context;
use crate::engine::{self, Encoding, Readings, Wanted};

/// The files of readings that some sensors need, read when first asked for and kept.
pub struct DataFiles {
    files: BTreeMap<String, DataFile>,
}

struct DataFile {
    sensors: BTreeSet<SensorKeys>,
    fixed: SensorKeys,
    loaded: OnceCell<Result<Loaded, Problem>>,
}

/// A file's readings, and how long they took to read.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) readings: Arc<Readings>,
    pub(super) took: SignedDuration,
}

impl DataFiles {
    /// The files that these sensors need. A sensor that cannot be part of the data's path has none, and fails alone.
    #[must_use]
    pub fn of(source: &DataSource, sensors: BTreeSet<SensorKeys>) -> Self {
        let mut files: BTreeMap<String, DataFile> = BTreeMap::new();
        let keys = source.path.keys();
        for sensor in sensors {
            let Ok(path) = source.path.render(&sensor) else { continue };
            let fixed: SensorKeys = sensor.0.iter().filter(|(k, _)| keys.contains(k.as_str())).collect();
            let file = files.entry(path).or_insert_with(|| DataFile {
                sensors: BTreeSet::new(),
                fixed,
                loaded: OnceCell::new(),
            });
            file.sensors.insert(sensor);
        }
        Self { files }
    }

    /// The readings of a file; a failure of the store is tried again when asked for again.
    pub(super) async fn load(&self, context: &Context, path: &str) -> Result<Loaded, Problem> {
        let Some(file) = self.files.get(path) else {
            return Err(Problem::failed("Internal", format!("{path} is not among the files of this item")));
        };
        let loaded = file.loaded.get_or_try_init(|| async {
            match read(context, path, file).await {
                Err(problem) if problem.retry => Err(problem),
                other => Ok(other),
            }
        });
        loaded.await?.clone()
    }
}

async fn read(context: &Context, path: &str, file: &DataFile) -> Result<Loaded, Problem> {
    let started = (context.clock)();
    let (mut inputs, mut fetches) = (Vec::new(), Vec::new());
    for path in files_of(context, path).await? {
        let (reader, fetch) = context.store.read(&path).await.map_err(|e| Problem::of_data(&e))?;
        inputs.push((context.store.uri(&path), std::io::BufReader::with_capacity(1 << 16, reader)));
        fetches.push(fetch);
    }
    let source = &context.request.work.data;
    let wanted = Wanted {
        encoding: Encoding::of(source),
        columns: source.columns.clone(),
        keys: file.sensors.first().map(|s| s.0.keys().cloned().collect()).unwrap_or_default(),
        fixed: file.fixed.clone(),
        sensors: Some(file.sensors.clone()),
        window: context.request.window,
    };
    let parsed = tokio::task::spawn_blocking(move || engine::read(inputs, wanted)).await;
    for fetch in fetches {
        // A store that failed in the middle explains a file that broke off.
        fetch.end().await.map_err(|e| Problem::of_data(&e))?;
    }
    let readings = parsed
        .map_err(|e| Problem::failed("Internal", format!("reading {path} broke off: {e}")))?
        .map_err(|e| Problem::failed(e.reason(), e.to_string()))?;
    Ok(Loaded { readings: Arc::new(readings), took: (context.clock)().duration_since(started) })
}
