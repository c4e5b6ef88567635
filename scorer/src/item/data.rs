//! The readings of an item's sensors: the files of each data path are read once, for all sensors that are in them; and what is
//! the same query of a database is asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use spec::work::DataSource;
use spec::{SensorKeys, SqlSource};
use store::StoreError;

use super::AT_ONCE;
use super::files::files_of;
use super::query::ask;
use crate::context::Context;
use crate::engine::{Encoding, Limits, Pass, ReadingsError, Totals, Wanted};
use crate::feed::{Budget, Feed, Filler, feeds};
use crate::problem::Problem;

/// The readings that some sensors need, by data path. The files of a path are read when the first of its sensors asks for
/// them, and nothing of them is kept once all have had theirs. Dropped, it ends the reading of what nobody consumes.
pub struct DataFiles {
    paths: BTreeMap<String, PathReadings>,
    budget: Box<dyn Fn(usize) -> Budget + Send + Sync>,
}

struct PathReadings {
    fixed: SensorKeys,
    sensors: Mutex<BTreeMap<SensorKeys, Place>>,
}

/// Where a sensor's rows are.
enum Place {
    /// In the next pass.
    Wanted,
    /// In a pass that has begun.
    Read(Feed),
    /// With whom they were given to.
    Given,
}

impl DataFiles {
    /// The readings that these sensors need, where so many items are worked on at once. A sensor that cannot be part of
    /// the data's path has none, and fails alone.
    #[must_use]
    pub fn of(source: &DataSource, sensors: BTreeSet<SensorKeys>, items: usize) -> Self {
        let mut files = Self::with_budget(source, sensors, |_| Budget::share(0, 1));
        let passes = files.paths.len().min(items.max(1) * AT_ONCE);
        files.budget = Box::new(move |sensors| Budget::share(sensors, passes));
        files
    }

    /// The same, where a pass for so many sensors has what `budget` says.
    pub fn with_budget(
        source: &DataSource,
        sensors: BTreeSet<SensorKeys>,
        budget: impl Fn(usize) -> Budget + Send + Sync + 'static,
    ) -> Self {
        let mut paths: BTreeMap<String, PathReadings> = BTreeMap::new();
        let keys = source.keys();
        for sensor in sensors {
            let Ok(path) = source.place(&sensor) else { continue };
            let path = paths.entry(path).or_insert_with(|| PathReadings {
                fixed: sensor.0.iter().filter(|(k, _)| keys.contains(k.as_str())).collect(),
                sensors: Mutex::default(),
            });
            path.sensors.get_mut().unwrap_or_else(PoisonError::into_inner).insert(sensor, Place::Wanted);
        }
        Self { paths, budget: Box::new(budget) }
    }

    /// Tells that these sensors are about to ask for their rows, perhaps again: one pass then serves all of them.
    pub(super) fn want<'a>(&self, sensors: impl Iterator<Item = &'a SensorKeys>) {
        let sensors: BTreeSet<&SensorKeys> = sensors.collect();
        for path in self.paths.values() {
            for (sensor, place) in path.sensors().iter_mut() {
                if matches!(place, Place::Given) && sensors.contains(sensor) {
                    *place = Place::Wanted;
                }
            }
        }
    }

    /// The rows of a sensor, which may still have to be read.
    pub(super) fn feed(&self, context: &Context, path: &str, sensor: &SensorKeys) -> Result<Feed, Problem> {
        let absent = || Problem::failed("Internal", format!("{path} is not read for sensor {sensor}"));
        let files = self.paths.get(path).ok_or_else(absent)?;
        let mut sensors = files.sensors();
        // What the store's failure left unread is read again.
        let to_read = |place: &Place| match place {
            Place::Wanted => true,
            Place::Read(feed) => feed.problem().is_some_and(|problem| problem.retry),
            Place::Given => false,
        };
        let place = sensors.get_mut(sensor).ok_or_else(absent)?;
        if matches!(place, Place::Given) {
            *place = Place::Wanted;
        }
        if to_read(place) {
            let wanted: BTreeSet<SensorKeys> =
                sensors.iter().filter(|(_, place)| to_read(place)).map(|(sensor, _)| sensor.clone()).collect();
            for (sensor, feed) in wanted.iter().zip(self.begin(context, path, &files.fixed, wanted.clone())) {
                sensors.insert(sensor.clone(), Place::Read(feed));
            }
        }
        match sensors.insert(sensor.clone(), Place::Given) {
            Some(Place::Read(feed)) => Ok(feed),
            _ => Err(absent()),
        }
    }

    /// Begins to read the files of a path for some sensors.
    fn begin(&self, context: &Context, path: &str, fixed: &SensorKeys, sensors: BTreeSet<SensorKeys>) -> Vec<Feed> {
        let budget = (self.budget)(sensors.len());
        let work = &context.request.work;
        let wanted = Wanted {
            encoding: Encoding::of(&work.data),
            columns: work.data.columns.clone(),
            keys: sensors.first().map(|s| s.0.keys().cloned().collect()).unwrap_or_default(),
            fixed: fixed.clone(),
            window: context.request.window,
            instants: work.predictions.has_instants(),
            sensors: Some(sensors),
        };
        let limits = budget.limits();
        let (filler, feeds) = feeds(wanted.sensors.as_ref().map_or(0, BTreeSet::len), budget);
        let (context, path, fixed) = (context.clone(), path.to_owned(), fixed.clone());
        tokio::spawn(async move {
            if let Some(source) = &context.request.work.data.sql {
                return read_table(&context, source, (&path, &fixed), (wanted, limits), filler).await;
            }
            match files_of(&context, &path).await {
                Ok(files) => {
                    let names = files.iter().map(|file| context.store.uri(file)).collect();
                    read(&context, files, Pass::new(wanted, names, limits), filler).await;
                }
                Err(problem) => filler.end(Err(problem)),
            }
        });
        feeds
    }
}

