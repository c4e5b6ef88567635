//! Planning: find the sensors, freeze their models, claim the tick, write the manifest.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use spec::check::{MAX_SENSORS, check_sensor};
use spec::complete::DATA_INCOMPLETE;
use spec::packing::Known;
use spec::report::{Changes, PlanReport};
use spec::work::Work;
use spec::{PerPod, SensorKeys, Task, Template};
use store::manifest::{self, VERSION};
use store::record::{self, Failures};
use store::versions;
use store::{File, Listing, ManifestIndex, ModelFile, PlannedSensor, Seek, Store, StoreError};

use crate::context::{Context, StepError};
use crate::item::ensure_table;
use crate::shown::on_one_line;

mod ambiguous;
mod changes;
mod claim;
mod complete;
mod readings;

/// Up to so many named sensors, each model is looked at by itself instead of listing all models.
const LOOKED_AT_ONE_BY_ONE: usize = 50;
/// Requests under way at once.
const AT_ONCE: usize = 16;
/// What the UIDs of runs without Kubernetes begin with: such a run may be repeated.
pub const LOCAL: &str = "local-";

/// Plans a run: the manifest that it leaves is the same for the same models. A retry of the same run finds its own.
///
/// # Errors
/// When there is nothing to score, another run holds the tick, or the store fails.
pub async fn plan(context: &Context) -> Result<ManifestIndex, StepError> {
    let incomplete = complete::wait(context).await?;
    let (mut sensors, of_sensors) = find_sensors(context).await?;
    let mut warnings: Vec<String> = incomplete.iter().map(|why| format!("{DATA_INCOMPLETE}: {why}")).collect();
    warnings.extend(of_sensors);
    add_challengers(context, &mut sensors).await?;
    warnings.extend(padded(&context.request.work, &sensors));
    for warning in &mut warnings {
        *warning = on_one_line(warning);
        tracing::warn!("{warning}");
    }
    if let Some(index) = claim::claim(context).await? {
        return Ok(index);
    }
    if let Some(first) = sensors.first() {
        Box::pin(ensure_table(context, &first.sensor)).await.map_err(StepError::Predictions)?;
    }
    let (store, paths, request) = (&context.store, &context.paths, &context.request);
    let hash = changes::hash_of(&sensors);
    let (rerun, per_pod) = (request.rerun_failed_of.is_some(), request.work.packing.sensors_per_pod);
    let latest = match request.work.task {
        Task::Score if !rerun || per_pod == PerPod::Auto => changes::latest(context).await?,
        _ => None,
    };
    let changes = match &latest {
        Some(latest) if !rerun => changes::changes(context, latest, &sensors, &hash).await?,
        _ => None,
    };
    if let Some(changes) = &changes {
        tracing::info!(since = changes.since, new = changes.new, vanished = changes.vanished, "the sensors are others");
    }
    let seconds_per_sensor = latest.and_then(|latest| latest.seconds_per_sensor);
    let known = Known { slots: request.slots, seconds_per_sensor };
    let per_pod = per_pod.of(u32::try_from(sensors.len()).unwrap_or(u32::MAX), known);
    let (division, shards) = manifest::divide(&request.run_uid, sensors, per_pod)?;
    futures::stream::iter(shards.iter().zip(0u32..).map(Ok::<_, StepError>))
        .try_for_each_concurrent(AT_ONCE, |(shard, number)| async move {
            Ok(store.put_json(&paths.shard(number), "manifest", shard).await?)
        })
        .await?;
    let index = ManifestIndex {
        version: VERSION,
        run_uid: request.run_uid.clone(),
        tick: request.tick,
        window: request.window,
        sensors: division.sensors,
        items: division.items,
        items_per_shard: division.items_per_shard,
        shards: division.shards,
        sensors_hash: Some(hash),
        changes,
        incomplete,
        warnings,
        store_requests: store.requests(),
    };
    claim::hold(context).await?;
    // Last: a manifest with an index is whole.
    store.put_json(&paths.manifest(), "manifest", &index).await?;
    Ok(index)
}

/// What a plan tells the operator.
#[must_use]
pub fn report(context: &Context, index: &ManifestIndex) -> PlanReport {
    PlanReport {
        sensors: index.sensors,
        items: index.items,
        manifest: context.store.uri(&context.paths.manifest()),
        changes: index.changes.as_ref().map(|changes| Changes {
            since: changes.since.clone(),
            new: changes.new,
            vanished: changes.vanished,
        }),
        incomplete: index.incomplete.clone(),
        error: None,
    }
}

/// What is said of models, or sensors, that are left out.
fn left_out(what: &str, why: &[String]) -> Option<String> {
    let first = why.first()?;
    Some(format!("{} {what} left out; the first is {first}", why.len()))
}

