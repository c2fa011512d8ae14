//! A repository and what lies directly in it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Comment, Hook, Issue, Review, ReviewComment, Role};

/// A label of a repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Label {
    /// Numeric id.
    pub id: u64,
    /// Name; compared without regard to case.
    pub name: String,
    /// Six hex digits.
    pub color: String,
    /// What it means.
    pub description: Option<String>,
}

/// One commit status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Numeric id; the newest per context counts.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    /// Where to read more.
    pub target_url: Option<String>,
    /// A short sentence.
    pub description: Option<String>,
    /// Which status it is.
    pub context: String,
    /// Who wrote it.
    pub creator: u64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// A check run that has ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CheckRun {
    /// Numeric id; given by the stand-in.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// Which check it is.
    pub name: String,
    /// `success`, `failure`, `neutral`, `cancelled`, `skipped`, `timed_out` or `action_required`.
    pub conclusion: String,
    /// What it says in a line.
    pub title: Option<String>,
    /// What it says at length.
    pub summary: Option<String>,
    /// What it says about lines: path, line, message.
    pub annotations: Vec<(String, u64, String)>,
    /// What a workflow's job wrote; none if it is no such job.
    pub log: Option<String>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}

/// A repository; its git data lies beside the model under the same id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: u64,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) private: bool,
    pub(crate) archived: bool,
    pub(crate) default_branch: String,
    pub(crate) fork_of: Option<u64>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) pushed_at: DateTime<Utc>,
    pub(crate) collaborators: BTreeMap<u64, Role>,
    pub(crate) labels: Vec<Label>,
    pub(crate) last_number: u64,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) reviews: BTreeMap<u64, Review>,
    pub(crate) review_comments: BTreeMap<u64, ReviewComment>,
    pub(crate) statuses: Vec<Status>,
    #[serde(default)]
    pub(crate) check_runs: Vec<CheckRun>,
    pub(crate) hooks: BTreeMap<u64, Hook>,
}

impl Repo {
    /// The label of that name.
    pub(crate) fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name))
    }

    /// The label of that id.
    pub(crate) fn label_by_id(&self, id: u64) -> Option<&Label> {
        self.labels.iter().find(|label| label.id == id)
    }

    /// The comments of one issue or pull request, oldest first.
    pub(crate) fn comments_of(&self, number: u64) -> impl Iterator<Item = &Comment> {
        self.comments.values().filter(move |comment| comment.number == number)
    }
}
