//! Tables that are ours: made where they are not there, given the columns that they lack, refused where they are others'.

use spec::{Identifier, TableName};

use crate::connect::Session;
use crate::error::SqlError;

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`.
    Text,
    /// `timestamp with time zone`.
    Instant,
    /// `double precision`.
    Float8,
    /// `smallint`.
    Int2,
    /// `bigint`.
    Int8,
}

impl ColumnType {
    /// As statements and PostgreSQL's own tables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Instant => "timestamptz",
            Self::Float8 => "float8",
            Self::Int2 => "int2",
            Self::Int8 => "int8",
        }
    }
}

/// A table whose rows are named by some of their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// Its name.
    pub table: TableName,
    /// The columns that name a row.
    pub keys: Vec<(Identifier, ColumnType)>,
    /// The others.
    pub values: Vec<(Identifier, ColumnType)>,
}

/// The columns of each index that `ON CONFLICT` can go by: it is checked at once, and those that it only carries along are none.
const UNIQUE: &str = "SELECT string_agg(a.attname::text, ' ' ORDER BY a.attname) FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS key (attnum, at)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
    WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate AND key.at <= i.indnkeyatts
        AND i.indpred IS NULL AND i.indexprs IS NULL
    GROUP BY i.indexrelid";

/// A column that there is: its name and its type.
type Found = (String, String);

impl TableShape {
    /// All its columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &(Identifier, ColumnType)> {
        self.keys.iter().chain(&self.values)
    }

    /// Makes the table, or adds the columns that it lacks; nobody else does the same meanwhile. It never drops or changes
    /// what is there. What is there already needs no right but to be read and written.
    ///
    /// # Errors
    /// When the database fails or refuses, or has a table of this name that is another; the message says what is different.
    pub async fn ensure(&self, session: &Session) -> Result<(), SqlError> {
        let name = self.table.to_string();
        session.begin().await?;
        session.query_texts("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", &[&name]).await?;
        let columns = "SELECT a.attname::text, t.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                       WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
        let found: Vec<Found> = session.query_texts(columns, &[&name]).await?.into_iter().filter_map(pair).collect();
        if found.is_empty() {
            session.execute(&self.create()).await?;
        } else {
            let unique = session.query_texts(UNIQUE, &[&name]).await?.concat();
            if let Some(why) = self.difference(&found, &unique) {
                let what = format!("{name} is another table: {why}; name another one, or let it be made");
                return Err(SqlError::refused(session.server(), what));
            }
            for statement in self.lacking(&found) {
                session.execute(&statement).await?;
            }
        }
        session.execute("COMMIT").await
    }

    fn create(&self) -> String {
        let keys = self.keys.iter().map(|(name, of)| format!("{name} {} NOT NULL", of.name()));
        let values = self.values.iter().map(|(name, of)| format!("{name} {}", of.name()));
        let columns: Vec<String> = keys.chain(values).collect();
        format!("CREATE TABLE {} ({}, PRIMARY KEY ({}))", self.table, columns.join(", "), list(self.keys.iter()))
    }

    /// Adds the columns that it lacks.
    fn lacking(&self, found: &[Found]) -> Vec<String> {
        let add = |(column, of): &(Identifier, ColumnType)| {
            format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {column} {}", self.table, of.name())
        };
        self.values.iter().filter(|(column, _)| !has(found, column)).map(add).collect()
    }

    /// Why a table cannot be this one. `unique`: the columns of each of its unique indexes, sorted, with a space between two.
    fn difference(&self, found: &[Found], unique: &[String]) -> Option<String> {
        if let Some((key, _)) = self.keys.iter().find(|(key, _)| !has(found, key)) {
            return Some(format!("it has no column {key}"));
        }
        for (name, of) in self.columns() {
            if let Some((_, other)) = found.iter().find(|(column, other)| column == name.as_str() && other != of.name())
            {
                return Some(format!("its column {name} is of the type {other}, and not {}", of.name()));
            }
        }
        let mut keys: Vec<&str> = self.keys.iter().map(|(name, _)| name.as_str()).collect();
        keys.sort_unstable();
        let wanted = keys.join(" ");
        (!unique.contains(&wanted)).then(|| {
            let keys = list(self.keys.iter());
            format!("({keys}) does not name its rows: no unique index of exactly these columns is checked at once")
        })
    }
}

fn has(found: &[Found], name: &Identifier) -> bool {
    found.iter().any(|(column, _)| column == name.as_str())
}

fn pair(row: Vec<String>) -> Option<Found> {
    let [name, of] = <[String; 2]>::try_from(row).ok()?;
    Some((name, of))
}

/// Names, quoted, with commas between them.
pub(crate) fn list<'a>(columns: impl Iterator<Item = &'a (Identifier, ColumnType)>) -> String {
    columns.map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn shape() -> TableShape {
        let column = |name: &str, of| (name.parse().unwrap(), of);
        TableShape {
            table: "plant.predictions".parse().unwrap(),
            keys: vec![
                column("tag", ColumnType::Text),
                column("device", ColumnType::Text),
                column("time", ColumnType::Instant),
            ],
            values: vec![column("score", ColumnType::Float8), column("prediction", ColumnType::Int2)],
        }
    }

    fn found(columns: &[(&str, &str)]) -> Vec<Found> {
        columns.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect()
    }

    #[test]
    fn a_table_is_made_with_quoted_names() {
        assert_eq!(
            shape().create(),
            r#"CREATE TABLE "plant"."predictions" ("tag" text NOT NULL, "device" text NOT NULL, "time" timestamptz NOT NULL, "score" float8, "prediction" int2, PRIMARY KEY ("tag", "device", "time"))"#
        );
    }

    #[test]
    fn a_table_that_is_another_is_told_with_what_differs_and_one_that_lacks_values_is_not() {
        let ours = [("device", "text"), ("tag", "text"), ("time", "timestamptz")];
        let unique = ["device tag time".to_owned()];
        let more = [&ours[..], &[("note", "jsonb")]].concat();
        assert_eq!(shape().difference(&found(&more), &unique), None);
        let lacks = shape().difference(&found(&ours[1..]), &unique);
        assert_eq!(lacks.as_deref(), Some("it has no column \"device\""));
        let other = [&ours[..], &[("score", "numeric")]].concat();
        let other = shape().difference(&found(&other), &unique);
        assert_eq!(other.as_deref(), Some("its column \"score\" is of the type numeric, and not float8"));
        let unkeyed = shape().difference(&found(&ours), &["id".to_owned()]).unwrap();
        assert!(unkeyed.contains("does not name its rows"), "{unkeyed}");
    }

    #[test]
    fn columns_of_values_are_added_and_nothing_else_is_changed() {
        let there =
            [("device", "text"), ("tag", "text"), ("time", "timestamptz"), ("score", "float8"), ("old", "int4")];
        let add = r#"ALTER TABLE "plant"."predictions" ADD COLUMN IF NOT EXISTS "prediction" int2"#;
        assert_eq!(shape().lacking(&found(&there)), [add]);
        assert!(shape().lacking(&found(&[&there[..], &[("prediction", "int2")]].concat())).is_empty());
    }
}
