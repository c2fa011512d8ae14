//! Big bytes: bundles and histories, in an object store.

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use domain::ids::{Attempt, RunId};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path as ObjectPath};

use crate::{Result, StoreError};

/// Names a blob. Every attempt has its own, so that none is ever overwritten by another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    /// The packed workspace of an attempt: a git bundle.
    #[must_use]
    pub fn workspace(run: RunId, attempt: Attempt) -> Self {
        Self::of_attempt(run, attempt, "workspace.bundle")
    }

    /// The commits that an attempt handed back: a git bundle.
    #[must_use]
    pub fn result(run: RunId, attempt: Attempt) -> Self {
        Self::of_attempt(run, attempt, "result.bundle")
    }

    /// The engine's history of an attempt: JSON.
    #[must_use]
    pub fn history(run: RunId, attempt: Attempt) -> Self {
        Self::of_attempt(run, attempt, "history.json")
    }

    /// A key as it was stored in a row.
    #[must_use]
    pub fn stored(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The key as text, to be stored in a row.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_attempt(run: RunId, attempt: Attempt, name: &str) -> Self {
        Self(format!("runs/{run}/{attempt}/{name}"))
    }

    fn path(&self) -> ObjectPath {
        ObjectPath::from(self.0.as_str())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Access to the blobs. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Keeps blobs in a directory, which is made if it is missing. For one node only.
    ///
    /// # Errors
    /// The directory can't be made or used.
    pub fn local(dir: &Path) -> Result<Self> {
        let failed = |source| StoreError::Blob { key: dir.display().to_string(), action: "opened", source };
        std::fs::create_dir_all(dir).map_err(|error| {
            failed(object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) })
        })?;
        let store = LocalFileSystem::new_with_prefix(dir).map_err(failed)?;
        Ok(Self { store: Arc::new(store) })
    }

    /// Stores a blob whole: who reads meanwhile sees what was there before, or nothing. Once more replaces it.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<()> {
        let outcome = self.store.put(&key.path(), PutPayload::from_bytes(bytes)).await;
        outcome.map(|_| ()).map_err(|source| failed(key, "written", source))
    }

    /// Reads a blob whole.
    ///
    /// # Errors
    /// It is not there ([`StoreError::Missing`]), or the store fails.
    pub async fn get(&self, key: &BlobKey) -> Result<Bytes> {
        let found = self.store.get(&key.path()).await.map_err(|source| failed(key, "read", source))?;
        found.bytes().await.map_err(|source| failed(key, "read", source))
    }

    /// Reads a blob piece by piece.
    ///
    /// # Errors
    /// It is not there ([`StoreError::Missing`]), or the store fails; later pieces may fail on their own.
    pub async fn get_stream(&self, key: &BlobKey) -> Result<BoxStream<'static, Result<Bytes>>> {
        let found = self.store.get(&key.path()).await.map_err(|source| failed(key, "read", source))?;
        let key = key.clone();
        Ok(found.into_stream().map_err(move |source| failed(&key, "read", source)).boxed())
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// The store fails.
    pub async fn exists(&self, key: &BlobKey) -> Result<bool> {
        match self.store.head(&key.path()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(failed(key, "looked up", source)),
        }
    }
}

fn failed(key: &BlobKey, action: &'static str, source: object_store::Error) -> StoreError {
    match source {
        object_store::Error::NotFound { .. } => StoreError::missing("blob", key),
        source => StoreError::Blob { key: key.to_string(), action, source },
    }
}
