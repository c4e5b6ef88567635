//! Where events come from.

use serde::{Deserialize, Serialize};

/// A topic of Event Hubs, by its Kafka endpoint, or of any Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// Brokers to begin with, `HOST:PORT`; of Event Hubs `NAMESPACE.servicebus.windows.net:9093`.
    pub brokers: Vec<String>,
    /// The topic; the event hub's name.
    pub topic: String,
    /// The consumer group. Default `ingest`.
    #[serde(default = "group")]
    pub group: String,
    /// How it is reached. Default `None`.
    #[serde(default)]
    pub login: Login,
    /// Where a partition begins that was never read. Default `Earliest`.
    #[serde(default)]
    pub start_at: StartAt,
}

fn group() -> String {
    "ingest".to_owned()
}

/// How the broker is reached and told who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Login {
    /// In the clear, by nobody.
    #[default]
    None,
    /// Over TLS, by nobody.
    Tls,
    /// Over TLS, with a connection string of Event Hubs (SASL PLAIN, user `$ConnectionString`).
    ConnectionString,
    /// Over TLS, with user name and password (SASL PLAIN).
    Plain,
    /// Over TLS, with a token for this pod's workload identity (SASL OAUTHBEARER).
    WorkloadIdentity,
}

/// Where a partition begins that was never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartAt {
    /// At the first event that there still is.
    #[default]
    Earliest,
    /// Behind the last one that there is when it is first assigned.
    Latest,
}
