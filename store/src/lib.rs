//! What is kept in Blob Storage, a bucket or a folder: paths, manifest, outcomes, records, logs. Knows nothing of Kubernetes.
#![deny(missing_docs)]

pub mod bands;
mod certificates;
pub mod claim;
mod counting;
pub mod credentials;
pub mod error;
mod heard;
pub mod latest;
pub mod log;
pub mod manifest;
pub mod outcome;
pub mod paths;
mod reader;
pub mod record;
pub mod retention;
mod share;
mod store;
pub mod versions;
pub mod watermark;

pub use claim::Claim;
pub use counting::RequestCounts;
pub use credentials::Credentials;
pub use error::StoreError;
pub use log::{Clock, LogFile, Stream};
pub use manifest::{Item, ManifestIndex, ModelFile, PlannedSensor, SensorChanges, Shard};
pub use outcome::{Attempt, ChallengerOutcome, Outcome, Status};
pub use paths::{PodUid, RunPaths};
pub use reader::{Fetch, Reader};
pub use record::Record;
pub use retention::Swept;
pub use store::{File, Gone, Listing, Pages, Seek, Seen, Store, Upload};
pub use watermark::Watermark;
