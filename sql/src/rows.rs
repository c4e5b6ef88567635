//! The rows of one query, as texts, a few at a time: what is held at once does not depend on how many there are.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use futures::StreamExt;
use spec::shown;
use tokio_postgres::RowStream;
use tokio_postgres::types::{FromSql, Type};

use crate::SqlError;
use crate::connect::Session;
use crate::parameters::{Parameter, unbound};
use crate::values::Kind;

/// Rows and bytes of a batch.
const MOST_ROWS: usize = 512;
const MOST_BYTES: usize = 64 * 1024;
/// The most bytes of a value, as of a row of a file.
const MAX_VALUE: usize = 1 << 20;
/// The most columns.
const MAX_COLUMNS: usize = 4096;

/// A column of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

/// Some rows: their values as texts, side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    text: Vec<u8>,
    /// Where each value ends in the text of its row.
    ends: Vec<usize>,
    /// Where each row ends in the whole text.
    rows: Vec<usize>,
}

impl Batch {
    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A row: its text, and where each of its values ends in it.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<(&[u8], &[usize])> {
        let end = *self.rows.get(at)?;
        let start = at.checked_sub(1).and_then(|before| self.rows.get(before)).copied().unwrap_or_default();
        let width = self.ends.len() / self.rows.len();
        Some((self.text.get(start..end)?, self.ends.get(at * width..(at + 1) * width)?))
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= MOST_ROWS || self.text.len() >= MOST_BYTES
    }
}

/// The rows that are still to come.
pub struct Rows {
    session: Session,
    columns: Vec<Column>,
    stream: Pin<Box<RowStream>>,
    ended: bool,
}

impl Session {
    /// Asks one query, in a transaction that can only read; each step of it may take so long. The values are bound to `$1`,
    /// `$2` and so on as the types that the server says these have.
    ///
    /// # Errors
    /// When the database fails or refuses, or a value cannot be bound.
    pub async fn query(self, query: &str, parameters: &[Parameter], timeout: Duration) -> Result<Rows, SqlError> {
        let timeout = timeout.as_millis().clamp(1, 86_400_000);
        // A server notices that nobody waits any more when it sends rows, which may be hours away, unless it looks (PostgreSQL 14).
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {timeout}; \
             SELECT set_config(name, '10s', true) FROM pg_settings WHERE name = 'client_connection_check_interval'"
        );
        self.client().batch_execute(&begin).await.map_err(|e| self.error(&e))?;
        let statement = self.client().prepare(query).await.map_err(|e| self.error(&e))?;
        let (takes, given) = (statement.params().len(), parameters.len());
        if takes != given {
            let what =
                format!("the query takes {takes} parameters and is given {given}: $1 is the first of parameters");
            return Err(SqlError::refused(self.server(), what));
        }
        let columns: Vec<Column> = statement
            .columns()
            .iter()
            .map(|column| Column { name: column.name().to_owned(), kind: Kind::of(column.type_()) })
            .collect();
        if columns.is_empty() || columns.len() > MAX_COLUMNS {
            let what = format!("the query gives {} columns; it must be a SELECT of 1 to {MAX_COLUMNS}", columns.len());
            return Err(SqlError::refused(self.server(), what));
        }
        let stream = self.client().query_raw(&statement, parameters).await;
        let stream = stream.map_err(|error| match unbound(&error) {
            Some(why) => SqlError::refused(self.server(), why),
            None => self.error(&error),
        })?;
        Ok(Rows { session: self, columns, stream: Box::pin(stream), ended: false })
    }
}

impl Rows {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The database, for people.
    #[must_use]
    pub fn server(&self) -> &str {
        self.session.server()
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// When the database fails in the middle, or a value is none or too long.
    pub async fn next(&mut self) -> Result<Option<Batch>, SqlError> {
        let mut batch = Batch::default();
        while !self.ended && !batch.is_full() {
            match self.stream.next().await {
                Some(row) => self.add(&row.map_err(|e| self.session.error(&e))?, &mut batch)?,
                None => self.ended = true,
            }
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }

    /// Takes leave of the server, after the last row.
    pub async fn close(self) {
        let Self { session, stream, .. } = self;
        drop(stream);
        if let Err(error) = session.execute("COMMIT").await {
            tracing::debug!("{error}");
        }
        session.close().await;
    }

    fn add(&self, row: &tokio_postgres::Row, batch: &mut Batch) -> Result<(), SqlError> {
        let start = batch.text.len();
        for (at, Column { name, kind }) in self.columns.iter().enumerate() {
            let Raw(value) = row.try_get(at).map_err(|e| self.session.error(&e))?;
            let refused = |what: String| {
                SqlError::refused(self.session.server(), format!("column {}: {what}", shown::name(name)))
            };
            if let Some(value) = value {
                let before = batch.text.len();
                kind.write(value, &mut batch.text).ok_or_else(|| refused("a value that cannot be read".to_owned()))?;
                if batch.text.len() - before > MAX_VALUE {
                    return Err(refused(format!("a value is longer than {MAX_VALUE} bytes; leave the column out")));
                }
            }
            batch.ends.push(batch.text.len() - start);
        }
        batch.rows.push(batch.text.len());
        Ok(())
    }
}

/// A value as the server sent it; none where it is null.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_values_of_each_row_and_where_they_end() {
        let batch = Batch { text: b"ab1cde".to_vec(), ends: vec![2, 3, 1, 3], rows: vec![3, 6] };
        assert_eq!(batch.row(0), Some((&b"ab1"[..], &[2, 3][..])));
        assert_eq!(batch.row(1), Some((&b"cde"[..], &[1, 3][..])));
        assert_eq!((batch.row(2), batch.len()), (None, 2));
        assert_eq!(Batch::default().row(0), None);
    }
}
