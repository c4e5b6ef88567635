//! What can go wrong, in a bounded set of categories that decide back-off and metric.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use kube::Resource;
use kube::core::Status;
use kube::runtime::reflector::ObjectRef;

/// A reconciler's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a request, or was not reached.
    #[error("{doing}: {}", words(&**source))]
    Api {
        /// What was being done, to which object.
        doing: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// Something does not serialise.
    #[error("{doing}: {source}")]
    Json {
        /// What was being done, to which object.
        doing: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An object lacks what the API server always gives.
    #[error("{kind} {name} has no {field}")]
    Incomplete {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is missing.
        field: &'static str,
    },
    /// Something that is not ours has the name.
    #[error("{object} is there already and is not of this run; delete it")]
    NameTaken {
        /// What has the name.
        object: String,
    },
    /// The process cannot start.
    #[error("{doing}: {}", words(&**source))]
    Start {
        /// What was being done.
        doing: String,
        /// What came of it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another replica has the lease.
    #[error("lost the lease {lease}: {why}")]
    LeaseLost {
        /// The lease.
        lease: String,
        /// How that is known.
        why: String,
    },
}

/// The kinds of errors: each has one metric label and one back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Somebody else changed the object first; look again.
    Conflict,
    /// The operator's role lacks a rule.
    Forbidden,
    /// The API server refuses the object itself.
    Rejected,
    /// The namespace or the object is going away.
    Gone,
    /// The API server is not reached, or is not well.
    Unavailable,
    /// The cloud's API refuses or is not reached.
    Provider,
    /// A defect of ours.
    Internal,
    /// The process could not start or lost its lease.
    Process,
}

impl Category {
    /// The metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::Forbidden => "Forbidden",
            Self::Rejected => "Rejected",
            Self::Gone => "Gone",
            Self::Unavailable => "Unavailable",
            Self::Provider => "Provider",
            Self::Internal => "Internal",
            Self::Process => "Process",
        }
    }

    /// How long to wait after the given number of failures in a row (1 for the first).
    #[must_use]
    pub fn backoff(self, failures: u32) -> Duration {
        let (first, most) = match self {
            Self::Conflict => (50, 2_000),
            Self::Unavailable => (250, 15_000),
            Self::Gone => (1_000, 30_000),
            Self::Provider | Self::Process => (1_000, 60_000),
            Self::Forbidden | Self::Rejected | Self::Internal => (1_000, 120_000),
        };
        let doubled = 1u64.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(u64::MAX);
        Duration::from_millis(doubled.saturating_mul(first).min(most))
    }
}

/// An error of a reconciler: its category, and what it says about when to try again.
pub trait Reconcile: std::error::Error + Send + 'static {
    /// The category.
    fn category(&self) -> Category;
    /// When to try again, if the other side said so; otherwise the category's back-off holds.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl Reconcile for Error {
    fn category(&self) -> Category {
        Self::category(self)
    }
}

impl Error {
    /// The category.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Api { source, .. } => api_category(source),
            Self::Json { .. } | Self::Incomplete { .. } => Category::Internal,
            Self::NameTaken { .. } => Category::Rejected,
            Self::Start { .. } | Self::LeaseLost { .. } => Category::Process,
        }
    }

    /// What the process exits with: 3 when it lost its lease and is to be started again, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if let Self::LeaseLost { .. } = self { 3 } else { 1 }
    }

    /// Wraps an error of the API with what was being done: `"create"`, and the object.
    pub fn api<K>(verb: &str, object: &ObjectRef<K>) -> impl FnOnce(kube::Error) -> Self
    where
        K: Resource,
        K::DynamicType: Debug + Eq + Hash + Clone,
    {
        let doing = format!("{verb} {object}");
        move |source| Self::Api { doing, source: Box::new(source) }
    }

    /// Wraps an error of the process' start.
    pub fn start<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &str) -> impl FnOnce(E) -> Self {
        let doing = doing.to_owned();
        move |source| Self::Start { doing, source: source.into() }
    }
}

/// The category of an error of the Kubernetes API.
#[must_use]
pub fn api_category(error: &kube::Error) -> Category {
    match error {
        kube::Error::Api(status) => match status.code {
            409 => Category::Conflict,
            401 | 403 if status.message.contains("because it is being terminated") => Category::Gone,
            401 | 403 => Category::Forbidden,
            404 | 410 => Category::Gone,
            429 | 500..=599 => Category::Unavailable,
            _ => Category::Rejected,
        },
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Category::Internal,
        _ => Category::Unavailable,
    }
}

/// What went wrong. Where the API server answered, in its own words: kube would add its whole answer, field by field.
#[must_use]
pub fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(link) = cause {
        if let Some(status) = answer(link) {
            let plain = || format!("the answer is {} {}", status.code, status.reason);
            return if status.message.is_empty() { plain() } else { status.message.clone() };
        }
        cause = link.source();
    }
    error.to_string()
}

/// What the API server answered, if this is what the error tells.
fn answer<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Status> {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) => Some(status),
        _ => error.downcast_ref::<Box<Status>>().map(|status| &**status).or_else(|| error.downcast_ref()),
    }
}

/// Whether the API server answered with this status code.
#[must_use]
pub fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> Box<Status> {
        let status = Status { code: 403, message: message.into(), reason: "Forbidden".into(), ..Status::default() };
        Box::new(Status {
            metadata: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta::default()),
            ..status
        })
    }

    #[test]
    fn what_the_api_server_refuses_is_told_in_its_words_alone() {
        let job = ObjectRef::<k8s_openapi::api::batch::v1::Job>::new("q-now").within("plant");
        let told = |message| Error::api("create", &job)(kube::Error::Api(refused(message))).to_string();
        assert_eq!(told("exceeded quota: few"), "create Job.v1.batch/q-now.plant: exceeded quota: few");
        assert_eq!(told(""), "create Job.v1.batch/q-now.plant: the answer is 403 Forbidden");
    }

    #[test]
    fn so_it_is_where_another_error_has_that_for_its_source() {
        use kube::runtime::watcher;
        let api = || kube::Error::Api(refused("no, says the policy"));
        for error in
            [watcher::Error::InitialListFailed(api()), watcher::Error::WatchError(refused("no, says the policy"))]
        {
            assert_eq!(words(&error), "no, says the policy");
        }
        let started = Error::start("find or make the lease")(api());
        assert_eq!(started.to_string(), "find or make the lease: no, says the policy");
        assert_eq!(words(&watcher::Error::NoResourceVersion), watcher::Error::NoResourceVersion.to_string());
    }

    #[test]
    fn back_off_doubles_up_to_its_limit() {
        assert_eq!(Category::Unavailable.backoff(1), Duration::from_millis(250));
        assert_eq!(Category::Unavailable.backoff(2), Duration::from_millis(500));
        assert_eq!(Category::Unavailable.backoff(99), Duration::from_secs(15));
        assert_eq!(Category::Conflict.backoff(u32::MAX), Duration::from_secs(2));
    }
}
