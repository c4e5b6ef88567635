//! A sensor's predictions on their way into a table: all of them are there once it is known that the sensor does not fail.

use spec::work::Predictions;
use spec::{Identifier, SensorKeys, TableName};
use sql::{ColumnType, SqlError, TableShape, Upsert};
use store::LogFile;

use crate::context::Context;
use crate::databases::PREDICTIONS;
use crate::engine::{Layout, PredictionsError, Scored, TimeParser};
use crate::problem::Problem;

/// Predictions of one sensor.
pub(super) struct PredictionsTable {
    upsert: Upsert,
    sensor: SensorKeys,
    times: TimeParser,
    run: String,
    table: TableName,
    rows: u64,
}

/// Makes the table of the run's predictions, if they are to be in one.
pub(crate) async fn ensure(context: &Context, sensor: &SensorKeys) -> Result<(), SqlError> {
    match shape(context, sensor) {
        None => Ok(()),
        Some(shape) => {
            let session = context.databases.predictions()?.connect().await?;
            shape.ensure(&session).await?;
            session.close().await;
            Ok(())
        }
    }
}

/// The table of the run's predictions, if they are to be in one.
fn shape(context: &Context, sensor: &SensorKeys) -> Option<TableShape> {
    let table = &context.request.work.predictions.sql.as_ref()?.table;
    let column = |name: &str, of: ColumnType| Some((name.parse::<Identifier>().ok()?, of));
    let keys = sensor.0.keys().filter_map(|key| column(key, ColumnType::Text));
    let [time, score, prediction, run] = Predictions::OF_TABLE;
    let values = [(score, ColumnType::Float8), (prediction, ColumnType::Int2), (run, ColumnType::Text)];
    Some(TableShape {
        table: table.clone(),
        keys: keys.chain(column(time, ColumnType::Instant)).collect(),
        values: values.into_iter().filter_map(|(name, of)| column(name, of)).collect(),
    })
}

impl PredictionsTable {
    /// Begins with a sensor, if predictions are to be in a table. `unread_time`: one of its times that cannot be read.
    pub(super) async fn begin(
        context: &Context,
        sensor: &SensorKeys,
        layout: &Layout,
        unread_time: Option<&str>,
    ) -> Result<Option<Self>, Problem> {
        let Some(shape) = shape(context, sensor) else { return Ok(None) };
        if layout.time.is_none() {
            let why = "predictions.sql names rows by their times, and the readings have none; say which column has them with \
                       data.columns.time, or leave predictions.sql out";
            return Err(Problem::failed("PredictionsInvalid", why));
        }
        if let Some(text) = unread_time {
            return Err(Problem::of_predictions(&PredictionsError::Unnamed { text: text.to_owned() }));
        }
        let begun = async { Upsert::begin(context.databases.predictions()?.connect().await?, &shape).await };
        let upsert = begun.await.map_err(|e| Problem::of_sql(PREDICTIONS, &e))?;
        let (sensor, times, run) = (sensor.clone(), layout.times.clone(), context.request.run.clone());
        Ok(Some(Self { upsert, sensor, times, run, table: shape.table, rows: 0 }))
    }

    /// Adds rows.
    pub(super) async fn add(&mut self, scored: &Scored) -> Result<(), Problem> {
        let Self { upsert, sensor, times, run, rows, .. } = self;
        *rows += scored.scores.len() as u64;
        let too_long = |error: sql::TooLong| Problem::failed("PredictionsInvalid", error.to_string());
        for (row, (score, anomaly)) in scored.scores.iter().zip(&scored.verdicts).enumerate() {
            let text = scored.rows.time(row);
            let unnamed = || Problem::of_predictions(&PredictionsError::Unnamed { text: text.to_owned() });
            let time = times.instant(text.as_bytes()).ok_or_else(unnamed)?;
            let fields = upsert.row();
            for key in sensor.0.values() {
                fields.text(key).map_err(too_long)?;
            }
            fields.instant(time).float8(*score).int2(i16::from(*anomaly)).text(run).map_err(too_long)?;
        }
        upsert.send().await.map_err(|e| Problem::of_sql(PREDICTIONS, &e))
    }

    /// Has all of them in the table.
    pub(super) async fn finish(self, context: &Context, log: &LogFile) -> Result<(), Problem> {
        let started = (context.clock)();
        self.upsert.finish().await.map_err(|e| Problem::of_sql(PREDICTIONS, &e))?;
        let what = format!("writing {} rows to the table {}", self.rows, self.table);
        log.chunk(&what, (context.clock)().duration_since(started));
        Ok(())
    }
}
