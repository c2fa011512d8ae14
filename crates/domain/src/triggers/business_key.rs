//! Business keys: what makes two deliveries the same wish, so that two hooks that send one event start one run.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    event::{Event, EventKind, PullRequestAction},
    ids::{Attempt, RunId},
};

/// Longest key kept in plain text: an index entry has a bound, and a label has none.
const MAX_PLAIN_BYTES: usize = 250;

/// The key of a wish. Unique over all runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BusinessKey(String);

impl BusinessKey {
    /// The key of an event that may start, retry or cancel something; none for other events.
    ///
    /// It holds the forge's repository id, known before our own is looked up; it survives renames as well.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let repository = event.repository.as_ref()?.forge_id;
        let sender = event.sender.as_ref().map_or(0, |sender| sender.id);
        match &event.kind {
            EventKind::IssueLabeled(on) => {
                Some(Self::label(repository, on.issue.number, &on.label, "labeled", on.issue.updated_at, sender))
            }
            EventKind::IssueUnlabeled(on) => {
                Some(Self::label(repository, on.issue.number, &on.label, "unlabeled", on.issue.updated_at, sender))
            }
            EventKind::PullRequest(on) => {
                let (action, label) = match &on.action {
                    PullRequestAction::Labeled(label) => ("labeled", label),
                    PullRequestAction::Unlabeled(label) => ("unlabeled", label),
                    _ => return None,
                };
                let pull_request = &on.pull_request;
                Some(Self::label(repository, pull_request.number, label, action, pull_request.updated_at, sender))
            }
            EventKind::CommentCreated(on) => Some(Self::new(format!("comment:{repository}:{}", on.comment.id))),
            EventKind::ReviewSubmitted(review) => Some(Self::new(format!("review:{repository}:{}", review.id))),
            // However many checks of a commit fail, it is mended once.
            EventKind::CheckEnded(check) => Some(Self::new(format!("checks:{repository}:{}", check.head_sha))),
            EventKind::Push(push) => Some(Self::new(format!("push:{repository}:{}:{}", push.git_ref, push.after))),
            EventKind::Scheduled(on) => {
                let at = on.issue.updated_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                Some(Self::new(format!("schedule:{repository}:{}:{at}", on.schedule)))
            }
            EventKind::ByHand(on) => Some(Self::by_hand(&on.key)),
            EventKind::IssueClosed(_)
            | EventKind::IssueOther(_)
            | EventKind::Repository(_)
            | EventKind::Ping
            | EventKind::Other { .. } => None,
        }
    }

    /// The key of a run that a person starts by hand.
    #[must_use]
    pub fn by_hand(idempotency_key: &str) -> Self {
        Self::new(format!("hand:{idempotency_key}"))
    }

    /// The key of an attempt that follows a lost one by itself: there is one, however often that is settled.
    #[must_use]
    pub fn after_lost(run: RunId, attempt: Attempt) -> Self {
        Self::new(format!("lost:{run}:{attempt}"))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn label(repository: i64, number: i64, label: &str, action: &str, at: DateTime<Utc>, sender: i64) -> Self {
        let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        // The label comes last: it alone may contain a colon.
        Self::new(format!("label:{repository}:{number}:{action}:{at}:{sender}:{label}"))
    }

    fn new(plain: String) -> Self {
        if plain.len() <= MAX_PLAIN_BYTES {
            return Self(plain);
        }
        let kind = plain.split(':').next().unwrap_or_default();
        Self(format!("{kind}:sha256:{}", hex::encode(Sha256::digest(&plain))))
    }
}

impl fmt::Display for BusinessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
