//! Windows in a table of PostgreSQL: a row for each sensor and window, named by the keys and the time.

use std::sync::atomic::{AtomicBool, Ordering};

use spec::Identifier;
use sql::{ColumnType, Database, Session, SqlError, TableShape, Upsert};

use super::{Columns, Value};
use crate::config::{Aggregate, Config};
use crate::window::{Row, Slice};

/// A table of windows.
#[derive(Debug)]
pub struct Table {
    database: Database,
    shape: TableShape,
    columns: Columns,
    /// It was looked at, and nothing failed since.
    ensured: AtomicBool,
}

impl Table {
    /// As configured: the keys (`text`) and the time (`timestamptz`) name a row, the aggregates (`float8`, `count` is `int8`) are its
    /// values. None where windows go to no table, or fields have names that no columns have, which a configuration that was read has
    /// not.
    #[must_use]
    pub fn new(database: Database, config: &Config) -> Option<Self> {
        let columns = Columns::new(config);
        let column = |name: &str, of: ColumnType| Some((name.parse::<Identifier>().ok()?, of));
        let time = column(&config.event.columns.time, ColumnType::Instant);
        let keys = columns.keys.iter().map(|key| column(key, ColumnType::Text)).chain([time]).collect::<Option<_>>()?;
        let values = columns.aggregates.iter().map(|aggregate| match aggregate {
            Aggregate::Count => column("count", ColumnType::Int8),
            other => column(&other.to_string(), ColumnType::Float8),
        });
        let values = values.collect::<Option<_>>()?;
        let shape = TableShape { table: config.sql.as_ref()?.table.clone(), keys, values };
        Some(Self { database, shape, columns, ensured: AtomicBool::new(false) })
    }

    /// Makes the table where it is not there, and the columns that it lacks.
    ///
    /// # Errors
    /// When the database fails or refuses, or has a table of this name that is another; the message says what is different.
    pub async fn ensure(&self) -> Result<(), SqlError> {
        let session = self.database.connect().await?;
        self.ensure_in(&session).await?;
        session.close().await;
        Ok(())
    }

    async fn ensure_in(&self, session: &Session) -> Result<(), SqlError> {
        self.shape.ensure(session).await?;
        self.ensured.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes rows, all of them or none, over those of the same keys and time. The table is looked at before the first, and after
    /// each failure, since somebody may have dropped it. What is not finite is NULL.
    ///
    /// # Errors
    /// When the database fails or refuses. Where it failed, all may be there, or none: do it again.
    pub async fn write(&self, slices: &[Slice]) -> Result<(), SqlError> {
        if slices.iter().all(|slice| slice.rows.is_empty()) {
            return Ok(());
        }
        let written = self.try_write(slices).await;
        if written.is_err() {
            self.ensured.store(false, Ordering::Relaxed);
        }
        written
    }

    async fn try_write(&self, slices: &[Slice]) -> Result<(), SqlError> {
        let session = self.database.connect().await?;
        if !self.ensured.load(Ordering::Relaxed) {
            self.ensure_in(&session).await?;
        }
        let server = session.server().to_owned();
        let mut upsert = Upsert::begin(session, &self.shape).await?;
        for row in slices.iter().flat_map(|slice| &slice.rows) {
            let added = self.add(&mut upsert, row);
            added.map_err(|error| SqlError::Refused { server: server.clone(), what: error.to_string() })?;
            // It waits until it is worth while, so memory is bounded.
            upsert.send().await?;
        }
        upsert.finish().await
    }

    fn add(&self, upsert: &mut Upsert, row: &Row) -> Result<(), sql::TooLong> {
        let fields = upsert.row();
        for key in self.columns.keys(row) {
            fields.text(key)?;
        }
        fields.instant(crate::timestamp(row.start));
        for value in self.columns.values(row) {
            match value {
                Value::Count(count) => fields.int8(count),
                Value::Number(number) => fields.float8(number),
                Value::None => fields.null(),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::testing::config;

    fn shape(more: &str) -> Option<TableShape> {
        let database = Database::in_secret("/nowhere".into(), None);
        Table::new(database, &config(more)).map(|table| table.shape)
    }

    #[test]
    fn a_row_is_named_by_the_keys_and_the_time_and_count_is_an_integer() {
        let shape = shape("windows: {aggregates: [count, p50]}\nsql: {table: plant.windows}\n").unwrap();
        let named = |columns: &[(Identifier, ColumnType)]| -> Vec<(String, ColumnType)> {
            columns.iter().map(|(name, of)| (name.as_str().to_owned(), *of)).collect()
        };
        let of = |name: &str, of| (name.to_owned(), of);
        let keys = [of("Device", ColumnType::Text), of("Tag", ColumnType::Text), of("TS", ColumnType::Instant)];
        assert_eq!(named(&shape.keys), keys);
        assert_eq!(named(&shape.values), [of("count", ColumnType::Int8), of("p50", ColumnType::Float8)]);
        assert_eq!(shape.table, "plant.windows".parse().unwrap());
    }

    #[test]
    fn without_a_table_there_is_none() {
        assert_eq!(shape(""), None);
    }
}
