//! What `operator run` is told by its command line or environment.

use std::net::SocketAddr;

use clap::Args;
use url::Url;

/// Options of `operator run`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The scorer image of plan, item and archive pods, where a schedule names none.
    #[arg(long, env = "OPERATOR_SCORER_IMAGE")]
    pub scorer_image: String,
    /// The operator's own namespace: where its lease is.
    #[arg(long, env = "OPERATOR_NAMESPACE")]
    pub namespace: String,
    /// The PriorityClass, of a negative value, and the ServiceAccount of the pods that hold nodes of external pools for the next
    /// tick: both have this name. Without it none are held.
    #[arg(long, env = "OPERATOR_PLACEHOLDERS", value_name = "NAME")]
    pub placeholders: Option<String>,
    /// Azure Resource Manager.
    #[arg(long, env = "OPERATOR_ARM_ENDPOINT", default_value = "https://management.azure.com")]
    pub arm_endpoint: Url,
    /// The scope of the token for Azure Resource Manager. Default: `<arm-endpoint>/.default`.
    #[arg(long, env = "OPERATOR_ARM_SCOPE")]
    pub arm_scope: Option<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Act only while holding the lease, so that replicas can stand by.
    #[arg(long, env = "OPERATOR_LEADER_ELECT")]
    pub leader_elect: bool,
    /// The name under which the lease is held; a restarted process of the same name takes its lease back at once.
    /// Default: the host's name.
    #[arg(long, env = "OPERATOR_IDENTITY")]
    pub identity: Option<String>,
}

impl Settings {
    /// The scope of tokens for Azure Resource Manager.
    #[must_use]
    pub fn arm_scope(&self) -> String {
        let endpoint = self.arm_endpoint.as_str().trim_end_matches('/');
        self.arm_scope.clone().unwrap_or_else(|| format!("{endpoint}/.default"))
    }
}
