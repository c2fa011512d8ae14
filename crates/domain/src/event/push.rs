//! Pushes.

use super::{Missing, json::Object};
use crate::sentences;

/// A branch or tag moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The full ref, for instance `refs/heads/main`.
    pub git_ref: String,
    /// Commit before.
    pub before: Option<String>,
    /// Commit after; all zeros if the ref was deleted.
    pub after: String,
    /// The ref is gone.
    pub deleted: bool,
    /// History was rewritten.
    pub forced: bool,
}

impl Push {
    /// Name of the branch; none for tags.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.git_ref.strip_prefix("refs/heads/")
    }
}

pub(super) fn read(root: &Object<'_>) -> Result<Push, Missing> {
    let after = root.name("after").ok_or(Missing(sentences::which_commit_pushed()))?;
    Ok(Push {
        git_ref: root.name("ref").ok_or(Missing(sentences::which_branch_pushed()))?,
        before: root.name("before"),
        deleted: root.flag("deleted").unwrap_or_else(|| after.bytes().all(|b| b == b'0')),
        forced: root.flag("forced").unwrap_or(false),
        after,
    })
}
