//! A run whose spec cannot be read ends at once, and says why: the API server takes more than the operator can act upon,
//! such as the last second of the year 9999.

use crds::{ScoringRun, names};
use kube::runtime::controller::Action;
use kube::{Api, Resource};
use serde_json::{Map, Value, json};

use super::{Guarded, MANAGER, ttl};
use crate::conditions::whole_seconds;
use crate::context::{Ctx, name_of, namespace_of};
use crate::guard::Broken;
use crate::{Error, finalizer, invalid};

/// Why it ends.
const REASON: &str = "InvalidSpec";

pub(super) async fn reconcile(ctx: &Ctx, run: &Guarded, broken: &Broken) -> Result<Action, Error> {
    if broken.metadata.deletion_timestamp.is_some() {
        // What it scored where cannot be read, so nothing can be archived.
        let api: Api<Guarded> = Api::namespaced(ctx.client.clone(), namespace_of(run));
        if finalizer::is_held(run, names::FINALIZER) {
            finalizer::set(&api, MANAGER, run, names::FINALIZER, false).await?;
        }
        return Ok(Action::await_change());
    }
    if ttl::ended(&broken.object).is_some() {
        return ttl::expire_unreadable(ctx, broken).await;
    }
    let end = |status: &mut Map<String, Value>| {
        status.insert("state".to_owned(), json!("Failed"));
        status.entry("ended").or_insert_with(|| json!(whole_seconds(ctx.now())));
    };
    let conditions = [("Complete", "False", REASON), ("Failed", "True", REASON)];
    if invalid::report::<ScoringRun>(ctx, MANAGER, &broken.metadata, &broken.wrong, &conditions, end).await? {
        let message = invalid::message(&broken.wrong);
        tracing::info!(run = name_of(run), state = "Failed", reason = REASON, "{message}");
        ctx.metrics.runs.with_label_values(&["Failed"]).inc();
        ctx.events.warning(&run.object_ref(&()), REASON, "Finish", &message).await;
    }
    Ok(Action::await_change())
}
