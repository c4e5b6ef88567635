//! Claiming what a run is named after: a tick is scored once, a name by hand by one run at a time.
//!
//! Kubernetes has one object of a name, so a run by hand that finds the claim of another UID was created after that one's
//! object had gone. It takes the claim over where the store shows that nothing of the other goes on: its record is there, or
//! it was never planned. What is left of the other cannot be mixed with this one's: manifest, shards and outcomes carry the
//! UID of their run and are refused by any other.

use store::manifest::MAX_INDEX_BYTES;
use store::record::{self, Holder};
use store::{Claim, ManifestIndex, StoreError, claim::MAX_BYTES};

use super::LOCAL;
use crate::context::{Context, StepError};

const ONCE: &str = "a schedule's tick is scored once; to score its window again, create a run by hand with this tick and a \
                    name of its own (generateName)";
const NOT_ENDED: &str = "that run was planned and has no record yet: wait until it has ended; if there is no such run any \
                         more, give this one another name (generateName), or delete the claim and create this one again";
const TAKEN_OVER: &str = "another run of this name took over while this one was planned";

/// Claims the run's name. Gives the manifest that an earlier attempt of the same run left, if it got so far.
pub(super) async fn claim(context: &Context) -> Result<Option<ManifestIndex>, StepError> {
    let (store, path) = (&context.store, context.paths.claim());
    let ours = Claim { run_uid: context.request.run_uid.clone() };
    let json = serde_json::to_vec(&ours)?;
    if store.put_if_absent(&path, json).await? {
        return Ok(None);
    }
    let theirs: Claim = store.get_json(&path, "claim", MAX_BYTES).await?;
    if theirs == ours {
        return planned(context, &ours).await;
    }
    let local = ours.run_uid.starts_with(LOCAL) && theirs.run_uid.starts_with(LOCAL);
    if !local {
        if is_ticks_own(context) {
            return Err(claimed(context, theirs, ONCE));
        }
        if !has_ended(context, &theirs).await? && planned(context, &theirs).await?.is_some() {
            return Err(claimed(context, theirs, NOT_ENDED));
        }
        tracing::info!(holder = theirs.run_uid, "the name was claimed by a run that is over: it is taken over");
    }
    store.put_json(&path, "claim", &ours).await?;
    Ok(None)
}

/// Makes sure that the claim was not taken over since.
pub(super) async fn hold(context: &Context) -> Result<(), StepError> {
    if is_ticks_own(context) {
        return Ok(());
    }
    let holder: Claim = context.store.get_json(&context.paths.claim(), "claim", MAX_BYTES).await?;
    match holder.run_uid == context.request.run_uid {
        true => Ok(()),
        false => Err(claimed(context, holder, TAKEN_OVER)),
    }
}

fn claimed(context: &Context, holder: Claim, advice: &'static str) -> StepError {
    StepError::TickClaimed {
        uri: context.store.uri(&context.paths.claim()),
        holder: holder.run_uid,
        ours: context.request.run_uid.clone(),
        advice,
    }
}

/// Whether the run is the one that the schedule makes for the tick: nothing else has this name at this time.
fn is_ticks_own(context: &Context) -> bool {
    context.paths.tick_of(&context.request.run) == Some(context.request.tick)
}