impl PathReadings {
    fn sensors(&self) -> MutexGuard<'_, BTreeMap<SensorKeys, Place>> {
        self.sensors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads files into feeds, on a blocking thread; the next one is asked for while one is read.
async fn read(context: &Context, files: Vec<String>, mut pass: Pass, mut filler: Filler) {
    let open = |file: Option<String>| {
        let store = context.store.clone();
        file.map(|file| tokio::spawn(async move { store.read(&file).await }))
    };
    let mut files = files.into_iter();
    let mut opened = open(files.next());
    while let Some(opening) = opened.take() {
        let (input, fetch) = match opening.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return filler.end(Err(Problem::of_data(&error))),
            Err(error) => return filler.end(Err(Problem::internal("fetching readings", error))),
        };
        opened = open(files.next());
        let last = opened.is_none();
        let part = tokio::task::spawn_blocking(move || {
            let flow = pass.file(BufReader::with_capacity(1 << 16, input), &mut filler);
            match flow {
                Ok(ControlFlow::Continue(())) if last => (Part::Whole(pass.end(&mut filler)), filler),
                Ok(ControlFlow::Continue(())) => (Part::More(Box::new(pass)), filler),
                Ok(ControlFlow::Break(())) => (Part::Enough, filler),
                Err(error) => (Part::Whole(Err(error)), filler),
            }
        });
        let part = part.await;
        let fetched: Result<(), StoreError> = fetch.end().await;
        let Ok((part, rest)) = part else { return };
        filler = rest;
        // A store that failed in the middle explains a file that broke off.
        if let Err(error) = fetched {
            return filler.end(Err(Problem::of_data(&error)));
        }
        match part {
            Part::More(rest) => pass = *rest,
            Part::Enough => return,
            Part::Whole(end) => return filler.end(end.map_err(|e| Problem::of_readings(&e))),
        }
    }
    filler.end(Err(Problem::failed("DataNotFound", "there is no file to read")));
}

/// Reads the rows of a query into feeds, on a blocking thread, while they come.
async fn read_table(
    context: &Context,
    source: &SqlSource,
    (place, keys): (&str, &SensorKeys),
    (wanted, limits): (Wanted, Limits),
    mut filler: Filler,
) {
    let (table, fetch) = match ask(context, source, keys, place).await {
        Ok(begun) => begun,
        Err(error) => return filler.end(Err(Problem::of_sql(place, &error))),
    };
    let mut pass = Pass::new(wanted, vec![table.name().to_owned()], limits);
    let reading = tokio::task::spawn_blocking(move || {
        let end = match pass.table(table, &mut filler) {
            Ok(ControlFlow::Continue(())) => Some(pass.end(&mut filler)),
            Ok(ControlFlow::Break(())) => None,
            Err(error) => Some(Err(error)),
        };
        (end, filler)
    });
    let (fetched, read) = tokio::join!(fetch.run(), reading);
    let Ok((end, filler)) = read else { return };
    match (fetched, end) {
        // Rows that broke off look as if they had ended.
        (Err(error), _) => filler.end(Err(Problem::of_sql(place, &error))),
        (Ok(()), Some(end)) => filler.end(end.map_err(|e| Problem::of_readings(&e))),
        // Nobody wants more.
        (Ok(()), None) => {}
    }
}

/// How far a file brought its pass.
enum Part {
    More(Box<Pass>),
    /// Nobody wants more.
    Enough,
    Whole(Result<Totals, ReadingsError>),
}
