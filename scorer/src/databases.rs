//! The databases that a run reads from and writes to, and how their errors are told.

use std::path::PathBuf;

use spec::report::DATA_UNAVAILABLE;
use sql::{Category, Database, SqlError};

/// The databases of a run.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    /// That of `data.sql`.
    pub data: Option<Database>,
    /// That of `predictions.sql`.
    pub predictions: Option<Database>,
}

/// What messages call what is asked of the database of predictions.
pub(crate) const PREDICTIONS: &str = "predictions.sql";

impl Databases {
    /// Those of mounted Secrets, else the one that the environment names as for PostgreSQL's own programs (`PGHOST`, …), if it
    /// does.
    #[must_use]
    pub fn find(data: Option<PathBuf>, predictions: Option<PathBuf>, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let certificates = env(store::credentials::CERTIFICATES).map(PathBuf::from);
        let find = |dir: Option<PathBuf>| match dir {
            Some(dir) => Some(Database::in_secret(dir, certificates.clone())),
            None => Database::in_environment(env, certificates.clone()),
        };
        Self { data: find(data), predictions: find(predictions) }
    }

    /// That of the readings.
    ///
    /// # Errors
    /// When none is named.
    pub fn data(&self) -> Result<&Database, SqlError> {
        self.data.as_ref().ok_or_else(|| unnamed("data.sql.secretRef", "--data-secret-dir (SCORING_DATA_SECRET_DIR)"))
    }

    /// That of the predictions.
    ///
    /// # Errors
    /// When none is named.
    pub fn predictions(&self) -> Result<&Database, SqlError> {
        let option = "--predictions-secret-dir (SCORING_PREDICTIONS_SECRET_DIR)";
        self.predictions.as_ref().ok_or_else(|| unnamed("predictions.sql.secretRef", option))
    }

    /// Whether one has not answered for longer than is borne.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.all().any(Database::is_away)
    }

    /// Whether something was left undone because one was away, be it back since.
    #[must_use]
    pub fn was_away(&self) -> bool {
        self.all().any(Database::was_away)
    }

    fn all(&self) -> impl Iterator<Item = &Database> {
        self.data.iter().chain(&self.predictions)
    }
}

fn unnamed(place: &str, option: &str) -> SqlError {
    let why =
        format!("no database is named; give {option}, the folder of its mounted Secret, or PGHOST, PGUSER and so on");
    SqlError::Settings { place: place.to_owned(), why }
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