/// The manifest of the run with the claim, if it is whole.
async fn planned(context: &Context, claim: &Claim) -> Result<Option<ManifestIndex>, StepError> {
    let manifest =
        context.store.get_json::<ManifestIndex>(&context.paths.manifest(), "manifest", MAX_INDEX_BYTES).await;
    match manifest {
        Ok(index) => Ok(Some(index).filter(|index| index.run_uid == claim.run_uid)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the run with the claim has a record: that is written when its pods have ended.
async fn has_ended(context: &Context, claim: &Claim) -> Result<bool, StepError> {
    let record = context.store.get_json::<Holder>(&context.paths.record(), "record", record::MAX_BYTES).await;
    match record {
        Ok(record) => Ok(record.run_uid == claim.run_uid),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;
    use store::Credentials;

    use super::*;

    const TICKS_OWN: &str = "hourly-25591740";

    fn context(folder: &tempfile::TempDir, run: &str, uid: &str) -> Context {
        let request = serde_json::from_value(json!({
            "namespace": "plant", "schedule": "hourly", "run": run, "runUid": uid, "tick": "2018-08-29T01:00:00Z",
            "work": {
                "store": {"url": format!("file://{}", folder.path().display())},
                "model": {"path": "models/model_{device}_{tag}"}, "data": {"path": "data/sensor_data.csv"},
            },
        }));
        let clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        Context::open(request.unwrap(), &Credentials::none(), clock).unwrap()
    }

    async fn manifest(context: &Context) {
        let index = json!({
            "version": 1, "runUid": context.request.run_uid, "tick": context.request.tick, "sensors": 1, "items": 1,
            "itemsPerShard": 1, "shards": 1, "storeRequests": store::RequestCounts::default(),
        });
        context.store.put_json(&context.paths.manifest(), "manifest", &index).await.unwrap();
    }

    async fn record(context: &Context) {
        let record = json!({"runUid": context.request.run_uid, "outcomes": []});
        context.store.put_json(&context.paths.record(), "record", &record).await.unwrap();
    }

    async fn refusal(context: &Context) -> String {
        let error = claim(context).await.unwrap_err();
        assert_eq!(error.reason(), "TickClaimed");
        error.to_string()
    }

    #[tokio::test]
    async fn a_ticks_own_run_is_scored_once_whatever_became_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = context(&folder, TICKS_OWN, "uid-1");
        assert_eq!(claim(&first).await.unwrap(), None);
        let again = context(&folder, TICKS_OWN, "uid-2");
        assert!(refusal(&again).await.contains("scored once"));
        manifest(&first).await;
        record(&first).await;
        let message = refusal(&again).await;
        assert!(message.contains("uid-1") && message.contains("generateName"), "{message}");
    }

    #[tokio::test]
    async fn a_run_by_hand_takes_over_the_name_of_one_that_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["now", "keep-0", "hourly-0"] {
            let (first, second) = (context(&folder, name, "uid-1"), context(&folder, name, "uid-2"));
            claim(&first).await.unwrap();
            manifest(&first).await;
            record(&first).await;
            assert_eq!(claim(&second).await.unwrap(), None, "{name}");
            hold(&second).await.unwrap();
            manifest(&second).await;
            // Its own retry finds its manifest, and the record is still that of the first.
            assert_eq!(claim(&second).await.unwrap().unwrap().run_uid, "uid-2");
            assert!(refusal(&context(&folder, name, "uid-3")).await.contains("uid-2"));
        }
    }

    #[tokio::test]
    async fn a_run_by_hand_takes_over_the_name_of_one_that_was_never_planned() {
        let folder = tempfile::tempdir().unwrap();
        claim(&context(&folder, "now", "uid-1")).await.unwrap();
        assert_eq!(claim(&context(&folder, "now", "uid-2")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_run_by_hand_waits_for_one_of_its_name_that_was_planned() {
        let folder = tempfile::tempdir().unwrap();
        let first = context(&folder, "now", "uid-1");
        claim(&first).await.unwrap();
        manifest(&first).await;
        let message = refusal(&context(&folder, "now", "uid-2")).await;
        assert!(message.contains("wait until it has ended") && message.contains("now/claim.json"), "{message}");
    }

    #[tokio::test]
    async fn a_run_whose_name_was_taken_over_while_it_was_planned_leaves_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (context(&folder, "now", "uid-1"), context(&folder, "now", "uid-2"));
        claim(&first).await.unwrap();
        claim(&second).await.unwrap();
        let error = hold(&first).await.unwrap_err();
        assert_eq!(error.reason(), "TickClaimed");
        assert!(error.to_string().contains("uid-2"), "{error}");
    }
}
