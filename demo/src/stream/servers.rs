//! Kafka and PostgreSQL, on this machine and reached from pods. They end when dropped, and with this program.

use std::path::Path;

use anyhow::Context;
use local_aks::pki::Authority;
use local_aks::{Facts, Progress, kafka, postgres};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const TOPIC: &str = "readings";
pub(crate) const PARTITIONS: i32 = 4;
const DATABASE: &str = "plant";
const ROLE: &str = "plant";
const PASSWORD: &str = "of the plant";

/// How many rows tables have; those that are not there have none.
const COUNTS: &str = "\
SELECT to_regclass('public.windows') IS NOT NULL AS windows, to_regclass('public.predictions') IS NOT NULL AS predictions \\gset
\\if :windows
SELECT count(*) FROM windows;
\\else
SELECT 0;
\\endif
\\if :predictions
SELECT count(*) FROM predictions;
\\else
SELECT 0;
\\endif
";

pub(crate) struct Servers {
    kafka: kafka::Kafka,
    postgres: postgres::Postgres,
    authority: String,
    /// Last: what is in it is used until the servers have ended. Not below `target/`: the user of PostgreSQL may not get there.
    _folder: TempDir,
}

impl Servers {
    /// Starts both, with a topic and a database.
    pub(crate) async fn start(facts: &Facts, root: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("batch-scoring-demo-").tempdir().context("making a folder")?;
        let authority = Authority::alone(&folder.path().join("pki"))?;
        let data = folder.path().join("kafka");
        let broker = kafka::Settings { host: facts.host(), ..kafka::Settings::new(&data, root) };
        let data = folder.path().join("postgres");
        let host = facts.host().parse().context("the address of this machine")?;
        let database = postgres::Settings { host, ..postgres::Settings::new(&data, &authority) };
        let (kafka, postgres) =
            tokio::try_join!(kafka::Kafka::start(&broker, progress), postgres::Postgres::start(&database, progress))?;
        kafka.create_topic(TOPIC, PARTITIONS, &[]).await?;
        postgres.create_database(DATABASE, ROLE, PASSWORD).await?;
        let authority = std::fs::read_to_string(authority.certificate()).context("reading the certificate")?;
        Ok(Self { kafka, postgres, authority, _folder: folder })
    }

    /// Where clients find the broker.
    pub(crate) fn broker(&self) -> String {
        self.kafka.bootstrap()
    }

    /// How clients find the database.
    pub(crate) fn database(&self) -> String {
        self.postgres.url(DATABASE, ROLE, PASSWORD)
    }

    /// The same as a Secret's data.
    pub(crate) fn secret(&self) -> Value {
        json!({"url": self.database(), "ca.crt": self.authority})
    }

    /// How many windows and predictions are in the database.
    pub(crate) async fn counts(&self) -> anyhow::Result<(u64, u64)> {
        let text = self.postgres.sql(DATABASE, COUNTS).await?;
        let mut counts = text.split_whitespace().map(str::parse);
        let mut next = || counts.next().with_context(|| format!("no number in {text:?}"));
        Ok((next()??, next()??))
    }

    /// What a query of the database gives, as CSV.
    pub(crate) async fn sql(&self, query: &str) -> anyhow::Result<String> {
        self.postgres.sql(DATABASE, query).await
    }

    /// Copies what they have said.
    pub(crate) fn keep_logs(&self, folder: &Path) {
        for (log, name) in [(self.kafka.log(), "kafka.log"), (self.postgres.log(), "postgres.log")] {
            if let Err(error) = std::fs::copy(&log, folder.join(name)) {
                tracing::warn!("{} is not kept: {error}", log.display());
            }
        }
    }
}
