//! Big bytes: bundles, logs and histories, in an object store.

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RepositoryId, RunId};
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem,
    path::Path as ObjectPath,
};
use uuid::Uuid;

use crate::{Result, StoreError};

/// What set-ups leave behind lies under this.
const SETUP_CACHES: &str = "setup-caches";

/// What belongs to attempts lies under this.
const RUNS: &str = "runs";

/// Packed workspaces lie under this.
const WORKSPACES: &str = "workspaces";

/// Names a blob. Every attempt has its own, so that none is ever overwritten by another's; what set-up leaves behind belongs
/// to a repository, and a packed workspace to a commit of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    /// What the runner of an attempt is told: JSON.
    #[must_use]
    pub fn job(run: RunId, attempt: Attempt) -> Self {
        Self::of_attempt(run, attempt, "job.json")
    }

    /// The workspace of all attempts that begin at this commit, packed: a git bundle.
    #[must_use]
    pub fn workspace(repository: RepositoryId, commit: &str) -> Self {
        Self(format!("{WORKSPACES}/{repository}/{commit}.bundle"))
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

    /// What an attempt changed: a diff.
    #[must_use]
    pub fn diff(run: RunId, attempt: Attempt) -> Self {
        Self::of_attempt(run, attempt, "change.diff")
    }

    /// The output of an attempt: one chunk of JSON a line.
    #[must_use]
    pub fn log(run: RunId, attempt: Attempt) -> Self {
        Self::of_attempt(run, attempt, "log.jsonl")
    }

    /// A part of a kept state of an attempt's work.
    #[must_use]
    pub fn checkpoint(run: RunId, attempt: Attempt, id: Uuid, name: &str) -> Self {
        Self::of_attempt(run, attempt, &format!("checkpoints/{}/{name}", id.simple()))
    }

    /// A part of an upload that an attempt has not finished.
    #[must_use]
    pub fn upload_part(run: RunId, attempt: Attempt, id: Uuid) -> Self {
        Self::of_attempt(run, attempt, &format!("uploads/{}", id.simple()))
    }

    /// What agent and model said to each other in one call of an attempt: JSON.
    #[must_use]
    pub fn model_call(run: RunId, attempt: Attempt, call: Uuid) -> Self {
        Self::of_attempt(run, attempt, &format!("model/{}.json", call.simple()))
    }

    /// What set-up left behind in a repository, under a key that is made of what it depends on: a compressed archive.
    #[must_use]
    pub fn setup_cache(repository: RepositoryId, key: &str) -> Self {
        Self(format!("{SETUP_CACHES}/{repository}/{key}.tar.gz"))
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
        Self(format!("{RUNS}/{run}/{attempt}/{name}"))
    }

    /// The run that it belongs to, if it is one of those that a row names as long as they are wanted. What an attempt was told
    /// and its history are found by their names alone.
    #[must_use]
    pub fn run_that_names_it(&self) -> Option<RunId> {
        let (run, rest) = self.0.strip_prefix(RUNS)?.strip_prefix('/')?.split_once('/')?;
        let (_, name) = rest.split_once('/')?;
        // Each attempt had a workspace of its own once.
        let named = matches!(name, "workspace.bundle" | "result.bundle" | "log.jsonl")
            || ["checkpoints/", "uploads/", "model/"].iter().any(|folder| name.starts_with(folder));
        named.then(|| run.parse().ok())?
    }

    /// Whether it is a workspace that attempts of several runs may name.
    #[must_use]
    pub fn is_workspace(&self) -> bool {
        self.0.strip_prefix(WORKSPACES).is_some_and(|rest| rest.starts_with('/'))
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

    /// Stores a blob piece by piece, whole or not at all: if a piece fails, or there are more than `most` bytes, what was
    /// there before stays.
    ///
    /// # Errors
    /// A piece fails, there are too many bytes, or the store fails.
    pub async fn put_stream<E: Send>(
        &self,
        key: &BlobKey,
        pieces: impl Stream<Item = Result<Bytes, E>> + Send,
        most: u64,
    ) -> Result<(), PutError<E>> {
        let written = |source| PutError::Store(failed(key, "written", source));
        let mut upload = self.store.put_multipart(&key.path()).await.map_err(written)?;
        match feed(upload.as_mut(), pieces, most, written).await {
            Ok(()) => upload.complete().await.map(|_| ()).map_err(written),
            Err(error) => {
                // What was written lies aside under a name of its own; if it can't be removed, that harms nobody.
                let _ = upload.abort().await;
                Err(error)
            }
        }
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

    /// Removes a blob; fine if there is none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn delete(&self, key: &BlobKey) -> Result<()> {
        match self.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(key, "removed", source)),
        }
    }

    /// Removes every blob of an attempt's kept states, also those that no row names; says how many.
    ///
    /// # Errors
    /// The store fails; what is removed by then is.
    pub async fn delete_checkpoints(&self, run: RunId, attempt: Attempt) -> Result<u64> {
        let all = BlobKey::of_attempt(run, attempt, "checkpoints");
        self.delete_listed(&all, |_| true).await
    }

    /// Removes what set-ups left behind before `cutoff`; says how many.
    ///
    /// # Errors
    /// The store fails; what is removed by then is.
    pub async fn delete_setup_caches(&self, cutoff: DateTime<Utc>) -> Result<u64> {
        let all = BlobKey(SETUP_CACHES.to_owned());
        self.delete_listed(&all, |found| found.last_modified < cutoff).await
    }

    /// The blobs of attempts that were written before `cutoff`, in no order.
    pub fn of_attempts_before(&self, cutoff: DateTime<Utc>) -> impl Stream<Item = Result<BlobKey>> + Send + 'static {
        self.listed_before(RUNS, cutoff)
    }

    /// The packed workspaces that were written before `cutoff`, in no order.
    pub fn workspaces_before(&self, cutoff: DateTime<Utc>) -> impl Stream<Item = Result<BlobKey>> + Send + 'static {
        self.listed_before(WORKSPACES, cutoff)
    }

    fn listed_before(
        &self,
        under: &str,
        cutoff: DateTime<Utc>,
    ) -> impl Stream<Item = Result<BlobKey>> + Send + 'static {
        let all = BlobKey(under.to_owned());
        let listed = self.store.list(Some(&all.path()));
        listed.map_err(move |source| failed(&all, "listed", source)).try_filter_map(move |found| {
            let old = (found.last_modified < cutoff).then(|| BlobKey(found.location.to_string()));
            std::future::ready(Ok(old))
        })
    }

    async fn delete_listed(&self, under: &BlobKey, which: impl Fn(&ObjectMeta) -> bool) -> Result<u64> {
        let mut found = self.store.list(Some(&under.path()));
        let mut deleted = 0;
        while let Some(found) = found.try_next().await.map_err(|source| failed(under, "listed", source))? {
            if which(&found) {
                self.delete(&BlobKey(found.location.to_string())).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// The store fails.
    pub async fn exists(&self, key: &BlobKey) -> Result<bool> {
        Ok(self.written_at(key).await?.is_some())
    }

    /// When a blob was last written; none if there is none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn written_at(&self, key: &BlobKey) -> Result<Option<DateTime<Utc>>> {
        match self.store.head(&key.path()).await {
            Ok(found) => Ok(Some(found.last_modified)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(key, "looked up", source)),
        }
    }
}

/// Why a stream could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E> {
    /// A piece failed at its source.
    #[error("the bytes broke off")]
    Source(E),
    /// There are more bytes than allowed.
    #[error("there are more than {0} bytes")]
    TooLarge(u64),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

/// Pieces are gathered to this size: stores at scale take no smaller ones.
const PART_BYTES: usize = 5 * 1024 * 1024;

async fn feed<E: Send>(
    upload: &mut dyn MultipartUpload,
    pieces: impl Stream<Item = Result<Bytes, E>> + Send,
    most: u64,
    written: impl Fn(object_store::Error) -> PutError<E> + Send,
) -> Result<(), PutError<E>> {
    let mut pieces = std::pin::pin!(pieces);
    let (mut total, mut part) = (0_u64, Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(PutError::Source)?;
        total += piece.len() as u64;
        if total > most {
            return Err(PutError::TooLarge(most));
        }
        part.extend_from_slice(&piece);
        if part.len() >= PART_BYTES {
            upload.put_part(std::mem::take(&mut part).into()).await.map_err(&written)?;
        }
    }
    upload.put_part(part.into()).await.map_err(written)
}

fn failed(key: &BlobKey, action: &'static str, source: object_store::Error) -> StoreError {
    match source {
        object_store::Error::NotFound { .. } => StoreError::missing("blob", key),
        source => StoreError::Blob { key: key.to_string(), action, source },
    }
}