/// What is said of sensors for which no readings can be found.
fn padded(work: &Work, sensors: &[PlannedSensor]) -> Option<String> {
    let in_path = work.data.keys();
    let padded = |planned: &&PlannedSensor| {
        planned.sensor.0.iter().any(|(key, value)| !in_path.contains(key.as_str()) && value.trim_ascii() != value)
    };
    let mut padded = sensors.iter().filter(padded);
    let first = padded.next()?;
    Some(format!(
        "{} sensor(s) have white space around a key, the first of them {:?} with the model {}; there is none in readings, so \
         they have no rows: rename the model",
        padded.count() + 1,
        first.sensor.to_string(),
        first.model.path
    ))
}

/// Every sensor, sorted, with its model as it is now; and what is to be said of them.
async fn find_sensors(context: &Context) -> Result<(Vec<PlannedSensor>, Vec<String>), StepError> {
    let work = &context.request.work;
    let of_version = work.model.version.as_ref().map(|version| {
        let template = versions::template(&work.model.path, version);
        template.ok_or_else(|| StepError::Request(format!("model.version: {version} gives no path")))
    });
    let template = of_version.transpose()?;
    let models = |why: &[String]| left_out("model(s) are", why);
    let discovered = async || {
        let (sensors, why) = discover(context, &work.model.path).await?;
        Ok((sensors, models(&why).into_iter().collect()))
    };
    let (wanted, left_out): (BTreeSet<SensorKeys>, _) = match (&context.request.rerun_failed_of, &work.sensors) {
        (Some(run), _) => (failed_of(context, run).await?, None),
        (None, Some(sensors)) => (sensors.all().into_iter().collect(), None),
        (None, None) => match work.task {
            Task::Score => match &template {
                None => return discovered().await,
                Some(versions) => {
                    let (sensors, why) = with_models(context, versions).await?;
                    (sensors, models(&why))
                }
            },
            Task::Train => match readings::find(context).await? {
                None => return discovered().await,
                Some((sensors, why)) => (sensors, left_out("sensor(s) with readings are", &why)),
            },
        },
    };
    let template = template.as_ref().unwrap_or(&work.model.path);
    let mut paths = BTreeMap::new();
    for sensor in wanted {
        let path = template.render(&sensor).map_err(|e| StepError::Request(format!("sensors: {e}")))?;
        paths.insert(sensor, path);
    }
    let mut refused = ambiguous::refused(work.task, template, &paths);
    let mut warnings: Vec<String> = left_out.into_iter().collect();
    // Where sensors are named, they are for the schedules that score, too.
    if work.task == Task::Train && work.sensors.is_none() {
        let trained = paths.iter().filter(|(sensor, _)| !refused.contains_key(*sensor));
        warnings.extend(ambiguous::misread(template, trained));
    }
    let files = model_files(context, template.prefix(), paths.values().cloned().collect()).await?;
    let plan = |(sensor, path): (SensorKeys, String)| {
        let found = files.get(&path);
        let model = ModelFile { etag: found.and_then(|f| f.etag.clone()), size: found.map(|f| f.size), path };
        let refused = refused.remove(&sensor);
        PlannedSensor { refused, ..PlannedSensor::new(sensor, model) }
    };
    Ok((paths.into_iter().map(plan).collect(), warnings))
}

/// Notes of each sensor which file its challenger is, if the schedule names one.
async fn add_challengers(context: &Context, sensors: &mut [PlannedSensor]) -> Result<(), StepError> {
    let model = &context.request.work.model;
    let Some(challenger) = &model.challenger else { return Ok(()) };
    let Some(template) = versions::template(&model.path, &challenger.version) else { return Ok(()) };
    let path = |planned: &PlannedSensor| template.render(&planned.sensor).ok();
    let files = model_files(context, template.prefix(), sensors.iter().filter_map(path).collect()).await?;
    for planned in sensors {
        planned.challenger = path(planned).map(|path| {
            let found = files.get(&path);
            ModelFile { etag: found.and_then(|f| f.etag.clone()), size: found.map(|f| f.size), path }
        });
    }
    Ok(())
}

/// The sensors that failed in an earlier run, as its record tells.
async fn failed_of(context: &Context, run: &str) -> Result<BTreeSet<SensorKeys>, StepError> {
    let path = context.paths.of_run(run)?.record();
    let record: Failures = match context.store.get_json(&path, "record", record::MAX_BYTES).await {
        Err(StoreError::NotFound { .. }) => {
            let (uri, schedule) = (context.store.uri(&path), context.request.schedule.clone());
            let namespace = context.request.namespace.clone();
            return Err(StepError::RunNotFound { uri, run: run.to_owned(), schedule, namespace });
        }
        record => record?,
    };
    let sensors = record.sensors();
    if sensors.is_empty() {
        return Err(StepError::NothingFailed { uri: context.store.uri(&path), run: run.to_owned() });
    }
    sensors.iter().try_for_each(|sensor| check_sensor("rerunFailedOf", sensor))?;
    Ok(sensors)
}

