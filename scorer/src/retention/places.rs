//! The places in which a schedule's things lie: folders, and what is too old in each.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use spec::check::MAX_SENSORS;
use store::manifest::MAX_ITEMS;
use store::paths::{FlatLog, pod_of_outcomes};
use store::record::{self, Pods};
use store::retention::{Cutoffs, Part, is_old, run_is_old, seek};
use store::{RunPaths, Seek, StoreError};

use crate::archive::ATTEMPTS;
use crate::context::Context;

/// Files deleted with one request: a slow store is done with so many before the request is given up.
const BATCH: usize = 100;

/// Where a schedule's things lie, and how old they may be.
#[derive(Clone)]
pub(super) struct Places<'a> {
    pub(super) context: &'a Context,
    pub(super) cutoffs: Cutoffs,
    /// Whether logs lie in the one folder of all schedules.
    pub(super) flat_logs: bool,
    /// When time runs out.
    pub(super) until: Timestamp,
}

/// What became of a place.
#[derive(Default)]
pub(super) struct Counts {
    /// Files that were deleted; of a run, the run.
    pub(super) deleted: u64,
    /// Why something could not be.
    pub(super) failed: Option<StoreError>,
    /// Whether all of it was looked at.
    pub(super) done: bool,
}

impl Places<'_> {
    /// The places of a part that may have something too old, sorted. Those whose names tell that all in them is young are
    /// never looked at.
    pub(super) async fn of(&self, part: Part) -> Result<Vec<String>, StoreError> {
        let (store, paths) = (&self.context.store, &self.context.paths);
        let mut places = match (part, self.cutoff(part)) {
            (_, None) => Vec::new(),
            (Part::FlatLogs, Some(_)) if !self.flat_logs => Vec::new(),
            (Part::Logs | Part::Runs, Some(cutoff)) => {
                let within = if part == Part::Logs { paths.log_folders() } else { paths.runs() };
                let mut runs = store.folders(&within, MAX_SENSORS).await?;
                runs.retain(|folder| {
                    let run = last(folder);
                    run != paths.name() && paths.tick_of(run).is_none_or(|tick| tick < cutoff)
                });
                runs
            }
            (Part::FlatLogs, Some(_)) => {
                let mut runs = store.folders(&paths.runs(), MAX_SENSORS).await?;
                runs.retain(|folder| paths.tick_of(last(folder)).is_none() && last(folder) != paths.name());
                let by_hand = runs.iter().map(|folder| RunPaths::flat_logs(last(folder)));
                by_hand.chain([paths.flat_tick_logs()]).collect()
            }
            (Part::Predictions, Some(cutoff)) => {
                let mut folders = store.folders(&format!("{}/", paths.predictions()), MAX_SENSORS).await?;
                folders.retain(|folder| paths.window_of_folder(folder).is_none_or(|from| from < cutoff));
                folders
            }
        };
        places.sort_unstable();
        Ok(places)
    }

    /// Deletes what is too old in a place, as long as there is time.
    pub(super) async fn sweep(&self, part: Part, place: &str) -> Result<Counts, StoreError> {
        let (paths, cutoff) = (&self.context.paths, self.cutoff(part).unwrap_or(Timestamp::MIN));
        match part {
            Part::Runs => self.run(place, cutoff).await,
            Part::Logs => {
                let log = |path: &str| if path.ends_with(".log") { Seek::Take } else { Seek::Skip };
                self.files(&format!("{place}/"), true, cutoff, log).await
            }
            Part::Predictions => {
                self.files(&format!("{place}/"), true, cutoff, |path| seek(paths.window_of(path), cutoff)).await
            }
            Part::FlatLogs => {
                let of_run = |path: &str| match FlatLog::of(path) {
                    Some(log) if place == paths.flat_tick_logs() => seek(paths.tick_of(log.run), cutoff),
                    Some(log) if place == RunPaths::flat_logs(log.run) => Seek::Take,
                    _ => Seek::Skip,
                };
                self.files(place, false, cutoff, of_run).await
            }
        }
    }

    fn cutoff(&self, part: Part) -> Option<Timestamp> {
        match part {
            Part::Logs | Part::FlatLogs => self.cutoffs.logs,
            Part::Runs => self.cutoffs.runs,
            Part::Predictions => self.cutoffs.predictions,
        }
    }

    fn out_of_time(&self) -> bool {
        (self.context.clock)() >= self.until
    }

    /// Deletes the files that start so, are wanted, and are too old.
    async fn files(
        &self,
        prefix: &str,
        deep: bool,
        cutoff: Timestamp,
        wanted: impl Fn(&str) -> Seek,
    ) -> Result<Counts, StoreError> {
        let store = &self.context.store;
        let mut counts = Counts::default();
        if self.out_of_time() {
            return Ok(counts);
        }
        let mut pages = store.pages(prefix, deep)?;
        while let Some(page) = pages.next(&wanted).await? {
            let old = page.into_iter().filter(|file| is_old(file, cutoff)).map(|file| file.path).collect();
            let old = if deep { old } else { self.own(old).await? };
            for some in old.chunks(BATCH) {
                let gone = store.delete(some).await?;
                counts.deleted += gone.deleted;
                counts.failed = counts.failed.or(gone.failed);
                if self.out_of_time() {
                    return Ok(counts);
                }
            }
        }
        Ok(Counts { done: true, ..counts })
    }

    /// Deletes a run, if it can go as a whole. Its record last: without it the rest would be taken for a run that goes on.
    async fn run(&self, folder: &str, cutoff: Timestamp) -> Result<Counts, StoreError> {
        if self.out_of_time() {
            return Ok(Counts::default());
        }
        let done = Counts { done: true, ..Counts::default() };
        let Ok(paths) = self.context.paths.of_run(last(folder)) else { return Ok(done) };
        let (store, record) = (&self.context.store, paths.record());
        let files = store.list(&format!("{folder}/"), MAX_ITEMS as usize * ATTEMPTS).await?;
        if files.is_empty() || !run_is_old(&files, &record, cutoff) {
            return Ok(done);
        }
        let (last, others): (Vec<_>, Vec<_>) =
            files.into_iter().map(|file| file.path).partition(|path| *path == record);
        for some in others.chunks(BATCH).chain([last.as_slice()]) {
            let gone = store.delete(some).await?;
            if gone.failed.is_some() {
                return Ok(Counts { failed: gone.failed, ..done });
            }
            if some != last && self.out_of_time() {
                return Ok(Counts::default());
            }
        }
        Ok(Counts { deleted: 1, ..done })
    }

    /// Those of flat logs that the schedule's runs wrote. Runs of other namespaces may have the same names, so it is the
    /// pods that tell.
    async fn own(&self, logs: Vec<String>) -> Result<Vec<String>, StoreError> {
        let mut by_run: BTreeMap<&str, Vec<(&str, &String)>> = BTreeMap::new();
        for path in &logs {
            if let Some(log) = FlatLog::of(path) {
                by_run.entry(log.run).or_default().push((log.pod, path));
            }
        }
        let mut own = Vec::new();
        for (run, files) in by_run {
            let pods = self.pods(run, files.iter().map(|(pod, _)| *pod).collect()).await?;
            own.extend(files.into_iter().filter(|(pod, _)| pods.contains(*pod)).map(|(_, path)| path.clone()));
        }
        Ok(own)
    }

    /// Which of these pods were a run's: those with outcomes, and those that Kubernetes told of.
    async fn pods(&self, run: &str, sought: BTreeSet<&str>) -> Result<BTreeSet<String>, StoreError> {
        let Ok(paths) = self.context.paths.of_run(run) else { return Ok(BTreeSet::new()) };
        let store = &self.context.store;
        let mut found = BTreeSet::new();
        let mut pages = store.pages(&paths.outcomes(), true)?;
        while let Some(page) = pages.next(|_| Seek::Take).await? {
            let pods = page.iter().filter_map(|file| pod_of_outcomes(&file.path));
            found.extend(pods.filter(|pod| sought.contains(pod)).map(str::to_owned));
        }
        if found.len() == sought.len() {
            return Ok(found);
        }
        match store.get_json::<Pods>(&paths.record(), "record", record::MAX_BYTES).await {
            Ok(pods) => found.extend(pods.uids().filter(|uid| sought.contains(uid.as_str()))),
            Err(StoreError::NotFound { .. } | StoreError::Malformed { .. } | StoreError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(found)
    }
}

/// The last segment of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
