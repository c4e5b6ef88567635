//! What can go wrong with the broker.

use crate::marks::MarksError;

/// Why the broker could not be read from.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// What it is reached by makes no sense, or is missing.
    #[error("kafka: {0}")]
    Settings(String),
    /// It does not answer.
    #[error("{brokers} do not answer: {detail}; are kafka.brokers, kafka.login and the network right?")]
    Away {
        /// Which.
        brokers: String,
        /// What the client said.
        detail: String,
    },
    /// There is no such topic.
    #[error("there is no topic {0}; correct kafka.topic, or create it (of Event Hubs, the event hub)")]
    NoTopic(String),
    /// The log is not the one that the mark is of.
    #[error(
        "partition {partition} ends at offset {end}, and its mark is at {offset}: the topic was made anew; delete the mark's object {uri} to \
         begin again, with another files.path, or a window that both logs have is what the new one has of it"
    )]
    Shorter {
        /// The partition.
        partition: u32,
        /// Where the log ends.
        end: i64,
        /// Where it would be gone on.
        offset: i64,
        /// The mark.
        uri: String,
    },
    /// The marks.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// The client cannot go on.
    #[error("reading the topic broke off: {0}")]
    Broken(String),
}
