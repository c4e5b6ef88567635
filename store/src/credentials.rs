//! What a store is opened with. Never logged: `Debug` shows the kind only.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::StoreError;
use aws::Aws;
use google::Google;

/// The variable of the environment that names a file (PEM) of certificates to trust besides those of the system.
pub const CERTIFICATES: &str = "SCORING_CA_FILE";

/// How requests to the store are authorised.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The account of `az://` URLs.
    pub(crate) account: Option<String>,
    pub(crate) method: Method,
    pub(crate) aws: Aws,
    pub(crate) google: Google,
    /// The mounted Secret that it comes from, which may be changed meanwhile.
    pub(crate) secret_dir: Option<PathBuf>,
    /// Certificates to trust besides those of the system.
    pub(crate) certificates: Option<PathBuf>,
}

/// How requests to Azure are.
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
    ManagedIdentity {
        /// Absent: the one that the machine has.
        client_id: Option<String>,
        /// Absent: the metadata service of a machine in Azure.
        endpoint: Option<String>,
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
        Self { method: Method::AccountKey(key.into()), ..Self::default() }
    }

    /// A shared access signature, with or without its leading `?`.
    #[must_use]
    pub fn sas_token(token: impl Into<String>) -> Self {
        Self { method: Method::SasToken(token.into()), ..Self::default() }
    }

    /// Looks for what each kind of store takes: in a mounted Secret if one is given, else in the environment. Which of it is
    /// used, the store's URL says.
    ///
    /// - Blob Storage: `accountKey`, `sasToken`, `accountName` in a Secret; `AZURE_STORAGE_ACCOUNT_KEY`,
    ///   `AZURE_STORAGE_SAS_TOKEN`; workload identity (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`); a
    ///   managed identity, which has to be asked for (`AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential`, or
    ///   `IDENTITY_ENDPOINT`): elsewhere than in Azure nobody answers.
    /// - S3: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` in both; a role for the ServiceAccount
    ///   (`AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`), pod identity (`AWS_CONTAINER_CREDENTIALS_FULL_URI`,
    ///   `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`); the role of the machine, which has to be asked for
    ///   (`AWS_EC2_METADATA_DISABLED=false`). Besides, `AWS_REGION` and `AWS_ENDPOINT_URL`.
    /// - Google Cloud Storage: `GOOGLE_SERVICE_ACCOUNT_KEY` in both, the file `GOOGLE_APPLICATION_CREDENTIALS`, else the
    ///   identity that the metadata server gives.
    ///
    /// With each, the certificates in the file `SCORING_CA_FILE` are trusted besides those of the system.
    ///
    /// # Errors
    /// When a Secret's folder is given and holds no readable credential.
    pub fn find(secret_dir: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let env = |name: &str| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let account = env("AZURE_STORAGE_ACCOUNT_NAME");
        let certificates = env(CERTIFICATES).map(PathBuf::from);
        let Some(dir) = secret_dir else {
            let (aws, google) = (Aws::in_environment(&env), Google::in_environment(&env));
            let method = in_environment(&env);
            return Ok(Self { account, method, aws, google, secret_dir: None, certificates });
        };
        let found = Self {
            account: read(&dir.join("accountName"))?.or(account),
            method: in_secret(dir)?.unwrap_or_default(),
            aws: Aws::in_secret(dir, &env)?,
            google: Google::in_secret(dir)?,
            secret_dir: Some(dir.to_path_buf()),
            certificates,
        };
        if matches!(found.method, Method::None) && found.aws.is_none() && found.google.is_none() {
            return Err(StoreError::InvalidCredential {
                url: dir.display().to_string(),
                why: "the Secret has none of accountKey, sasToken, AWS_ACCESS_KEY_ID and GOOGLE_SERVICE_ACCOUNT_KEY; add what \
                      the store takes"
                    .to_owned(),
            });
        }
        Ok(found)
    }
}

