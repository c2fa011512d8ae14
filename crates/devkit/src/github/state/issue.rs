//! Issues, pull requests and what people say on them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An issue, or the issue side of a pull request: both share one row of numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issue {
    /// Numeric id.
    pub id: u64,
    /// The number people use.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Text, if there is one.
    pub body: Option<String>,
    /// Who opened it.
    pub author: u64,
    /// Open, or closed.
    pub open: bool,
    /// Why it is in this state.
    pub state_reason: Option<String>,
    /// Ids of its labels, in the order in which they were put on.
    pub labels: Vec<u64>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it last changed, in whole seconds as on GitHub.
    pub updated_at: DateTime<Utc>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// Who closed it.
    pub closed_by: Option<u64>,
    /// The pull request side.
    pub pull: Option<Pull>,
}

/// What a pull request has beyond an issue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pull {
    /// Numeric id, different from the issue's.
    pub id: u64,
    /// The repository the changes come from.
    pub head_repo: u64,
    /// The branch there.
    pub head_ref: String,
    /// Its commit.
    pub head_sha: String,
    /// The branch the changes go to.
    pub base_ref: String,
    /// Its commit.
    pub base_sha: String,
    /// Not yet asking for a review.
    pub draft: bool,
    /// May maintainers push to the head?
    pub maintainer_can_modify: bool,
    /// When it was merged.
    pub merged_at: Option<DateTime<Utc>>,
    /// Who merged it.
    pub merged_by: Option<u64>,
    /// The merge commit.
    pub merge_commit_sha: Option<String>,
    /// Size of the change, counted when head or base moved.
    pub size: ChangeSize,
}

/// How large a change is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSize {
    /// Commits that are on the head only.
    pub commits: u64,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Files touched.
    pub changed_files: u64,
}

/// A comment on an issue or on the conversation of a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comment {
    /// Numeric id.
    pub id: u64,
    /// The issue or pull request.
    pub number: u64,
    /// Who wrote it.
    pub author: u64,
    /// Text.
    pub body: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}

/// A review of a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Review {
    /// Numeric id.
    pub id: u64,
    /// The pull request.
    pub number: u64,
    /// Who reviewed.
    pub author: u64,
    /// Summary.
    pub body: String,
    /// `PENDING`, `COMMENTED`, `APPROVED`, `CHANGES_REQUESTED` or `DISMISSED`.
    pub state: String,
    /// The commit that was looked at.
    pub commit_id: String,
    /// When it was handed in; none while pending.
    pub submitted_at: Option<DateTime<Utc>>,
}

/// A comment on a line of a diff.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReviewComment {
    /// Numeric id.
    pub id: u64,
    /// The pull request.
    pub number: u64,
    /// The review it belongs to.
    pub review: u64,
    /// Who wrote it.
    pub author: u64,
    /// Text.
    pub body: String,
    /// File.
    pub path: String,
    /// Line, none for a comment on the file.
    pub line: Option<u64>,
    /// `LEFT` or `RIGHT`.
    pub side: String,
    /// First line of a range.
    pub start_line: Option<u64>,
    /// Side of the first line.
    pub start_side: Option<String>,
    /// `line` or `file`.
    pub subject_type: String,
    /// The commit it was written on.
    pub commit_id: String,
    /// The lines of the hunk up to the one commented on.
    pub diff_hunk: String,
    /// Place in the diff of the file, counted from its first hunk.
    pub position: Option<u64>,
    /// The comment it answers.
    pub in_reply_to: Option<u64>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}
