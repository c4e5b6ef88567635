//! The credential in a mounted Secret, as it is now: kubelet writes a changed Secret into the pods that run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::azure::{AzureAccessKey, AzureCredential, split_sas};
use tokio::time::Instant;

use super::aws::{self, AwsMethod};
use super::{Method, in_secret};

/// How long what was read is good for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Gives what the folder holds; what cannot be read, or can be no credential, leaves the one before.
pub(crate) struct MountedSecret<C> {
    dir: PathBuf,
    read: fn(&Path) -> Option<C>,
    state: Mutex<(Instant, Arc<C>)>,
}

impl<C: PartialEq> MountedSecret<C> {
    /// `None` where the folder holds no such credential now.
    pub(crate) fn new(dir: PathBuf, read: fn(&Path) -> Option<C>) -> Option<Self> {
        let first = Arc::new(read(&dir)?);
        Some(Self { dir, read, state: Mutex::new((Instant::now(), first)) })
    }

    pub(crate) fn now(&self) -> Arc<C> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.elapsed() >= LOOK_AGAIN {
            state.0 = Instant::now();
            if let Some(new) = (self.read)(&self.dir).filter(|new| *new != *state.1) {
                tracing::info!("the store's Secret was changed: its new credential is used from now on");
                state.1 = Arc::new(new);
            }
        }
        Arc::clone(&state.1)
    }
}

/// The account key or SAS token in a mounted Secret.
pub(crate) fn azure(dir: &Path) -> Option<AzureCredential> {
    match in_secret(dir).ok()?? {
        Method::AccountKey(key) => AzureAccessKey::try_new(&key).ok().map(AzureCredential::AccessKey),
        Method::SasToken(token) => split_sas(&token).ok().map(AzureCredential::SASToken),
        _ => None,
    }
}

/// The access key in a mounted Secret.
pub(crate) fn s3(dir: &Path) -> Option<AwsCredential> {
    match aws::mounted(dir).ok()? {
        AwsMethod::Keys(key) => Some(key.credential()),
        _ => None,
    }
}

#[async_trait]
impl<C: PartialEq + fmt::Debug + Send + Sync + 'static> CredentialProvider for MountedSecret<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        Ok(self.now())
    }
}

impl<C> fmt::Debug for MountedSecret<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MountedSecret({}, redacted)", self.dir.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sas(signature: &str) -> AzureCredential {
        AzureCredential::SASToken(vec![("sig".to_owned(), signature.to_owned())])
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_secret_is_used_soon_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("sasToken", "?sig=one");
        let secret = MountedSecret::new(dir.path().to_owned(), azure).unwrap();
        assert_eq!(*secret.get_credential().await.unwrap(), sas("one"));
        write("sasToken", "?sig=two\n");
        assert_eq!(*secret.get_credential().await.unwrap(), sas("one"), "it was read just now");
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(*secret.get_credential().await.unwrap(), sas("two"));
        for broken in ["", "no pairs"] {
            write("sasToken", broken);
            tokio::time::advance(LOOK_AGAIN).await;
            assert_eq!(*secret.get_credential().await.unwrap(), sas("two"), "{broken:?}");
        }
        write("accountKey", "a2V5");
        tokio::time::advance(LOOK_AGAIN).await;
        assert!(matches!(*secret.get_credential().await.unwrap(), AzureCredential::AccessKey(_)));
    }

    #[test]
    fn debug_output_shows_no_credential() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sasToken"), "sig=SECRET").unwrap();
        let secret = MountedSecret::new(dir.path().to_owned(), azure).unwrap();
        assert!(!format!("{secret:?}").contains("SECRET"));
    }
}
