//! Readings of a database: the rows of one query, on their way to those who read files.

use std::time::Duration;

use jiff::tz::TimeZone;
use spec::sql::SqlValue;
use spec::{SensorKeys, SqlSource};
use sql::{Batch, Parameter, Rows, SqlError};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::engine::{Table, TimeParser};

/// How long the server may work on a query, and wait for us to take its rows, where nobody has said when the run must have
/// ended: a day.
const TIMEOUT: Duration = Duration::from_secs(24 * 3_600);
/// Batches that wait to be read.
const WAITING: usize = 4;

/// What fetches the rows of a [`Table`].
pub(crate) struct Fetch {
    rows: Rows,
    send: mpsc::Sender<Batch>,
}

/// Asks for the readings of all sensors with these keys; messages call them `place`.
pub(crate) async fn ask(
    context: &Context,
    source: &SqlSource,
    keys: &SensorKeys,
    place: &str,
) -> Result<(Table, Fetch), SqlError> {
    let database = context.databases.data()?;
    let values = source.values(keys, context.request.window).map_err(|error| {
        let server = "data.sql.parameters".to_owned();
        SqlError::Refused { server, what: error.to_string() }
    })?;
    let times = TimeParser::new(context.request.work.data.time_zone.as_deref(), None);
    let parameters: Vec<Parameter> = values.into_iter().map(|value| bound(value, times.zone())).collect();
    let left = context.request.deadline.map(|deadline| deadline.duration_since((context.clock)()));
    let left = left.map_or(TIMEOUT, |left| Duration::try_from(left).unwrap_or_default());
    let rows = database.connect().await?.query(&source.query, &parameters, left).await?;
    let (send, batches) = mpsc::channel(WAITING);
    let table = Table::new(format!("{place} ({})", rows.server()), rows.columns().to_vec(), batches);
    Ok((table, Fetch { rows, send }))
}

impl Fetch {
    /// Fetches to the end, or until nobody reads any more. Unless this succeeds, what was read counts for nothing: where it
    /// breaks off, the rows seem to end.
    pub(crate) async fn run(mut self) -> Result<(), SqlError> {
        while let Some(batch) = self.rows.next().await? {
            if self.send.send(batch).await.is_err() {
                return Ok(());
            }
        }
        // Whoever reads learns now that these were all.
        drop(self.send);
        self.rows.close().await;
        Ok(())
    }
}

fn bound(value: SqlValue, zone: &TimeZone) -> Parameter {
    match value {
        SqlValue::Text(text) => Parameter::Text(text),
        SqlValue::Start(time) => Parameter::From(time, zone.clone()),
        SqlValue::End(time) => Parameter::UpTo(time, zone.clone()),
    }
}
