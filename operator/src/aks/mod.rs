//! AKS agent pools: a small client of Azure Resource Manager on `azure_core`'s pipeline, since no official management
//! crate exists.

mod agent_pool;
mod client;
mod credential;
mod error;
mod error_body;

pub use agent_pool::AgentPool;
pub use client::{AgentPools, Machines};
pub use credential::authorization;
pub use error::{AksError, Kind};
pub use error_body::ErrorBody;
