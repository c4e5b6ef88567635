//! Whether the API server would take the Job of a schedule's runs: it is asked, and nothing is made.

use crds::{ScoringRun, ScoringRunSpec, ScoringSchedule, ScoringScheduleSpec};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::PostParams;
use kube::core::Status;
use kube::runtime::reflector::ObjectRef;
use planner::ticks::run_name;

use super::MANAGER;
use super::observe::frozen;
use super::secrets::{self, Mount};
use crate::Error;
use crate::cluster::PoolNodes;
use crate::context::{Ctx, name_of, namespace_of};

/// Where the fields of a Job come from, the longest first.
const FIELDS: [(&str, &str); 10] = [
    ("spec.template.spec.containers[0].volumeMounts", "scorer.volumeMounts"),
    ("spec.template.spec.containers[0].envFrom", "scorer.envFrom"),
    ("spec.template.spec.containers[0].env", "scorer.env"),
    ("spec.template.spec.containers[0].image", "scorer.image"),
    ("spec.template.spec.containers[0].resources", "scorer.resources"),
    ("spec.template.spec.terminationGracePeriodSeconds", "scorer.terminationGracePeriodSeconds"),
    ("spec.template.spec.serviceAccountName", "scorer.serviceAccountName"),
    ("spec.template.spec.imagePullSecrets", "scorer.imagePullSecrets"),
    ("spec.template.labels", "scorer.labels"),
    ("spec.backoffLimitPerIndex", "retries"),
];
/// Volumes that the operator gives a pod before those of Secrets: the request, and `/tmp`.
const OURS: usize = 2;
/// What a webhook says that would do something when it is asked.
const NO_DRY_RUN: &str = "does not support dry run";

/// What the API server says of the Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It would take it.
    Taken,
    /// It would never: it makes no valid pod.
    Invalid(String),
    /// It would not now: a quota, or a policy of the cluster.
    Forbidden(String),
    /// It cannot say.
    Unknown(String),
}

/// Asks the API server.
///
/// # Errors
/// When it is not reached.
pub(crate) async fn ask(ctx: &Ctx, schedule: &ScoringSchedule, pool: &PoolNodes) -> Result<Verdict, Error> {
    let job = job(schedule, &ctx.settings.scorer_image, pool, ctx.now())?;
    let api: Api<Job> = Api::namespaced(ctx.client.clone(), namespace_of(schedule));
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.0.to_owned()) };
    let answer = api.create(&params, &job).await.map(drop);
    verdict(answer, &schedule.spec).map_err(Error::api("try the Job of", &ObjectRef::from_obj(schedule)))
}

/// The Job of a run of this schedule, by the very steps that make one.
fn job(schedule: &ScoringSchedule, image: &str, pool: &PoolNodes, now: Timestamp) -> Result<Job, Error> {
    let name = name_of(schedule);
    let spec = ScoringRunSpec {
        schedule_name: name.to_owned(),
        tick: Some(now),
        window: None,
        rerun_failed_of: None,
        backfill: None,
        cancel: false,
        ttl_seconds_after_finished: None,
    };
    let mut run = ScoringRun::new(&run_name(name, now), spec);
    run.metadata.namespace = Some(namespace_of(schedule).to_owned());
    let frozen = frozen(&run, schedule, image, now, None);
    frozen.items(&run, 1, 1, pool)
}

fn verdict(answer: Result<(), kube::Error>, spec: &ScoringScheduleSpec) -> Result<Verdict, kube::Error> {
    let status = match answer {
        Ok(()) => return Ok(Verdict::Taken),
        Err(kube::Error::Api(status)) => status,
        Err(error) => return Err(error),
    };
    Ok(match status.code {
        // It got as far as that its name is taken.
        409 => Verdict::Taken,
        400 if status.message.contains(NO_DRY_RUN) => Verdict::Unknown(status.message),
        400 | 413 | 422 => Verdict::Invalid(words(&status, spec)),
        401 | 403 => Verdict::Forbidden(status.message),
        _ => Verdict::Unknown(status.message),
    })
}

/// What is wrong, field by field, as the schedule names them.
fn words(status: &Status, spec: &ScoringScheduleSpec) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let told = causes.map(|cause| format!("{}: {}", field(&cause.field, spec), cause.message));
    let told: Vec<String> = told.collect();
    if told.is_empty() { status.message.clone() } else { told.join("; ") }
}

