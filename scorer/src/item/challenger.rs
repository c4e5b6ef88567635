//! Another version of a sensor's model, scored beside the one whose predictions are published. What goes wrong with it is
//! told, and harms nobody.

use std::sync::Arc;

use spec::SensorKeys;
use spec::work::{PredictionLayout, Predictions};
use store::outcome::Compared;
use store::{ChallengerOutcome, LogFile, ModelFile, Upload};

use super::model::{self, Fetched};
use crate::context::Context;
use crate::engine::{Head, Model, Rows, Scored, Scorer, SensorFile};
use crate::model::sha256;
use crate::problem::Problem;

/// A challenger at work.
pub(super) struct Challenger {
    outcome: ChallengerOutcome,
    /// How it differs so far; none once it did not score the same rows.
    compared: Option<Compared>,
    work: Result<(SensorFile, Upload), Problem>,
    /// What is to be said though it does.
    warning: Option<String>,
}

impl Challenger {
    /// Gets the challenger of a sensor ready, if its schedule names one.
    pub(super) async fn begin(
        context: &Context,
        planned: Option<&ModelFile>,
        sensor: &SensorKeys,
        head: Arc<Head>,
        unread_time: Option<&str>,
    ) -> Option<Self> {
        let version = context.request.work.model.challenger.as_ref()?.version.clone();
        let path = context.paths.challenger(&version, sensor);
        let mut outcome = ChallengerOutcome::of(version, context.store.uri(&path));
        let mut warning = None;
        let work = async {
            let (Fetched { model: bytes, replaced }, name) = fetch(context, planned).await?;
            let hash = sha256(&bytes);
            warning = replaced.then(|| model::replaced(&name, &hash));
            let read = tokio::task::spawn_blocking(move || Model::from_bytes(&name, &bytes));
            let model = read.await.map_err(|e| Problem::internal("reading the challenger", e))?;
            let model = model.map_err(|e| Problem::of_bad_model(&e))?;
            let scorer = Scorer::new(Arc::new(model), head).map_err(|e| Problem::failed(e.reason(), e.to_string()))?;
            let kind = Predictions { layout: PredictionLayout::PerSensor, ..context.request.work.predictions.clone() };
            let file =
                SensorFile::begin(&kind, sensor, scorer, unread_time).map_err(|e| Problem::of_predictions(&e))?;
            let upload = context.store.upload(&path).map_err(|e| Problem::of_store(&e))?;
            outcome.model_hash = Some(hash);
            Ok::<_, Problem>((file, upload))
        };
        let work = work.await;
        Some(Self { outcome, compared: Some(Compared::default()), work, warning })
    }

    /// Scores rows, of which the model whose predictions are published made `published`.
    pub(super) fn add(&mut self, rows: Rows, published: &Scored) {
        let Ok((file, _)) = &mut self.work else { return };
        match file.add(rows) {
            Ok(ours) => self.compare(&ours, published),
            Err(error) => self.work = Err(Problem::of_predictions(&error)),
        }
    }

    fn compare(&mut self, ours: &Scored, published: &Scored) {
        // Of models that take other columns, or rows with missing values, one may leave out what the other scores.
        self.compared = self.compared.filter(|_| ours.scores.len() == published.scores.len());
        if let Some(Compared { disagreements, max_score_difference }) = &mut self.compared {
            let others = ours.verdicts.iter().zip(&published.verdicts).filter(|(ours, theirs)| ours != theirs);
            *disagreements += others.count() as u64;
            let far = ours.scores.iter().zip(&published.scores).map(|(ours, theirs)| (ours - theirs).abs());
            // What is no finite number says nothing, and is none in JSON.
            *max_score_difference = far.filter(|far| far.is_finite()).fold(*max_score_difference, f64::max);
        }
    }

    /// Writes what is ready.
    pub(super) async fn send(&mut self) {
        let Ok((file, upload)) = &mut self.work else { return };
        let sent = upload.write(file.ready()).await;
        file.ready().clear();
        if let Err(error) = sent {
            self.work = Err(Problem::of_store(&error));
        }
    }

    /// Ends its file, and says how it did: by a warning where it failed.
    pub(super) async fn finish(self, warnings: &mut Vec<String>, log: &LogFile) -> ChallengerOutcome {
        let Self { mut outcome, compared, work, warning } = self;
        let done = async {
            let (file, mut upload) = work?;
            (outcome.scored, outcome.anomalies) = (file.tally().scored, file.tally().anomalies);
            let last = tokio::task::spawn_blocking(move || file.finish()).await;
            let last = last.map_err(|e| Problem::internal("writing", e))?.map_err(|e| Problem::of_predictions(&e))?;
            upload.write(&last).await.map_err(|e| Problem::of_store(&e))?;
            upload.finish().await.map_err(|e| Problem::of_store(&e))
        };
        let done: Result<(), Problem> = done.await;
        match done {
            Ok(()) => {
                outcome.compared = compared;
                warnings.extend(warning);
                let ChallengerOutcome { version, anomalies, .. } = &outcome;
                let beside = compared.map(|beside| format!(", {} rows otherwise", beside.disagreements));
                let beside = beside.unwrap_or_default();
                log.info(format_args!("challenger {version}: {anomalies} anomalies{beside}"));
            }
            Err(Problem { reason, message, .. }) => {
                let version = &outcome.version;
                warnings.push(format!("its challenger {version} was not scored: {reason}: {message}"));
                outcome = ChallengerOutcome::of(version.clone(), String::new());
                outcome.reason = Some(reason);
            }
        }
        outcome
    }
}

/// The challenger's file, which must have been there when the run was planned.
async fn fetch(context: &Context, planned: Option<&ModelFile>) -> Result<(Fetched<bytes::Bytes>, String), Problem> {
    let store = &context.store;
    let Some(planned @ ModelFile { path, size: Some(_), .. }) = planned else {
        let at = planned.map(|model| store.uri(&model.path)).unwrap_or_default();
        return Err(Problem::failed("ModelNotFound", format!("{at} did not exist when the run was planned")));
    };
    Ok((model::bytes(store, planned).await?, store.uri(path)))
}
