//! Mirrors of repositories, brought up to date for all who wait for one at once.
//!
//! Many runs of one repository may begin in the same moment: a label on fifty issues. Each needs the branches as they were when it asked, or
//! later; so a fetch that began after several had asked serves them all.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use domain::ids::RepositoryId;
use forge::git::{Git, GitError};
use tokio::{task::JoinError, time::Instant};

use crate::forge_access::ForgeRepo;

/// The mirrors of this worker. A cache: its folder may be emptied.
pub struct Mirrors {
    folder: PathBuf,
    fetched: Mutex<HashMap<RepositoryId, Arc<Fetched>>>,
}

impl Mirrors {
    /// Mirrors in a folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, fetched: Mutex::default() }
    }

    /// Where the mirror of a repository lies; by id, so that it survives renames.
    #[must_use]
    pub fn dir(&self, repository: RepositoryId) -> PathBuf {
        self.folder.join(format!("{repository}.git"))
    }

    /// The mirror with the branches as they are now, or were a moment later. Who no longer waits breaks nothing off: others may wait for
    /// the same, and what has come of a large repository is not fetched again.
    ///
    /// # Errors
    /// Those of git.
    pub async fn fetch(&self, git: &Git, repository: RepositoryId, forge: &ForgeRepo) -> Result<PathBuf, GitError> {
        let dir = self.dir(repository);
        let fetched =
            Arc::clone(self.fetched.lock().unwrap_or_else(PoisonError::into_inner).entry(repository).or_default());
        let (git, url, auth) = (git.clone(), forge.clone_url.clone(), forge.git.clone());
        let to = dir.clone();
        let fetch = fetched.since_now(move || async move { git.mirror_fetch(&to, &url, Some(&auth)).await });
        fetch.await.map_err(|source| GitError::Io { path: dir.clone(), source: source.into() })??;
        Ok(dir)
    }
}

/// When the last fetch that went well began. Who holds the lock fetches; the others wait in the order in which they asked.
#[derive(Default)]
struct Fetched(Arc<tokio::sync::Mutex<Option<Instant>>>);

impl Fetched {
    /// Fetches, unless somebody else's fetch begins after this call and goes well. What has begun goes on though nobody waits; who gives up
    /// before has none begun.
    async fn since_now<E, F>(&self, fetch: impl FnOnce() -> F + Send + 'static) -> Result<Result<(), E>, JoinError>
    where
        E: Send + 'static,
        F: Future<Output = Result<(), E>> + Send,
    {
        let asked = Instant::now();
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if last.is_some_and(|began| began > asked) {
            return Ok(Ok(()));
        }
        let fetching = tokio::spawn(async move {
            let began = Instant::now();
            fetch().await?;
            *last = Some(began);
            Ok(())
        });
        fetching.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::{sync::Semaphore, task::JoinSet};

    use super::*;

    /// Fetches that begin at once, and end when they are let.
    struct Remote {
        fetched: Fetched,
        begun: AtomicU32,
        ends: Semaphore,
    }

    impl Remote {
        fn new() -> Arc<Self> {
            Arc::new(Self { fetched: Fetched::default(), begun: AtomicU32::new(0), ends: Semaphore::new(0) })
        }

        async fn ask(self: Arc<Self>, goes_well: bool) -> Result<(), ()> {
            let remote = Arc::clone(&self);
            let fetch = move || async move {
                remote.begun.fetch_add(1, Ordering::Relaxed);
                remote.ends.acquire().await.map_err(|_| ())?.forget();
                if goes_well { Ok(()) } else { Err(()) }
            };
            self.fetched.since_now(fetch).await.unwrap()
        }

        /// Until everybody is where they wait, on the one thread of a test.
        async fn rest() {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn all_who_asked_before_a_fetch_began_are_served_by_it() {
        let (remote, mut all) = (Remote::new(), JoinSet::new());
        all.spawn(Arc::clone(&remote).ask(true));
        Remote::rest().await;
        // The first one's fetch has begun: it may have missed what these are to see.
        (0..20).for_each(|_| drop(all.spawn(Arc::clone(&remote).ask(true))));
        Remote::rest().await;
        remote.ends.add_permits(1);
        Remote::rest().await;
        // And the second one's.
        all.spawn(Arc::clone(&remote).ask(true));
        Remote::rest().await;
        remote.ends.add_permits(10);
        assert!(all.join_all().await.into_iter().all(|ended| ended.is_ok()));
        assert_eq!(remote.begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_fetch_goes_on_without_the_one_who_asked() {
        let remote = Remote::new();
        let asked = tokio::spawn(Arc::clone(&remote).ask(true));
        Remote::rest().await;
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        let mut other = Box::pin(Arc::clone(&remote).ask(true));
        assert!(futures::poll!(&mut other).is_pending());
        Remote::rest().await;
        let gives_up = tokio::spawn(Arc::clone(&remote).ask(true));
        Remote::rest().await;
        assert_eq!(remote.begun.load(Ordering::Relaxed), 1, "others wait for its end");
        gives_up.abort();
        remote.ends.add_permits(3);
        other.await.unwrap();
        Remote::rest().await;
        assert_eq!(remote.begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_fetch_that_fails_serves_nobody_else() {
        let (remote, mut all) = (Remote::new(), JoinSet::new());
        for goes_well in [false, false, true] {
            all.spawn(Arc::clone(&remote).ask(goes_well));
        }
        Remote::rest().await;
        remote.ends.add_permits(10);
        let ended = all.join_all().await;
        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        assert_eq!(remote.begun.load(Ordering::Relaxed), 3);
    }
}