fn field(path: &str, spec: &ScoringScheduleSpec) -> String {
    if let Some((number, rest)) = path.strip_prefix("spec.template.spec.volumes[").and_then(|rest| rest.split_once(']'))
        && let Ok(number) = number.parse::<usize>()
    {
        // The schedule's own come first; then the operator's, the last of which are Secrets.
        let own = spec.scorer.volumes.len();
        let secret = number.checked_sub(own + OURS).and_then(|at| secrets::of(spec).nth(at));
        return match secret {
            _ if number < own => format!("scorer.volumes[{number}]{rest}"),
            Some((Mount { field, .. }, _)) => format!("{field}: {path}"),
            None => path.to_owned(),
        };
    }
    let known = FIELDS.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", path.strip_prefix(theirs)?)));
    known.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(code: u16, message: &str, causes: &Value) -> Verdict {
        let status: Status = serde_json::from_value(json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "message": message, "details": {"causes": causes}}))
        .unwrap();
        verdict(Err(kube::Error::Api(status.boxed())), &spec()).unwrap()
    }

    /// Of a schedule with a volume of its own and two Secrets.
    fn spec() -> ScoringScheduleSpec {
        let sql = json!({"secretRef": {"name": "db"}, "query": "SELECT 1"});
        serde_json::from_value(json!({
            "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "model": {"path": "models/{device}"},
            "store": {"url": "az://models", "secretRef": {"name": "store"}}, "data": {"sql": sql},
            "scorer": {"volumes": [{"name": "own", "emptyDir": {}}]},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_no_valid_pod_is_told_by_the_fields_of_the_schedule() {
        let causes = json!([
            {"field": "spec.template.spec.containers[0].env[1].name", "message": "Invalid value: \"A B\": no spaces"},
            {"field": "spec.template.labels", "message": "Invalid value: \"x y\": no label"},
            {"field": "spec.completions", "message": "is odd"},
            {"field": "spec.template.spec.volumes[0].hostPath.path", "message": "Required value"},
            {"field": "spec.template.spec.containers[0].volumeMounts[1].name", "message": "Not found: \"x\""},
            {"field": "spec.template.spec.volumes[3].secret", "message": "no"},
            {"field": "spec.template.spec.volumes[4].secret", "message": "no"},
        ]);
        let told = "scorer.env[1].name: Invalid value: \"A B\": no spaces; scorer.labels: Invalid value: \"x y\": no \
                    label; spec.completions: is odd; scorer.volumes[0].hostPath.path: Required value; \
                    scorer.volumeMounts[1].name: Not found: \"x\"; \
                    store.secretRef: spec.template.spec.volumes[3].secret: no; \
                    data.sql.secretRef: spec.template.spec.volumes[4].secret: no";
        assert_eq!(refused(422, "Job is invalid", &causes), Verdict::Invalid(told.to_owned()));
        assert_eq!(refused(400, "no such divisor", &json!([])), Verdict::Invalid("no such divisor".to_owned()));
    }

    #[test]
    fn a_quota_a_policy_and_a_server_in_trouble_are_no_lasting_verdict() {
        let none = json!([]);
        assert!(
            matches!(refused(403, "exceeded quota: jobs", &none), Verdict::Forbidden(why) if why.contains("quota"))
        );
        let webhook = "admission webhook \"x\" does not support dry run";
        for (code, message) in [(500, "failed calling webhook"), (429, "slow down"), (404, "gone"), (400, webhook)] {
            assert_eq!(refused(code, message, &none), Verdict::Unknown(message.to_owned()));
        }
        assert_eq!(refused(409, "there is one of this name", &none), Verdict::Taken);
        assert!(verdict(Err(kube::Error::LinesCodecMaxLineLengthExceeded), &spec()).is_err(), "it was not reached");
    }

    #[test]
    fn the_job_that_is_tried_has_what_the_schedule_says_and_the_name_of_a_run() {
        let schedule: ScoringSchedule = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"name": "hourly", "namespace": "plant"},
            "spec": {
                "clusterRef": {"name": "cpu"}, "schedule": "@hourly",
                "store": {"url": "az://models", "secretRef": {"name": "Secret"}},
                "model": {"path": "models/{device}"},
                "data": {"sql": {"secretRef": {"name": "database"}, "query": "SELECT 1"}},
                "scorer": {"env": [{"name": "LEVEL", "value": "5"}], "labels": {"team": "one"},
                    "resources": {"limits": {"cpu": "1"}}, "serviceAccountName": "scorer"},
            },
        }))
        .unwrap();
        let job = job(&schedule, "scorer:1", &PoolNodes::default(), "2026-01-01T00:00:30Z".parse().unwrap()).unwrap();
        let job = serde_json::to_value(job).unwrap();
        assert_eq!(job["metadata"]["name"], "hourly-29453760");
        assert_eq!(job["metadata"].get("ownerReferences"), None, "there is no such run");
        let template = &job["spec"]["template"];
        assert_eq!(template["metadata"]["labels"]["team"], "one");
        for (theirs, expected) in [
            ("/spec/containers/0/env/0/name", json!("LEVEL")),
            ("/spec/containers/0/image", json!("scorer:1")),
            ("/spec/containers/0/resources/limits/cpu", json!("1")),
            ("/spec/serviceAccountName", json!("scorer")),
            ("/spec/volumes/2/secret/secretName", json!("Secret")),
            ("/spec/volumes/3/secret/secretName", json!("database")),
            ("/spec/containers/0/volumeMounts/3/mountPath", json!("/var/run/secrets/batchscoring.dev/data-sql")),
        ] {
            assert_eq!(template.pointer(theirs), Some(&expected), "{theirs}");
        }
    }
}
