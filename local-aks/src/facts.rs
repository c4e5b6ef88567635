//! What a client needs to know about a cluster that is up.

use std::path::PathBuf;

/// Written to `state.json` when the cluster is up; `local-aks status -o json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// Administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// PEM file: the private CA and the system's CAs. `SSL_CERT_FILE` for whoever talks to the endpoints below.
    pub ca_bundle: PathBuf,
    /// The stand-in for `https://management.azure.com`; reached by pods and by this machine alike.
    pub arm_endpoint: String,
    /// The stand-in for `https://login.microsoftonline.com`.
    pub authority_host: String,
    /// Where the log of requests, the settings and the faults are: below `/control/`. It answers whatever is down.
    pub control_endpoint: String,
    /// Tenant of the identity below.
    pub tenant_id: String,
    /// Client id of the workload identity that the API accepts.
    pub client_id: String,
    /// Where the cluster is in Azure's terms.
    pub subscription_id: String,
    /// Resource group of the cluster.
    pub resource_group: String,
    /// Name of the managed cluster.
    pub cluster_name: String,
    /// The user pool that starts with no nodes.
    pub agent_pool: String,
    /// Image registry, `HOST:PORT`, plain http, reached by nodes and by this machine alike.
    pub registry: String,
    /// Where a test may serve a registry of its own, plain http as well; nodes know of it.
    pub other_registry: String,
    /// Blob Storage (Azurite), `http://HOST:10000/devstoreaccount1`.
    pub store_url: String,
    /// Storage account.
    pub store_account: String,
    /// Its account key.
    pub store_key: String,
    /// Where kubectl, helm, crane and the other tools are.
    pub bin_dir: PathBuf,
}

impl Facts {
    /// The address of this machine at which pods reach what listens there.
    #[must_use]
    pub fn host(&self) -> &str {
        self.registry.rsplit_once(':').map_or(self.registry.as_str(), |(host, _)| host)
    }
}
