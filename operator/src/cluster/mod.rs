//! The controller of ScoringCluster: slots for runs, nodes for slots.

use std::sync::Arc;

use crate::{Ctx, Error};

/// Runs until dropped.
///
/// # Errors
/// When it cannot start.
pub async fn run(_ctx: Arc<Ctx>) -> Result<(), Error> {
    std::future::pending().await
}
