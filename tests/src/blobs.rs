//! The store as the tests see it, with a client of their own: what the product says of itself is not taken on trust.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path as BlobPath;
use object_store::{ObjectStore, ObjectStoreExt};

/// An account; the first segment of each path is the container.
#[derive(Clone)]
pub struct Blobs {
    account: String,
    key: String,
    url: String,
}

impl Blobs {
    /// Of an Azurite at `url`, such as `http://10.244.0.1:10000/devstoreaccount1`.
    #[must_use]
    pub fn new(url: &str, account: &str, key: &str) -> Self {
        Self { account: account.into(), key: key.into(), url: url.trim_end_matches('/').into() }
    }

    fn container(&self, name: &str) -> Result<Arc<dyn ObjectStore>> {
        let store = MicrosoftAzureBuilder::new()
            .with_account(&self.account)
            .with_access_key(&self.key)
            .with_endpoint(self.url.clone())
            .with_allow_http(true)
            .with_container_name(name)
            .build();
        Ok(Arc::new(store.with_context(|| format!("open container {name} at {}", self.url))?))
    }

    /// Every path below a prefix that is a folder, with its bytes.
    pub async fn below(&self, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let (container, rest) = split(folder);
        let store = self.container(container)?;
        let prefix = (!rest.is_empty()).then(|| BlobPath::parse(rest)).transpose()?;
        let listed: Vec<_> =
            store.list(prefix.as_ref()).try_collect().await.with_context(|| format!("list {folder}"))?;
        let mut found = BTreeMap::new();
        for object in listed {
            let bytes = store.get(&object.location).await?.bytes().await?;
            found.insert(format!("{container}/{}", object.location), bytes.to_vec());
        }
        Ok(found)
    }

    /// Writes one.
    pub async fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let (container, rest) = split(path);
        let store = self.container(container)?;
        store.put(&BlobPath::parse(rest)?, bytes.into().into()).await.with_context(|| format!("write {path}"))?;
        Ok(())
    }

    /// Copies everything below `folder` into a folder of this machine, under the same paths.
    pub async fn copy_to(&self, folder: &str, target: &Path) -> Result<()> {
        for (path, bytes) in self.below(folder).await? {
            let file = target.join(&path);
            std::fs::create_dir_all(file.parent().context("a path in a container has a folder")?)?;
            std::fs::write(&file, bytes).with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }
}

fn split(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

/// Every file below a folder with its bytes, named from the folder on; the counterpart of [`Blobs::below`].
pub fn files_below(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| format!("list {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.display().to_string();
                found.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
