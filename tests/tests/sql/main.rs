//! Readings in a database, on a real server of PostgreSQL.
#![allow(clippy::unwrap_used)]

mod memory;
mod plant;
mod predictions;
mod refused;
mod same;
mod training;
mod troubles;
mod values;

use std::io::Write;
use std::path::{Path, PathBuf};

use local_aks::Progress;
use local_aks::pki::Authority;
use local_aks::postgres::{Postgres, Settings};
use sql::Database;
use tests::local::tell;

/// The database and the role that the product has in it.
const DATABASE: &str = "plant";
const ROLE: &str = "sc@rer";
const PASSWORD: &str = "of/the%role:?#";

/// A server with a database, and the Secret that names it.
struct Server {
    postgres: Postgres,
    folder: tempfile::TempDir,
}

/// Without what it takes to start one, a word on stderr that the test did not run; with `E2E=required` that is a failure.
async fn server() -> Option<Server> {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::alone(&folder.path().join("pki")).unwrap();
    let data = folder.path().join("postgres");
    let progress = Progress::new(|line| tell("sql", line));
    let postgres = match Postgres::start(&Settings::new(&data, &authority), &progress).await {
        Ok(postgres) => postgres,
        Err(why) => {
            assert!(
                std::env::var_os("E2E").is_none_or(|e2e| e2e != "required"),
                "no PostgreSQL for this test: {why:#}"
            );
            let _ = writeln!(std::io::stderr(), "SKIPPED: no PostgreSQL for this test: {why:#}");
            return None;
        }
    };
    postgres.create_database(DATABASE, ROLE, PASSWORD).await.unwrap();
    let server = Server { postgres, folder };
    server.secret("url", &server.postgres.url(DATABASE, ROLE, PASSWORD));
    server.secret("ca.crt", &std::fs::read_to_string(authority.certificate()).unwrap());
    Some(server)
}

impl Server {
    /// The folder of its mounted Secret.
    fn secret_dir(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// Writes a file of the Secret.
    fn secret(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.secret_dir()).unwrap();
        std::fs::write(self.secret_dir().join(name), text).unwrap();
    }

    /// The same without one.
    fn forget(&self, name: &str) {
        std::fs::remove_file(self.secret_dir().join(name)).unwrap();
    }

    fn database(&self) -> Database {
        Database::in_secret(self.secret_dir(), None)
    }

    /// What the superuser's psql says, as CSV.
    async fn psql(&self, sql: &str) -> String {
        self.postgres.sql(DATABASE, sql).await.unwrap()
    }

    /// Makes a table that the role may read, with rows of a CSV.
    async fn table(&self, name: &str, columns: &str, csv: &str) {
        self.psql(&format!("CREATE TABLE {name} ({columns}); GRANT SELECT ON {name} TO \"{ROLE}\"")).await;
        self.psql(&format!("COPY {name} FROM STDIN (FORMAT csv, HEADER);\n{csv}\\.\n")).await;
    }
}

/// The content of a file that there is.
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
