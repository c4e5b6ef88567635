//! Who the operator is to Azure.

use std::path::Path;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_identity::{
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
};

use super::AksError;

/// Adds a token to each request: by workload identity where the webhook has put a federated token file into the pod,
/// else by the node's managed identity.
///
/// # Errors
/// When the environment of the identity is incomplete.
pub fn authorization(scope: &str) -> Result<Arc<dyn Policy>, AksError> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = set("AZURE_FEDERATED_TOKEN_FILE");
    let doing = match &file {
        Some(file) => format!("use the workload identity of {}", Path::new(file).display()),
        None => "use the managed identity (AZURE_FEDERATED_TOKEN_FILE is not set)".to_owned(),
    };
    let wrong = |error: azure_core::Error| AksError::sending(&doing, &error);
    let credential: Arc<dyn TokenCredential> = match file {
        Some(_) => WorkloadIdentityCredential::new(None).map_err(wrong)?,
        None => {
            let user_assigned_id = set("AZURE_CLIENT_ID").map(UserAssignedId::ClientId);
            let options = ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
            ManagedIdentityCredential::new(Some(options)).map_err(wrong)?
        }
    };
    Ok(Arc::new(BearerTokenAuthorizationPolicy::new(credential, [scope])))
}
