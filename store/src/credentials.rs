//! What a store is opened with. Never logged: `Debug` shows the kind only.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// How requests to the store are authorised.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The account of `az://` URLs.
    pub(crate) account: Option<String>,
    pub(crate) method: Method,
}

#[derive(Clone, Default)]
pub(crate) enum Method {
    #[default]
    None,
    AccountKey(String),
    SasToken(String),
    WorkloadIdentity {
        client_id: String,
        tenant_id: String,
        token_file: String,
        authority_host: Option<String>,
    },
}

impl Credentials {
    /// None: enough for folders.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// An account's key (base64).
    #[must_use]
    pub fn account_key(key: impl Into<String>) -> Self {
        Self { account: None, method: Method::AccountKey(key.into()) }
    }

    /// A shared access signature, with or without its leading `?`.
    #[must_use]
    pub fn sas_token(token: impl Into<String>) -> Self {
        Self { account: None, method: Method::SasToken(token.into()) }
    }

    /// Looks in a mounted Secret (files `accountKey`, `sasToken`, `accountName`), then in the environment
    /// (`AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`), then for workload identity (`AZURE_CLIENT_ID`,
    /// `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`).
    ///
    /// # Errors
    /// When a Secret's folder is given and holds no readable credential.
    pub fn find(secret_dir: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let env = |name: &str| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let account = env("AZURE_STORAGE_ACCOUNT_NAME");
        if let Some(dir) = secret_dir {
            let account = read(&dir.join("accountName"))?.or(account);
            if let Some(key) = read(&dir.join("accountKey"))? {
                return Ok(Self { account, method: Method::AccountKey(key) });
            }
            if let Some(token) = read(&dir.join("sasToken"))? {
                return Ok(Self { account, method: Method::SasToken(token) });
            }
            return Err(StoreError::InvalidCredential {
                url: dir.display().to_string(),
                why: "the Secret has neither accountKey nor sasToken; add one of the two".to_owned(),
            });
        }
        let method = if let Some(key) = env("AZURE_STORAGE_ACCOUNT_KEY") {
            Method::AccountKey(key)
        } else if let Some(token) = env("AZURE_STORAGE_SAS_TOKEN") {
            Method::SasToken(token)
        } else if let (Some(client_id), Some(tenant_id), Some(token_file)) =
            (env("AZURE_CLIENT_ID"), env("AZURE_TENANT_ID"), env("AZURE_FEDERATED_TOKEN_FILE"))
        {
            Method::WorkloadIdentity { client_id, tenant_id, token_file, authority_host: env("AZURE_AUTHORITY_HOST") }
        } else {
            Method::None
        };
        Ok(Self { account, method })
    }
}

/// A file's text without surrounding space; none where it is absent or empty.
fn read(path: &PathBuf) -> Result<Option<String>, StoreError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|t| !t.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::InvalidCredential {
            url: path.display().to_string(),
            why: format!("cannot be read: {error}"),
        }),
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match &self.method {
            Method::None => "none",
            Method::AccountKey(_) => "account key, redacted",
            Method::SasToken(_) => "SAS token, redacted",
            Method::WorkloadIdentity { .. } => "workload identity",
        };
        write!(f, "Credentials({method})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn a_mounted_secret_comes_before_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sasToken"), "?sv=1&sig=abc\n").unwrap();
        let found = Credentials::find(Some(dir.path()), &env(&[("AZURE_STORAGE_ACCOUNT_KEY", "x")])).unwrap();
        assert!(matches!(found.method, Method::SasToken(t) if t == "?sv=1&sig=abc"));
    }

    #[test]
    fn an_empty_secret_is_an_error_that_names_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let error = Credentials::find(Some(dir.path()), &env(&[])).unwrap_err();
        assert!(error.to_string().contains("accountKey"), "{error}");
    }

    #[test]
    fn workload_identity_is_taken_from_the_environment_when_there_is_nothing_else() {
        let vars = &[
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "acct"),
        ];
        let found = Credentials::find(None, &env(vars)).unwrap();
        assert!(matches!(found.method, Method::WorkloadIdentity { .. }));
        assert_eq!(found.account.as_deref(), Some("acct"));
    }

    #[test]
    fn debug_output_never_shows_a_credential() {
        for credentials in [Credentials::account_key("SECRET"), Credentials::sas_token("sig=SECRET")] {
            assert!(!format!("{credentials:?}").contains("SECRET"));
        }
    }
}
