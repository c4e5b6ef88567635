//! The database that a run reads from, and how its errors are told.

use std::path::PathBuf;

use spec::report::DATA_UNAVAILABLE;
use sql::{Category, Database, SqlError};

/// The databases of a run.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    /// That of `data.sql`.
    pub data: Option<Database>,
}

impl Databases {
    /// That of a mounted Secret, else the one that the environment names as for PostgreSQL's own programs (`PGHOST`, …), if it
    /// does.
    #[must_use]
    pub fn find(data: Option<PathBuf>, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let certificates = env(store::credentials::CERTIFICATES).map(PathBuf::from);
        let data = match data {
            Some(dir) => Some(Database::in_secret(dir, certificates)),
            None => Database::in_environment(env, certificates),
        };
        Self { data }
    }

    /// Whether one has not answered for longer than is borne.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.data.as_ref().is_some_and(Database::is_away)
    }

    /// Whether something was left undone because it was away, be it back since.
    #[must_use]
    pub fn was_away(&self) -> bool {
        self.data.as_ref().is_some_and(Database::was_away)
    }
}

/// The reason of an outcome, and of a plan, whose database failed.
#[must_use]
pub fn reason(error: &SqlError) -> &'static str {
    match error.category() {
        Category::Settings => "InvalidCredential",
        Category::Unavailable => DATA_UNAVAILABLE,
        Category::Denied => "AccessDenied",
        Category::Refused => "InvalidSql",
        Category::Canceled => "QueryCanceled",
    }
}
