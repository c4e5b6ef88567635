//! The sensors of a run that trains, where none are named: those that have readings. There may be no models yet.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::sync::Arc;

use spec::check::{MAX_SENSORS, check_sensor};
use spec::{SensorKeys, SqlSource, Template};
use store::StoreError;

use super::find_models;
use crate::context::{Context, StepError};
use crate::engine::{Encoding, Head, Pass, ReadingsError, Rows, Sink, Totals, Wanted};
use crate::feed::Budget;
use crate::item::{ask, files_of};
use crate::problem::Problem;

/// The sensors that have readings, and what looks like some and cannot be; none where `data` does not tell.
///
/// Where `data.path` names all keys they are in the files' names. Where it, or a query, names none they are in the rows, which
/// are read once.
pub(super) async fn find(context: &Context) -> Result<Option<(BTreeSet<SensorKeys>, Vec<String>)>, StepError> {
    let work = &context.request.work;
    let (keys, in_place) = (work.model.path.keys(), work.data.keys());
    let place = work.data.path.as_ref().map_or_else(|| "data.sql".to_owned(), ToString::to_string);
    let found = if in_place.is_empty() {
        read(context, keys.iter().map(|key| (*key).to_owned()).collect(), &place).await?
    } else if let Some(path) = work.data.path.as_ref().filter(|path| in_place == keys && !path.is_pattern()) {
        let Ok(template) = path.to_string().parse::<Template>() else { return Ok(None) };
        find_models(&context.store, &template).await?.sensors.into_keys().collect()
    } else {
        return Ok(None);
    };
    let (mut sensors, mut left_out) = (BTreeSet::new(), Vec::new());
    for sensor in found {
        match check_sensor("data.path", &sensor) {
            Ok(()) => drop(sensors.insert(sensor)),
            Err(error) => left_out.push(error.message),
        }
    }
    if sensors.is_empty() {
        let why = left_out.first().map_or_else(|| "it has no readings in the window".to_owned(), Clone::clone);
        let uri = context.data_uri(&place);
        return Err(StepError::NoSensors(format!(
            "{uri} tells no sensor to train: {why}; correct data.path or data.sql, or give sensors"
        )));
    }
    Ok(Some((sensors, left_out)))
}

/// The sensors that have rows in the window, by the columns of the keys.
async fn read(context: &Context, keys: Vec<String>, place: &str) -> Result<Vec<SensorKeys>, StepError> {
    let work = &context.request.work;
    let wanted = Wanted {
        encoding: Encoding::of(&work.data),
        columns: work.data.columns.clone(),
        keys,
        window: context.request.window,
        ..Wanted::default()
    };
    let (totals, too_many) = match &work.data.sql {
        Some(source) => Box::pin(read_table(context, source, wanted, place)).await?,
        None => read_files(context, wanted, place).await?,
    };
    if too_many || totals.sensors.len() > MAX_SENSORS {
        let uri = context.data_uri(place);
        return Err(StepError::NoSensors(format!(
            "{uri} has more than {MAX_SENSORS} sensors; divide them, or give sensors"
        )));
    }
    Ok(totals.sensors.into_iter().filter(|(_, counts)| counts.rows > 0).map(|(sensor, _)| sensor).collect())
}

/// What is counted of files, and whether there was more than is counted.
async fn read_files(context: &Context, wanted: Wanted, path: &str) -> Result<(Totals, bool), StepError> {
    let store = &context.store;
    let of_problem = |problem: Problem| match problem.retry {
        true => StepError::Store(StoreError::Unavailable { uri: store.uri(path), detail: problem.message }),
        false => unknown(&problem.message),
    };
    let files = files_of(context, path).await.map_err(of_problem)?;
    let names = files.iter().map(|file| store.uri(file)).collect();
    let mut pass = Pass::new(wanted, names, Budget::share(1, 1).limits());
    let mut too_many = false;
    for file in &files {
        let (input, fetch) = store.read(file).await.map_err(|e| of_problem(Problem::of_data(&e)))?;
        let reading = tokio::task::spawn_blocking(move || {
            let flow = pass.file(BufReader::with_capacity(1 << 16, input), &mut Names);
            (flow, pass)
        });
        let (flow, rest) = reading.await.map_err(|e| broke_off(&e))?;
        fetch.end().await.map_err(|e| of_problem(Problem::of_data(&e)))?;
        pass = rest;
        if flow.map_err(|e| of_problem(Problem::of_readings(&e)))?.is_break() {
            too_many = true;
            break;
        }
    }
    let totals = pass.end(&mut Names).map_err(|e| of_problem(Problem::of_readings(&e)))?;
    Ok((totals, too_many))
}

/// The same of the rows of a query.
async fn read_table(
    context: &Context,
    source: &SqlSource,
    wanted: Wanted,
    place: &str,
) -> Result<(Totals, bool), StepError> {
    let (table, fetch) = ask(context, source, &SensorKeys::default(), place).await?;
    let mut pass = Pass::new(wanted, vec![table.name().to_owned()], Budget::share(1, 1).limits());
    let reading = tokio::task::spawn_blocking(move || {
        let flow = pass.table(table, &mut Names)?;
        Ok::<_, ReadingsError>((pass.end(&mut Names)?, flow.is_break()))
    });
    let (fetched, read) = tokio::join!(fetch.run(), reading);
    fetched?;
    read.map_err(|e| broke_off(&e))?.map_err(|e| unknown(&e.to_string()))
}

fn unknown(why: &str) -> StepError {
    StepError::NoSensors(format!("the sensors to train are not known: {why}"))
}

fn broke_off(error: &tokio::task::JoinError) -> StepError {
    StepError::Request(format!("reading broke off: {error}"))
}

/// Takes the sensors' numbers, and no rows.
struct Names;

impl Sink for Names {
    fn begin(&mut self, _: &Arc<Head>) {}

    fn rows(&mut self, sensor: usize, _: Rows) -> ControlFlow<()> {
        if sensor < MAX_SENSORS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
