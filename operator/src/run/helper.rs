//! The Jobs of one pod that answer in its termination message: `plan` and `archive`.

use std::sync::Arc;

use crds::names;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use planner::run::{CATCH_UP, Helper};
use serde::de::DeserializeOwned;
use spec::report::{ArchiveReport, Failure, PlanReport};

use super::held_up::held_up;
use super::pods::{self, Trouble};
use crate::context::{Ctx, label, name_of, namespace_of, uid_of};
use crate::schedule::is_owned;

/// An answer that may say why there is none.
pub(super) trait Answer: DeserializeOwned {
    fn failure(&self) -> Option<&Failure>;
}

impl Answer for PlanReport {
    fn failure(&self) -> Option<&Failure> {
        self.error.as_ref()
    }
}

impl Answer for ArchiveReport {
    fn failure(&self) -> Option<&Failure> {
        self.error.as_ref()
    }
}

/// How a helper stands.
pub(super) struct Standing<T> {
    pub(super) helper: Helper,
    pub(super) answer: Option<T>,
    /// Why it failed, or what it waits for.
    pub(super) trouble: Option<Trouble>,
    /// Since when its pod runs, if one does.
    pub(super) runs_since: Option<Timestamp>,
}

impl<T> Standing<T> {
    /// Of one of which no pod runs.
    pub(super) fn of(helper: Helper, answer: Option<T>, trouble: Option<Trouble>) -> Self {
        Self { helper, answer, trouble, runs_since: None }
    }
}

/// When a Job had the condition.
pub(super) fn condition(job: &Job, type_: &str) -> Option<(Timestamp, Trouble)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|c| c.type_ == type_ && c.status == "True")?;
    let at = condition.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let reason = condition.reason.clone().unwrap_or_else(|| type_.to_owned());
    Some((at, Trouble::new(reason, condition.message.clone().unwrap_or_default())))
}

/// How a helper stands, by its Job and pods, and where these do not tell what it waits for by their events.
pub(super) async fn standing<T: Answer>(ctx: &Ctx, job: Option<&Job>, now: Timestamp) -> Standing<T> {
    let Some(job) = job else { return Standing::of(Helper::Absent, None, None) };
    let of_run = ctx.caches.run_pods.of_run(namespace_of(job), label(job, names::RUN).unwrap_or_default());
    let mut pods: Vec<Arc<Pod>> = of_run.into_iter().filter(|pod| is_owned(&**pod, uid_of(job))).collect();
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let mut standing = judge(job, &pods, now);
    if standing.helper == Helper::Going && standing.trouble.is_none() {
        standing.trouble = held_up(ctx, job, &pods, now).await;
    }
    standing
}

fn judge<T: Answer>(job: &Job, pods: &[Arc<Pod>], now: Timestamp) -> Standing<T> {
    let going = |trouble| Standing::of(Helper::Going, None, trouble);
    if job.metadata.deletion_timestamp.is_some() {
        return going(None);
    }
    let last = pods.iter().rev().find(|pod| pods::ended(pod));
    let answer: Option<T> = last.and_then(|pod| pods::answer(pod));
    let told = answer.as_ref().and_then(Answer::failure).map(|f| Trouble::new(f.reason.clone(), f.message.clone()));
    if let Some((at, _)) = condition(job, "Complete") {
        let lags = now.duration_since(at) < CATCH_UP;
        return match (answer, told) {
            (_, Some(trouble)) => Standing::of(Helper::Failed { at }, None, Some(trouble)),
            (Some(answer), None) => Standing::of(Helper::Answered, Some(answer), None),
            // The Job is ahead of its pod in our caches, or the pod went with its node.
            (None, _) if lags || pods.iter().any(|pod| !pods::ended(pod)) => going(None),
            (None, _) => Standing::of(Helper::Lost, None, None),
        };
    }
    if let Some((at, why)) = condition(job, "Failed") {
        let log = last.and_then(|pod| pods::terminated(pod)).and_then(|end| end.message.clone());
        let log = log.filter(|_| told.is_none()).map(|text| format!("; it last said: {}", tail(&text)));
        let plain = Trouble::new(
            why.reason,
            format!("Job {} failed: {}{}", name_of(job), why.message, log.unwrap_or_default()),
        );
        return Standing::of(Helper::Failed { at }, None, Some(told.unwrap_or(plain)));
    }
    let runs_since = pods.iter().rev().filter(|pod| !pods::ended(pod)).find_map(|pod| pods::runs_since(pod));
    Standing { runs_since, ..going(pods.iter().rev().find_map(|pod| pods::trouble(pod)).or(told)) }
}

fn tail(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job(conditions: &Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "run-plan"}, "status": {"conditions": conditions}})).unwrap()
    }

    fn ended(is: &str) -> Job {
        job(&json!([{"type": is, "status": "True", "reason": "BackoffLimitExceeded", "message": "too often",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]))
    }

    fn pod(exit: i32, message: &str) -> Arc<Pod> {
        let phase = if exit == 0 { "Succeeded" } else { "Failed" };
        let pod = json!({"metadata": {"name": "run-plan-x"}, "spec": {"containers": []}, "status": {"phase": phase,
            "containerStatuses": [{"name": "scorer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit, "message": message}}}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn judge_at(job: &Job, pods: &[Arc<Pod>], seconds: i64) -> Standing<PlanReport> {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        judge(job, pods, start + jiff::SignedDuration::from_secs(seconds))
    }

    #[test]
    fn a_complete_job_answers_by_its_pod() {
        let pods = [pod(0, r#"{"sensors": 24, "items": 12, "manifest": "file:///m"}"#)];
        let standing = judge_at(&ended("Complete"), &pods, 0);
        assert_eq!((standing.helper, standing.answer.unwrap().items), (Helper::Answered, 12));
    }

    #[test]
    fn a_complete_job_whose_pod_is_gone_has_lost_its_answer_but_not_at_once() {
        assert_eq!(judge_at(&ended("Complete"), &[], 1).helper, Helper::Going);
        assert_eq!(judge_at(&ended("Complete"), &[], 60).helper, Helper::Lost);
    }

    #[test]
    fn a_failed_job_tells_what_its_pod_said() {
        let said = r#"{"sensors": 0, "items": 0, "manifest": "", "error": {"reason": "NoSensors", "message": "none"}}"#;
        let standing = judge_at(&ended("Failed"), &[pod(64, said)], 0);
        assert!(matches!(standing.helper, Helper::Failed { .. }));
        assert_eq!(standing.trouble.unwrap(), Trouble::new("NoSensors", "none"));
        let panicked = judge_at(&ended("Failed"), &[pod(101, "note\nthread panicked at x\n")], 0);
        let trouble = panicked.trouble.unwrap();
        assert_eq!(trouble.reason, "BackoffLimitExceeded");
        assert!(trouble.message.ends_with("it last said: thread panicked at x"), "{}", trouble.message);
    }
}
