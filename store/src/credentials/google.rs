//! How Google Cloud Storage is asked.

use std::path::Path;

use super::read;
use crate::StoreError;

const KEY: &str = "GOOGLE_SERVICE_ACCOUNT_KEY";

#[derive(Clone, Default)]
pub(crate) enum Google {
    /// What the metadata server of the pod or machine says, or `gcloud` has left in the home.
    #[default]
    Default,
    /// A service account's key, as JSON.
    Key(String),
    /// A file of application default credentials.
    File(String),
}

impl Google {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Default)
    }

    pub(super) fn in_environment(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let file = || env("GOOGLE_APPLICATION_CREDENTIALS").map(Self::File);
        env(KEY).map(Self::Key).or_else(file).unwrap_or_default()
    }

    pub(super) fn in_secret(dir: &Path) -> Result<Self, StoreError> {
        Ok(mounted(dir)?.map_or(Self::Default, Self::Key))
    }
}

/// The service account's key in a mounted Secret.
pub(crate) fn mounted(dir: &Path) -> Result<Option<String>, StoreError> {
    read(&dir.join(KEY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_before_a_file_of_credentials_and_both_before_the_metadata_server() {
        let of = |names: &'static [&'static str]| {
            Google::in_environment(&move |name| names.contains(&name).then(|| "x".to_owned()))
        };
        assert!(matches!(of(&[KEY, "GOOGLE_APPLICATION_CREDENTIALS"]), Google::Key(_)));
        assert!(matches!(of(&["GOOGLE_APPLICATION_CREDENTIALS"]), Google::File(_)));
        assert!(matches!(of(&[]), Google::Default));
    }

    #[test]
    fn a_secret_holds_the_key_itself() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Google::in_secret(dir.path()).unwrap().is_none());
        std::fs::write(dir.path().join(KEY), "{}").unwrap();
        assert!(matches!(Google::in_secret(dir.path()).unwrap(), Google::Key(key) if key == "{}"));
    }
}
