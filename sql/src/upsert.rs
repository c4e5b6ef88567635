//! Rows into a table, all of them or none; done again, it leaves the same.

use std::pin::Pin;

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::CopyInSink;

use crate::connect::Session;
use crate::copy::{CopyRows, HEADER, TRAILER};
use crate::error::SqlError;
use crate::table::{TableShape, list};

/// Rows wait for so many bytes before they are sent.
const CHUNK: usize = 64 * 1024;
/// Where they are until all are there: a table that is gone with the transaction. Its first column counts them. That it was
/// made is in the server's log, so that a COMMIT waits for disk and standby also where all rows were there already: those of
/// somebody whose own COMMIT may not have been waited for to its end.
const STAGE: &str = "pg_temp.\"batchscoring stage\"";
const NUMBER: &str = "\"row number\"";

/// Rows on their way into a table. Dropped before [`Upsert::finish`], none of them is there.
pub struct Upsert {
    session: Session,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    insert: String,
    fields: u16,
    rows: CopyRows,
    next: i64,
}

impl Upsert {
    /// Begins a transaction in this session.
    ///
    /// # Errors
    /// When the database fails or refuses.
    pub async fn begin(session: Session, shape: &TableShape) -> Result<Self, SqlError> {
        let columns: Vec<String> = shape.columns().map(|(name, of)| format!("{name} {}", of.name())).collect();
        session.begin().await?;
        let stage =
            format!("CREATE TEMP TABLE {} ({NUMBER} int8, {}) ON COMMIT DROP", unqualified(), columns.join(", "));
        session.execute(&stage).await?;
        let copy = format!("COPY {STAGE} FROM STDIN (FORMAT binary)");
        let sink = session.client().copy_in(copy.as_str()).await.map_err(|e| session.error(&e))?;
        let fields = u16::try_from(columns.len() + 1).unwrap_or(u16::MAX);
        let mut upsert =
            Self { session, sink: Box::pin(sink), insert: insert(shape), fields, rows: CopyRows::default(), next: 0 };
        upsert.feed(Bytes::from_static(HEADER)).await?;
        Ok(upsert)
    }

    /// Begins a row; its fields follow, the keys first, in the order of the shape.
    pub fn row(&mut self) -> &mut CopyRows {
        self.rows.row(self.fields).int8(self.next);
        self.next += 1;
        &mut self.rows
    }

    /// Sends what waits, once it is worth while.
    ///
    /// # Errors
    /// When the database fails or refuses.
    pub async fn send(&mut self) -> Result<(), SqlError> {
        if self.rows.len() < CHUNK {
            return Ok(());
        }
        let rows = self.rows.take();
        self.feed(rows).await
    }

    /// Ends the transaction: all rows are in the table then. Of several with the same keys, the last is.
    ///
    /// # Errors
    /// When the database fails or refuses. Where it failed, all may be there, or none: do it again.
    pub async fn finish(mut self) -> Result<(), SqlError> {
        let rows = self.rows.take();
        self.feed(rows).await?;
        self.feed(Bytes::from_static(TRAILER)).await?;
        self.sink.as_mut().finish().await.map_err(|e| self.session.error(&e))?;
        let Self { session, sink, insert, .. } = self;
        drop(sink);
        session.execute(&insert).await?;
        session.execute("COMMIT").await?;
        session.close().await;
        Ok(())
    }

    async fn feed(&mut self, bytes: Bytes) -> Result<(), SqlError> {
        self.sink.send(bytes).await.map_err(|e| self.session.error(&e))
    }
}

/// Temporary tables are made without their schema.
fn unqualified() -> &'static str {
    STAGE.trim_start_matches("pg_temp.")
}

/// In the order of the keys, so that no two who write the same rows wait for each other.
fn insert(shape: &TableShape) -> String {
    let (all, keys) = (list(shape.columns()), list(shape.keys.iter()));
    let of =
        |table: &str| shape.values.iter().map(|(name, _)| format!("{table}.{name}")).collect::<Vec<_>>().join(", ");
    let set: Vec<String> = shape.values.iter().map(|(name, _)| format!("{name} = EXCLUDED.{name}")).collect();
    format!(
        "INSERT INTO {} AS target ({all}) SELECT DISTINCT ON ({keys}) {all} FROM {STAGE} ORDER BY {keys}, {NUMBER} DESC \
         ON CONFLICT ({keys}) DO UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})",
        shape.table,
        set.join(", "),
        of("target"),
        of("EXCLUDED")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::shape;

    #[test]
    fn rows_take_the_place_of_those_with_their_keys_where_they_are_others() {
        assert_eq!(
            insert(&shape()),
            r#"INSERT INTO "plant"."predictions" AS target ("tag", "device", "time", "score", "prediction") SELECT DISTINCT ON ("tag", "device", "time") "tag", "device", "time", "score", "prediction" FROM pg_temp."batchscoring stage" ORDER BY "tag", "device", "time", "row number" DESC ON CONFLICT ("tag", "device", "time") DO UPDATE SET "score" = EXCLUDED."score", "prediction" = EXCLUDED."prediction" WHERE (target."score", target."prediction") IS DISTINCT FROM (EXCLUDED."score", EXCLUDED."prediction")"#
        );
    }
}
