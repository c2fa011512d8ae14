//! Packed workspaces: one for all attempts that begin at the same commit of a repository. Packing a large one takes minutes, and many
//! runs may begin at the same commit.
//!
//! A bundle is kept as long as an attempt names it. Between finding one and naming it retention must not take it away: so one is found
//! only while it is young, and retention leaves the young alone, named or not.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::RepositoryId;
use forge::{CommitSha, git::Git};
use store::blobs::{BlobKey, Blobs, PutError};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::{failure::StepError, reconcile::UNNAMED_FOR};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// One older than this is packed anew: half of the time that retention leaves it alone.
fn found_for() -> TimeDelta {
    UNNAMED_FOR / 2
}

/// Packs workspaces.
pub struct Workspaces {
    blobs: Blobs,
    scratch: PathBuf,
    packing: Mutex<HashMap<BlobKey, Weak<tokio::sync::Mutex<()>>>>,
}

impl Workspaces {
    /// Bundles go into the blob store; on their way there they are in `scratch`.
    #[must_use]
    pub fn new(blobs: Blobs, scratch: PathBuf) -> Self {
        Self { blobs, scratch, packing: Mutex::default() }
    }

    /// The bundle of a commit's history, as `mirror` has it: one that is there, or a new one. Who asks while somebody packs it waits for
    /// that one, which goes on though the one who asked for it no longer waits.
    ///
    /// # Errors
    /// Those of git, of the folder and of the blob store.
    pub async fn packed(
        &self,
        git: &Git,
        mirror: &Path,
        (repository, commit): (RepositoryId, &CommitSha),
        now: DateTime<Utc>,
    ) -> Result<BlobKey, StepError> {
        let key = BlobKey::workspace(repository, commit.as_str());
        let turn = self.turn(&key).lock_owned().await;
        let written = self.blobs.written_at(&key).await?;
        if written.is_none_or(|written| now - written > found_for()) {
            let packing = Packing {
                blobs: self.blobs.clone(),
                scratch: self.scratch.clone(),
                git: git.clone(),
                mirror: mirror.to_owned(),
                commit: commit.clone(),
                key: key.clone(),
            };
            let packed = tokio::spawn(async move {
                let _turn = turn;
                packing.pack().await
            });
            packed.await.map_err(std::io::Error::from)??;
        }
        Ok(key)
    }

    fn turn(&self, key: &BlobKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = packing.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        packing.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        packing.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// What is needed to pack one.
struct Packing {
    blobs: Blobs,
    scratch: PathBuf,
    git: Git,
    mirror: PathBuf,
    commit: CommitSha,
    key: BlobKey,
}

impl Packing {
    async fn pack(&self) -> Result<(), StepError> {
        std::fs::create_dir_all(&self.scratch)?;
        let folder = tempfile::Builder::new().prefix("workspace-").tempdir_in(&self.scratch)?;
        let bundle = folder.path().join("workspace.bundle");
        self.git.bundle_create(&self.mirror, &bundle, &self.commit).await?;
        let bytes = ReaderStream::with_capacity(File::open(&bundle).await?, READ_BYTES);
        self.blobs.put_stream(&self.key, bytes, u64::MAX).await.map_err(|error| match error {
            PutError::Source(error) => error.into(),
            PutError::Store(error) => error.into(),
            PutError::TooLarge(most) => StepError::fatal("workspace_too_large", format!("more than {most} bytes")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A repository with one commit, and a place for bundles.
    struct Scene {
        folder: tempfile::TempDir,
        workspaces: Workspaces,
        repository: RepositoryId,
        commit: CommitSha,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let git = |arguments: &[&str]| {
                let mut command = Command::new("git");
                command.current_dir(folder.path()).args(arguments).envs(forge::git::hardened_env());
                let output = command.output().unwrap();
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            };
            git(&["init", "--quiet", "mirror"]);
            let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
            git(&[&["-C", "mirror"], &author[..], &["commit", "--quiet", "--allow-empty", "-m", "x"]].concat());
            let commit = git(&["-C", "mirror", "rev-parse", "HEAD"]).parse().unwrap();
            let blobs = Blobs::local(&folder.path().join("blobs")).unwrap();
            let workspaces = Workspaces::new(blobs, folder.path().join("scratch"));
            Self { workspaces, repository: RepositoryId::from_uuid(uuid::Uuid::now_v7()), commit, folder }
        }

        async fn packed(&self, mirror: &str, now: DateTime<Utc>) -> Result<BlobKey, StepError> {
            let mirror = self.folder.path().join(mirror).join(".git");
            self.workspaces.packed(&Git::default(), &mirror, (self.repository, &self.commit), now).await
        }
    }

    #[tokio::test]
    async fn what_is_packed_is_found_until_retention_could_take_it() {
        let (scene, now) = (Scene::new(), Utc::now());
        let key = scene.packed("mirror", now).await.unwrap();
        assert!(scene.workspaces.blobs.get(&key).await.unwrap().starts_with(b"# v2 git bundle"));
        // Nothing can be packed out of a mirror that is not there.
        assert_eq!(scene.packed("none", now + TimeDelta::hours(11)).await.unwrap(), key);
        assert!(scene.packed("none", now + TimeDelta::hours(13)).await.is_err());
        assert_eq!(scene.packed("mirror", now + TimeDelta::hours(13)).await.unwrap(), key);
        assert_eq!(std::fs::read_dir(scene.folder.path().join("scratch")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn those_who_ask_at_once_get_the_same_and_who_fails_leaves_nothing() {
        let (scene, now) = (Scene::new(), Utc::now());
        assert!(scene.packed("none", now).await.is_err());
        // Only the first has a mirror: whoever packs for itself fails.
        let mirrors = std::iter::once("mirror").chain(std::iter::repeat_n("none", 7));
        let asked = futures::future::join_all(mirrors.map(|mirror| scene.packed(mirror, now))).await;
        let keys: Vec<BlobKey> = asked.into_iter().map(Result::unwrap).collect();
        assert!(keys.iter().all(|key| *key == BlobKey::workspace(scene.repository, scene.commit.as_str())));
        drop(scene.workspaces.turn(&BlobKey::stored("another")));
        assert_eq!(scene.workspaces.packing.lock().unwrap().len(), 1, "only what is packed now is remembered");
    }
}
