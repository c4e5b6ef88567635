//! Windows in a table, on a real server of PostgreSQL.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::time::Duration;

use ingest::config::Config;
use ingest::event::SEPARATOR;
use ingest::out::{Batch, Sink, SinkError, Table, Windows};
use ingest::window::{Row, Slice};
use local_aks::Progress;
use local_aks::pki::Authority;
use local_aks::postgres::{Postgres, Settings};
use sql::Database;
use store::{Credentials, Store};

const DATABASE: &str = "plant";
const ROLE: &str = "ingest";
const PASSWORD: &str = "of/the%role:?#";
/// 2026-01-01T00:05:00Z.
const START: i64 = 1_767_225_900_000_000;
/// All columns of a row, in the table's order.
const ROWS: &str = "SELECT \"Device\", \"Tag\", to_char(\"TS\" AT TIME ZONE 'UTC', 'HH24:MI:SS'), avg, count FROM windows ORDER BY 3, 1";

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
    let progress = Progress::new(|line| eprintln!("table: {line}"));
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
    let secret = folder.path().join("secret");
    std::fs::create_dir_all(&secret).unwrap();
    std::fs::write(secret.join("url"), postgres.url(DATABASE, ROLE, PASSWORD)).unwrap();
    std::fs::copy(authority.certificate(), secret.join("ca.crt")).unwrap();
    Some(Server { postgres, folder })
}

impl Server {
    fn table(&self) -> Table {
        let database = Database::in_secret(self.folder.path().join("secret"), None);
        Table::new(database, &config()).unwrap()
    }

    /// What the superuser's psql says, as CSV.
    async fn psql(&self, sql: &str) -> String {
        self.postgres.sql(DATABASE, sql).await.unwrap()
    }

    /// Returns once the query has this answer.
    async fn says(&self, sql: &str, expected: &str) {
        let wait = async {
            while self.psql(sql).await != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    }
}

fn config() -> Config {
    let text = "kafka: {brokers: [localhost:9092], topic: readings}\nstore: {url: file:///tmp/x}\n\
                windows: {aggregates: [avg, count]}\nsql: {table: windows}\n";
    Config::read("ingest.yaml", text).unwrap()
}

/// A device's window that begins so many seconds after [`START`].
fn row(device: &str, second: i64, avg: f64, count: f64) -> Row {
    let sensor = [device.as_bytes(), b"a"].join(&SEPARATOR);
    Row { start: START + second * 1_000_000, sensor: sensor.into(), values: [avg, count].into() }
}

fn slice(rows: Vec<Row>) -> Slice {
    Slice { start: START, rows }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_written_twice_are_there_once_and_those_of_another_value_take_their_place() {
    let Some(server) = server().await else { return };
    let table = server.table();
    let slices = [slice(vec![row("1", 0, 0.5, 2.0), row("2", 0, f64::NAN, 1.0)]), slice(vec![row("1", 5, -1e-7, 3.0)])];
    table.write(&slices).await.unwrap();
    let expected = "1,a,00:05:00,0.5,2\n2,a,00:05:00,,1\n1,a,00:05:05,-1e-07,3\n";
    assert_eq!(server.psql(ROWS).await, expected);
    table.write(&slices).await.unwrap();
    assert_eq!(server.psql(ROWS).await, expected);
    table.write(&[slice(vec![row("1", 0, 0.75, 4.0)])]).await.unwrap();
    assert_eq!(server.psql(ROWS).await, "1,a,00:05:00,0.75,4\n2,a,00:05:00,,1\n1,a,00:05:05,-1e-07,3\n");
    let columns =
        "SELECT column_name, udt_name, is_nullable FROM information_schema.columns WHERE table_name = 'windows'
                   ORDER BY ordinal_position";
    let expected = "Device,text,NO\nTag,text,NO\nTS,timestamptz,NO\navg,float8,YES\ncount,int8,YES\n";
    assert_eq!(server.psql(columns).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_has_nothing_of_it_and_all_once_after_the_next_write() {
    let Some(mut server) = server().await else { return };
    let table = server.table();
    table.ensure().await.unwrap();
    // Each row takes its time, so the server dies between two of them.
    let slowly =
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END';
                  CREATE TRIGGER slowly BEFORE INSERT ON windows FOR EACH ROW EXECUTE FUNCTION slowly()";
    server.psql(slowly).await;
    let slices = [slice((0..5000).map(|at| row(&format!("device {at}"), at % 60, at as f64, 1.0)).collect())];
    let killed = async {
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ingest' AND wait_event = 'PgSleep'";
        server.says(sleeps, "1\n").await;
        server.postgres.kill().await.unwrap();
    };
    let (written, ()) = tokio::join!(table.write(&slices), killed);
    let error = SinkError::from(written.unwrap_err());
    assert!(error.category() == "SqlUnavailable", "{error}");
    server.postgres.restart().await.unwrap();
    assert_eq!(server.psql("SELECT count(*) FROM windows").await, "0\n", "all or none");
    server.psql("DROP TRIGGER slowly ON windows").await;
    table.write(&slices).await.unwrap();
    let sums = "SELECT count(*), count(DISTINCT \"Device\"), sum(avg) FROM windows";
    assert_eq!(server.psql(sums).await, "5000,5000,12497500\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_anothers_is_refused_and_one_that_was_dropped_is_made_again() {
    let Some(server) = server().await else { return };
    let slices = [slice(vec![row("1", 0, 0.5, 2.0)])];
    server.psql(&format!("SET ROLE {ROLE}; CREATE TABLE windows (id int PRIMARY KEY, \"Device\" int)")).await;
    let table = server.table();
    let error = SinkError::from(table.write(&slices).await.unwrap_err());
    assert!(error.category() == "SqlRefused", "{error}");
    let message = error.to_string();
    assert!(
        message.starts_with("sql.table: postgres://") && message.contains("\"windows\" is another table"),
        "{message}"
    );
    assert!(message.contains("it has no column \"Tag\""), "{message}");

    server.psql("DROP TABLE windows").await;
    table.write(&slices).await.unwrap();
    server.psql("DROP TABLE windows").await;
    // It was there a moment ago: the first write after that finds out, the next one looks.
    table.write(&slices).await.unwrap_err();
    table.write(&slices).await.unwrap();
    assert_eq!(server.psql(ROWS).await, "1,a,00:05:00,0.5,2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_in_files_and_in_the_table_once_it_is_written() {
    let Some(server) = server().await else { return };
    let files = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}", files.path().display()), &Credentials::none()).unwrap();
    let mut config = config();
    config.files = Some(ingest::config::Files::default());
    let sink = Sink::new(store, Some(server.table()), &config);
    let batch = Batch { windows: Windows::Finished(vec![slice(vec![row("1", 0, 0.5, 2.0)])]), ..Batch::default() };
    let written = sink.write(3, &batch, &[]).await.unwrap();
    assert_eq!((written.files, written.rows), (1, 1));
    assert_eq!(server.psql(ROWS).await, "1,a,00:05:00,0.5,2\n");
    let file = files.path().join("data/2026/01/01/00/20260101T000500-readings-0003.csv");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "TS,Device,Tag,avg,count\n2026-01-01T00:05:00Z,1,a,0.5,2\n");
}
