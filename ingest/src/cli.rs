//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::config::Config;
use crate::error::IngestError;
use crate::event::Decoder;
use crate::start::{self, Place};

/// Aggregates a stream of sensor readings over fixed intervals, into Blob Storage and PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    name = "ingest",
    version,
    propagate_version = true,
    after_help = "Examples:\n  ingest check --config ingest.yaml\n  ingest run --config ingest.yaml --listen 127.0.0.1:8080"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  On this machine, from a broker without a password into a folder (store.url: file:///…):
    ingest run --config ingest.yaml --listen 127.0.0.1:8080
  From Event Hubs into Blob Storage and PostgreSQL, with the folders of mounted Secrets:
    ingest run --config ingest.yaml --listen 0.0.0.0:8080 --kafka-secret-dir /secrets/kafka \\
      --store-secret-dir /secrets/store --sql-secret-dir /secrets/sql";

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads, as one member of the consumer group, until SIGTERM or Ctrl-C.
    #[command(after_help = EXAMPLES)]
    Run(Box<RunArgs>),
    /// Checks a configuration and prints all of it, defaults included, as JSON.
    #[command(after_help = "Examples:\n  ingest check --config ingest.yaml")]
    Check(ConfigArgs),
}

#[derive(Debug, clap::Args)]
struct ConfigArgs {
    /// The configuration: YAML, as docs/ingest.md has it.
    #[arg(long, env = "INGEST_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Serve /metrics, /healthz and /readyz there.
    #[arg(long, env = "INGEST_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The folder of a mounted Secret with connectionString, or username and password; and with ca.crt, certificates to trust.
    /// Without it, from the environment: KAFKA_CONNECTION_STRING, KAFKA_USERNAME, KAFKA_PASSWORD, SSL_CERT_FILE.
    #[arg(long, env = "INGEST_KAFKA_SECRET_DIR", value_name = "DIR")]
    kafka_secret_dir: Option<PathBuf>,
    /// The folder of a mounted Secret with accountKey or sasToken, or what s3:// and gs:// take. Without it, from the environment, or
    /// workload identity.
    #[arg(long, env = "INGEST_STORE_SECRET_DIR", value_name = "DIR")]
    store_secret_dir: Option<PathBuf>,
    /// The folder of a mounted Secret with url, or host, port, user, password, database and sslmode; and with ca.crt. Without it,
    /// from the environment: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE.
    #[arg(long, env = "INGEST_SQL_SECRET_DIR", value_name = "DIR")]
    sql_secret_dir: Option<PathBuf>,
    /// What this replica is called in the group, in marks and in logs; a random part is added to it.
    #[arg(long, env = "HOSTNAME", value_name = "NAME", default_value = "ingest")]
    name: String,
}

impl ConfigArgs {
    fn read(&self) -> Result<Config, IngestError> {
        let file = self.config.display().to_string();
        let text =
            std::fs::read_to_string(&self.config).map_err(|source| IngestError::File { file: file.clone(), source })?;
        Ok(Config::read(&file, &text)?)
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn run(self) -> Result<(), IngestError> {
        match self.command {
            Command::Run(args) => {
                let config = args.config.read()?;
                let name = format!("{}-{:08x}", args.name, StdRng::from_os_rng().random::<u32>());
                let (kafka_secret, store_secret) = (args.kafka_secret_dir, args.store_secret_dir);
                let place =
                    Place { listen: args.listen, kafka_secret, store_secret, sql_secret: args.sql_secret_dir, name };
                start::run(config, place).await
            }
            Command::Check(args) => {
                let config = args.read()?;
                Decoder::new(&config.event)?;
                let wrong = |error: serde_json::Error| IngestError::Start { what: "print", detail: error.to_string() };
                println!("{}", serde_json::to_string_pretty(&config).map_err(wrong)?);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn each_help_shows_an_example_that_parses() {
        let whole = Cli::command();
        let help = |command: &clap::Command| command.get_after_help().unwrap().to_string().replace("\\\n", " ");
        let texts =
            [help(&whole), help(whole.find_subcommand("run").unwrap()), help(whole.find_subcommand("check").unwrap())];
        for text in texts {
            let examples: Vec<&str> = text.lines().filter(|line| line.trim().starts_with("ingest ")).collect();
            assert!(!examples.is_empty(), "{text}");
            for example in examples {
                assert!(Cli::try_parse_from(example.split_whitespace()).is_ok(), "{example}");
            }
        }
    }
}
