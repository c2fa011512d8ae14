//! Gaps: webhooks that the forge sent and that could not be stored.
//!
//! The forge does not send them again by itself, but keeps them in the hook's log. Here it is only noted which hook's log
//! is to be looked at; a reconciler does so. While the database is away, the notes wait in memory. A gateway that dies with
//! them has not lost anything: one that starts takes it that every hook has missed something.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use store::{Store, hook_logs};
use tokio::sync::Notify;

/// How often it is tried again to store notes.
const RETRY: Duration = Duration::from_secs(1);

/// Different hooks that are noted at most; beyond, all are. Anybody can send the id of a hook that there is not.
const MOST_NOTED: usize = 1_000;

#[derive(Debug)]
enum Noted {
    All,
    Hooks(BTreeSet<i64>),
}

/// Notes that are still to be stored.
#[derive(Debug)]
pub struct Gaps {
    noted: Mutex<Noted>,
    news: Notify,
}

impl Default for Gaps {
    fn default() -> Self {
        let news = Notify::new();
        news.notify_one();
        Self { noted: Mutex::new(Noted::All), news }
    }
}

impl Gaps {
    /// Notes that something of a hook is missing unless [`Gap::close`] is called.
    pub(crate) fn open(&self, headers: &HeaderMap) -> Gap<'_> {
        let hook = headers.get("x-github-hook-id").and_then(|id| id.to_str().ok()?.parse().ok());
        Gap { gaps: self, hook: hook.filter(|id| *id > 0) }
    }

    fn note(&self, more: Noted) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *noted, more) {
            (Noted::All, _) => {}
            (Noted::Hooks(there), Noted::Hooks(mut more)) if there.len() + more.len() <= MOST_NOTED => {
                there.append(&mut more);
            }
            (there, _) => *there = Noted::All,
        }
        drop(noted);
        self.news.notify_one();
    }

    fn take(&self) -> Noted {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *noted, Noted::Hooks(BTreeSet::new()))
    }

    /// Stores notes as they come, until dropped.
    pub async fn keep(&self, store: &Store, clock: &dispatch::Clock) {
        loop {
            self.news.notified().await;
            let noted = self.take();
            if let Err(error) = write(store, &noted, clock()).await {
                tracing::debug!(%error, "gaps can't be noted yet");
                self.note(noted);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn write(store: &Store, noted: &Noted, now: chrono::DateTime<chrono::Utc>) -> store::Result<()> {
    let mut conn = store.acquire().await?;
    match noted {
        Noted::All => hook_logs::want_all_looks(&mut conn, now).await?,
        Noted::Hooks(hooks) => {
            for hook in hooks {
                hook_logs::want_look(&mut conn, *hook, now).await?;
            }
        }
    }
    Ok(())
}

/// A webhook that is not stored yet. Dropping it, also because the sender hung up, leaves a note.
#[derive(Debug)]
pub(crate) struct Gap<'a> {
    gaps: &'a Gaps,
    hook: Option<i64>,
}

impl Gap<'_> {
    /// It is stored, or was refused for what it is.
    pub(crate) fn close(mut self) {
        self.hook = None;
    }
}

impl Drop for Gap<'_> {
    fn drop(&mut self) {
        if let Some(hook) = self.hook {
            self.gaps.note(Noted::Hooks(BTreeSet::from([hook])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hook: &str) -> HeaderMap {
        [("x-github-hook-id".parse::<http::HeaderName>().unwrap(), hook.parse().unwrap())].into_iter().collect()
    }

    fn noted(gaps: &Gaps) -> Option<Vec<i64>> {
        match gaps.take() {
            Noted::All => None,
            Noted::Hooks(hooks) => Some(hooks.into_iter().collect()),
        }
    }

    #[test]
    fn what_is_not_closed_is_noted() {
        let gaps = Gaps::default();
        assert_eq!(noted(&gaps), None, "whoever starts has missed something");
        drop(gaps.open(&headers("7")));
        gaps.open(&headers("8")).close();
        drop((gaps.open(&headers("no number")), gaps.open(&headers("-3")), gaps.open(&HeaderMap::new())));
        assert_eq!(noted(&gaps), Some(vec![7]));
        assert_eq!(noted(&gaps), Some(vec![]));
    }

    #[test]
    fn ids_that_anybody_made_up_do_not_fill_the_memory() {
        let gaps = Gaps::default();
        gaps.take();
        for hook in 1..=MOST_NOTED + 1 {
            drop(gaps.open(&headers(&hook.to_string())));
        }
        assert_eq!(noted(&gaps), None);
    }
}
