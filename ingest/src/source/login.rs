//! How the broker is told who asks.

use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;

use super::SourceError;
use crate::config::{Kafka, Login};

/// What the broker is told: the folder of a mounted Secret, or the environment.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The folder, with `connectionString`, or `username` and `password`; and with `ca.crt`, certificates to trust.
    pub dir: Option<PathBuf>,
    /// A variable of the environment.
    pub env: Option<fn(&str) -> Option<String>>,
}

/// The most bytes of a file of the Secret.
const MAX_BYTES: u64 = 64 * 1024;
/// The user of Event Hubs' connection strings.
const CONNECTION_STRING: &str = "$ConnectionString";

impl Secrets {
    /// `file` of the Secret, else the variable.
    fn find(&self, file: &str, variable: &str) -> Result<String, SourceError> {
        let missing = || {
            SourceError::Settings(format!(
                "kafka.login needs {file}: mount a Secret with it (--kafka-secret-dir), or set {variable}"
            ))
        };
        let found = match &self.dir {
            Some(dir) => read(&dir.join(file))?,
            None => self.env.and_then(|env| env(variable)),
        };
        let text = found.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        text.ok_or_else(missing)
    }

    fn certificates(&self) -> Option<PathBuf> {
        let mounted = self.dir.as_ref().map(|dir| dir.join("ca.crt")).filter(|file| file.exists());
        let named =
            |env: fn(&str) -> Option<String>| env(store::credentials::CERTIFICATES).or_else(|| env("SSL_CERT_FILE"));
        mounted.or_else(|| self.env.and_then(named).map(PathBuf::from))
    }
}

fn read(file: &Path) -> Result<Option<String>, SourceError> {
    let wrong =
        |why: &dyn std::fmt::Display| SourceError::Settings(format!("{} cannot be read: {why}", file.display()));
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(&error)),
        Ok(found) if found.len() > MAX_BYTES => Err(wrong(&"it is too large for a secret")),
        Ok(_) => std::fs::read_to_string(file).map(Some).map_err(|error| wrong(&error)),
    }
}

/// Has the client sign in. For a workload identity: the scope of the tokens that it will ask for.
pub(super) fn apply(
    config: &mut ClientConfig,
    kafka: &Kafka,
    secrets: &Secrets,
) -> Result<Option<String>, SourceError> {
    let protocol = match kafka.login {
        Login::None => "plaintext",
        Login::Tls => "ssl",
        Login::ConnectionString | Login::Plain | Login::WorkloadIdentity => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if kafka.login != Login::None
        && let Some(file) = secrets.certificates()
    {
        config.set("ssl.ca.location", file.display().to_string());
    }
    let mut plain = |user: &str, password: &str| {
        config.set("sasl.mechanism", "PLAIN").set("sasl.username", user).set("sasl.password", password);
    };
    match kafka.login {
        Login::None | Login::Tls => Ok(None),
        Login::ConnectionString => {
            plain(CONNECTION_STRING, &secrets.find("connectionString", "KAFKA_CONNECTION_STRING")?);
            Ok(None)
        }
        Login::Plain => {
            plain(&secrets.find("username", "KAFKA_USERNAME")?, &secrets.find("password", "KAFKA_PASSWORD")?);
            Ok(None)
        }
        Login::WorkloadIdentity => {
            config.set("sasl.mechanism", "OAUTHBEARER");
            let host = kafka.brokers.first().and_then(|broker| broker.rsplit_once(':')).map_or("", |(host, _)| host);
            Ok(Some(format!("https://{host}/.default")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(login: Login) -> Kafka {
        Kafka {
            brokers: vec!["plant.servicebus.windows.net:9093".to_owned()],
            topic: "readings".to_owned(),
            group: "ingest".to_owned(),
            login,
            start_at: crate::config::StartAt::Earliest,
        }
    }

    fn applied(login: Login, secrets: &Secrets) -> Result<(ClientConfig, Option<String>), String> {
        let mut config = ClientConfig::new();
        let scope = apply(&mut config, &kafka(login), secrets).map_err(|error| error.to_string())?;
        Ok((config, scope))
    }

    #[test]
    fn a_connection_string_is_the_password_of_a_user_of_that_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("connectionString"), "Endpoint=sb://plant/;SharedAccessKey=k=\n").unwrap();
        let secrets = Secrets { dir: Some(dir.path().to_owned()), env: None };
        let (config, _) = applied(Login::ConnectionString, &secrets).unwrap();
        assert_eq!(config.get("sasl.username"), Some("$ConnectionString"));
        assert_eq!(config.get("sasl.password"), Some("Endpoint=sb://plant/;SharedAccessKey=k="));
        assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
    }

    #[test]
    fn what_is_missing_is_told_with_where_it_is_looked_for() {
        let error = applied(Login::Plain, &Secrets::default()).unwrap_err();
        assert!(
            error.contains("username") && error.contains("KAFKA_USERNAME") && error.contains("--kafka-secret-dir"),
            "{error}"
        );
    }

    #[test]
    fn a_workload_identity_asks_for_tokens_of_its_namespace() {
        let (config, scope) = applied(Login::WorkloadIdentity, &Secrets::default()).unwrap();
        assert_eq!(scope.as_deref(), Some("https://plant.servicebus.windows.net/.default"));
        assert_eq!(config.get("sasl.mechanism"), Some("OAUTHBEARER"));
    }
}