/// How Azure is asked, as the environment says.
fn in_environment(env: &dyn Fn(&str) -> Option<String>) -> Method {
    let wanted = env("AZURE_TOKEN_CREDENTIALS").unwrap_or_default();
    let managed = wanted.eq_ignore_ascii_case("ManagedIdentityCredential");
    if let Some(key) = env("AZURE_STORAGE_ACCOUNT_KEY") {
        Method::AccountKey(key)
    } else if let Some(token) = env("AZURE_STORAGE_SAS_TOKEN") {
        Method::SasToken(token)
    } else if managed {
        Method::ManagedIdentity { client_id: env("AZURE_CLIENT_ID"), endpoint: env("IDENTITY_ENDPOINT") }
    } else if let (Some(client_id), Some(tenant_id), Some(token_file)) =
        (env("AZURE_CLIENT_ID"), env("AZURE_TENANT_ID"), env("AZURE_FEDERATED_TOKEN_FILE"))
    {
        Method::WorkloadIdentity { client_id, tenant_id, token_file, authority_host: env("AZURE_AUTHORITY_HOST") }
    } else if let Some(endpoint) = env("IDENTITY_ENDPOINT") {
        Method::ManagedIdentity { client_id: env("AZURE_CLIENT_ID"), endpoint: Some(endpoint) }
    } else {
        Method::None
    }
}

/// The credential for Azure in a mounted Secret.
fn in_secret(dir: &Path) -> Result<Option<Method>, StoreError> {
    if let Some(key) = read(&dir.join("accountKey"))? {
        return Ok(Some(Method::AccountKey(key)));
    }
    Ok(read(&dir.join("sasToken"))?.map(Method::SasToken))
}

/// A file's text without surrounding space; none where it is absent or empty.
fn read(path: &Path) -> Result<Option<String>, StoreError> {
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
            Method::None if !self.aws.is_none() => "for S3, redacted",
            Method::None if !self.google.is_none() => "for Google Cloud Storage, redacted",
            Method::None => "none",
            Method::AccountKey(_) => "account key, redacted",
            Method::SasToken(_) => "SAS token, redacted",
            Method::WorkloadIdentity { .. } => "workload identity",
            Method::ManagedIdentity { .. } => "managed identity",
        };
        write!(f, "Credentials({method})")
    }
}

pub(crate) mod aws;
pub(crate) mod google;
mod secret;

pub(crate) use secret::{MountedSecret, azure as azure_secret, s3 as s3_secret};

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
    fn a_managed_identity_is_used_only_where_it_is_asked_for() {
        let of = |vars| Credentials::find(None, &env(vars)).unwrap().method;
        assert!(matches!(of(&[("AZURE_CLIENT_ID", "c")]), Method::None), "a laptop must not wait for it");
        let asked: &[(&str, &str)] = &[("AZURE_TOKEN_CREDENTIALS", "managedidentitycredential")];
        assert!(matches!(of(asked), Method::ManagedIdentity { client_id: None, endpoint: None }));
        let both: &[(&str, &str)] = &[("IDENTITY_ENDPOINT", "http://x"), ("AZURE_CLIENT_ID", "c")];
        assert!(matches!(of(both), Method::ManagedIdentity { client_id: Some(_), endpoint: Some(_) }));
    }

    #[test]
    fn debug_output_never_shows_a_credential() {
        let aws: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "SECRET"), ("AWS_SECRET_ACCESS_KEY", "SECRET")];
        let google: &[(&str, &str)] = &[("GOOGLE_SERVICE_ACCOUNT_KEY", "SECRET")];
        let found = [aws, google].map(|vars| Credentials::find(None, &env(vars)).unwrap());
        for credentials in
            found.into_iter().chain([Credentials::account_key("SECRET"), Credentials::sas_token("sig=SECRET")])
        {
            assert!(!format!("{credentials:?}").contains("SECRET"));
        }
    }
}