/// Those of the given model files that are there.
async fn model_files(
    context: &Context,
    prefix: &str,
    paths: BTreeSet<String>,
) -> Result<BTreeMap<String, File>, StepError> {
    let store = &context.store;
    if paths.len() <= LOOKED_AT_ONE_BY_ONE {
        let found: Vec<Option<File>> = futures::stream::iter(paths.into_iter().map(Ok::<_, StepError>))
            .map_ok(|path| async move {
                match store.head(&path).await {
                    // The sensor fails for it when its model is fetched, and no other does.
                    Err(StoreError::NameOfUpload { .. }) => Ok(None),
                    found => Ok(found?),
                }
            })
            .try_buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let found: BTreeMap<String, File> = found.into_iter().flatten().map(|f| (f.path.clone(), f)).collect();
        if found.is_empty() {
            // Of an object alone it is not told whether it is its container that is absent.
            store.pages(context.request.work.model.path.prefix(), false)?.next(|_| Seek::End).await?;
        }
        return Ok(found);
    }
    let files = store.list(prefix, MAX_SENSORS).await?;
    Ok(files.into_iter().filter(|f| paths.contains(&f.path)).map(|f| (f.path.clone(), f)).collect())
}

/// The sensors that have a published model; where none is published, those that have the version.
async fn with_models(context: &Context, versions: &Template) -> Result<(BTreeSet<SensorKeys>, Vec<String>), StepError> {
    let found = match discover(context, &context.request.work.model.path).await {
        Err(StepError::NoSensors(_)) => discover(context, versions).await,
        found => found,
    };
    let (planned, left_out) = found?;
    Ok((planned.into_iter().map(|planned| planned.sensor).collect(), left_out))
}

/// The sensors for which a template of models matches a file.
async fn discover(context: &Context, template: &Template) -> Result<(Vec<PlannedSensor>, Vec<String>), StepError> {
    let Models { sensors, mut left_out } = find_models(&context.store, template).await?;
    let mut planned = Vec::new();
    for (sensor, f) in sensors {
        // A name that cannot be a sensor's harms no other.
        match check_sensor("model.path", &sensor) {
            Ok(()) => {
                let model = ModelFile { path: f.path, etag: f.etag, size: Some(f.size) };
                planned.push(PlannedSensor::new(sensor, model));
            }
            Err(error) => left_out.push(format!("{}: {}", f.path, error.message)),
        }
    }
    match (planned.is_empty(), left_out.first()) {
        (true, Some(first)) => Err(StepError::NoSensors(format!("no model of {template} can be a sensor's: {first}"))),
        _ => Ok((planned, left_out)),
    }
}

/// The models that a template finds.
pub(crate) struct Models {
    /// The file of each sensor for which the template matches one.
    pub(crate) sensors: BTreeMap<SensorKeys, File>,
    /// Files that would match if any value could be a sensor's, and why they do not.
    pub(crate) left_out: Vec<String>,
}

/// Why a file is no sensor's model.
const NO_KEY: &str =
    "a key's value is a text (UTF-8) without / \\ and control characters, and not . or ..; rename the file";
const UPLOAD: &str = "ends with # and digits, as a file does that is being written to a folder; rename it if it is a \
                      sensor's model, delete it if it is left of a write that was killed";

/// The model of each sensor for which a template matches a file.
pub(crate) async fn find_models(store: &Store, template: &Template) -> Result<Models, StepError> {
    let Listing { mut files, unusable, uploads } = store.list_all(template.prefix(), MAX_SENSORS).await?;
    let of_version = versions::is_version(&template.to_string());
    files.retain(|file| of_version || !versions::is_version(&file.path));
    let unlike = files.iter().map(|f| &f.path).filter(|path| template.matches(path).is_none());
    let unlike = unlike.chain(&unusable).map(|path| (path, NO_KEY));
    let left_out: Vec<String> = unlike
        .chain(uploads.iter().map(|path| (path, UPLOAD)))
        .filter(|(path, _)| template.resembles(path))
        .map(|(path, why)| format!("{}: {why}", path.escape_debug()))
        .collect();
    let other = files.iter().find(|f| template.matches(&f.path).is_none()).map(|f| f.path.clone());
    let sensors: BTreeMap<SensorKeys, File> =
        files.into_iter().filter_map(|f| Some((template.matches(&f.path)?, f))).collect();
    if sensors.is_empty() {
        let seen = other.filter(|_| left_out.is_empty()).map_or_else(
            || {
                left_out
                    .first()
                    .cloned()
                    .unwrap_or_else(|| format!("no file starts with {}", store.uri(template.prefix())))
            },
            |path| format!("files start with {}, such as {path}, but none has this form", template.prefix()),
        );
        return Err(StepError::NoSensors(format!(
            "no model matches {template} in {}: {seen}; train or upload models, correct model.path, or name the sensors \
             (sensors.list or sensors.matrix)",
            store.url()
        )));
    }
    Ok(Models { sensors, left_out })
}
