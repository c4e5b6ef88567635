//! Blob Storage: a client for each container, and how its requests are authorised.

use std::sync::Arc;

use object_store::CredentialProvider;
use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};

use super::Store;
use super::remote::{client_options, is_plain, retries};
use crate::credentials::{Method, MountedSecret, azure_secret};
use crate::{Credentials, StoreError};

pub(super) type SharedCredential = Arc<dyn CredentialProvider<Credential = AzureCredential>>;

impl Store {
    /// What a mounted Secret holds, now and later; or the token of a managed identity.
    fn provided(&self) -> Result<Option<SharedCredential>, StoreError> {
        let Credentials { method, secret_dir, .. } = &self.inner.credentials;
        if let Method::ManagedIdentity { client_id, endpoint } = method {
            return managed_identity(client_id.as_deref(), endpoint.as_deref())
                .map(Some)
                .map_err(|e| self.invalid_credential(e.to_string()));
        }
        let secret = secret_dir.clone().and_then(|dir| MountedSecret::new(dir, azure_secret));
        Ok(secret.map(|secret| Arc::new(secret) as SharedCredential))
    }

    pub(super) fn azure(
        &self,
        account: &str,
        endpoint: &str,
        container: &str,
        shared: &mut Option<SharedCredential>,
    ) -> Result<MicrosoftAzure, StoreError> {
        let method = &self.inner.credentials.method;
        if matches!(method, Method::None) {
            return Err(self.invalid_credential(NONE));
        }
        if !is_plain(account) {
            return Err(
                self.invalid_credential("the account's name (accountName) has other characters than a to z and 0 to 9")
            );
        }
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(account)
            .with_endpoint(endpoint.to_owned())
            .with_container_name(container)
            .with_retry(retries())
            .with_client_options(client_options(endpoint.starts_with("http://")))
            .with_http_connector(self.inner.connector.clone());
        builder = match shared {
            Some(shared) => builder.with_credentials(Arc::clone(shared)),
            None => match self.provided()? {
                Some(provided) => builder.with_credentials(provided),
                None => with_method(builder, method),
            },
        };
        let client = builder.build().map_err(|e| {
            // The builder's message may repeat a part of a malformed SAS token.
            self.invalid_credential(match method {
                Method::AccountKey(_) => "the account key is not base64; copy it again from the portal".to_owned(),
                Method::SasToken(_) => "the SAS token is not made of name=value pairs; copy it again".to_owned(),
                _ => e.to_string(),
            })
        })?;
        shared.get_or_insert_with(|| Arc::clone(client.credentials()));
        Ok(client)
    }
}

const NONE: &str = "give a Secret with accountKey or sasToken (store.secretRef, or --secret-dir), set \
                    AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, use workload identity (AZURE_CLIENT_ID, \
                    AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE), or ask for a managed identity \
                    (AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential)";

fn with_method(builder: MicrosoftAzureBuilder, method: &Method) -> MicrosoftAzureBuilder {
    match method {
        Method::None | Method::ManagedIdentity { .. } => builder,
        Method::AccountKey(key) => builder.with_access_key(key),
        Method::SasToken(token) => builder.with_config(AzureConfigKey::SasKey, token),
        Method::WorkloadIdentity { client_id, tenant_id, token_file, authority_host } => {
            let builder = builder
                .with_config(AzureConfigKey::ClientId, client_id)
                .with_config(AzureConfigKey::AuthorityId, tenant_id)
                .with_federated_token_file(token_file);
            match authority_host {
                Some(host) => builder.with_config(AzureConfigKey::AuthorityHost, host.trim_end_matches('/')),
                None => builder,
            }
        }
    }
}

/// Tokens of a managed identity. They come from another service than the store, over plain http and by a client of their own:
/// what it answers tells nothing of the store.
fn managed_identity(client_id: Option<&str>, endpoint: Option<&str>) -> object_store::Result<SharedCredential> {
    // Nothing is asked of this account.
    let mut builder = MicrosoftAzureBuilder::new().with_account("identity").with_container_name("identity");
    builder = builder.with_retry(retries());
    if let Some(id) = client_id {
        builder = builder.with_config(AzureConfigKey::ClientId, id);
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_msi_endpoint(endpoint);
    }
    Ok(Arc::clone(builder.build()?.credentials()))
}

#[cfg(test)]
mod tests;
