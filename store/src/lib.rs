//! What is kept in Blob Storage or a folder: paths, manifest, outcomes, records, logs. Knows nothing of Kubernetes.
#![deny(missing_docs)]

pub mod claim;
mod counting;
pub mod credentials;
pub mod error;
pub mod latest;
pub mod log;
pub mod manifest;
pub mod outcome;
pub mod paths;
mod reader;
pub mod record;
pub mod retention;
mod store;

pub use claim::Claim;
pub use counting::RequestCounts;
pub use credentials::Credentials;
pub use error::StoreError;
pub use log::{Clock, LogFile};
pub use manifest::{Item, ManifestIndex, ModelFile, PlannedSensor, SensorChanges, Shard};
pub use outcome::{Attempt, Outcome, Status};
pub use paths::{PodUid, RunPaths};
pub use reader::Reader;
pub use record::Record;
pub use retention::Swept;
pub use store::{File, Gone, Listing, Pages, Seek, Store, Upload};
