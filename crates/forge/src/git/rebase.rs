//! Moving our commits onto a newer base.

use std::path::Path;

use super::{
    GitError,
    history::records,
    process::{Call, Git},
};
use crate::ids::CommitSha;

/// Who the moved commits name as committer; their authors stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// Commits to be moved.
#[derive(Clone, Copy, Debug)]
pub struct Rebase<'a> {
    /// The commit they were made on.
    pub from: &'a CommitSha,
    /// The last of them.
    pub head: &'a CommitSha,
    /// The commit they go onto.
    pub onto: &'a CommitSha,
    /// Who moves them.
    pub committer: &'a Identity,
}

/// How a rebase ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebased {
    /// All were moved; this is the new head.
    Head(CommitSha),
    /// These files conflict; nothing was changed.
    Conflict(Vec<String>),
}

impl Git {
    /// Moves commits, in a temporary work tree. The same input gives the same head, so that a second try changes nothing.
    pub async fn rebase_onto(&self, dir: &Path, rebase: Rebase<'_>) -> Result<Rebased, GitError> {
        // Remains of a call that did not come to its end.
        self.call(dir, "worktree").arg("prune").run().await?;
        let place = tempfile::Builder::new().prefix("rebase-").tempdir();
        let place = place.map_err(|source| GitError::Io { path: std::env::temp_dir(), source })?;
        let tree = place.path().join("tree");
        self.call(dir, "worktree")
            .args(["add", "--quiet", "--detach"])
            .arg(&tree)
            .arg(rebase.head.as_str())
            .run()
            .await?;
        let result = self.rebase_in(&tree, rebase).await;
        let removed = self.call(dir, "worktree").args(["remove", "--force"]).arg(&tree).run().await;
        let result = result?;
        removed.map(|_| result)
    }

    async fn rebase_in(&self, tree: &Path, rebase: Rebase<'_>) -> Result<Rebased, GitError> {
        let call = self
            .call(tree, "rebase")
            // The date of the committer would make every try another commit.
            .args(["--quiet", "--committer-date-is-author-date", "--no-autostash", "--onto"])
            .args([rebase.onto.as_str(), rebase.from.as_str()]);
        let output = with_committer(call, rebase.committer).run_any().await?;
        if output.exit == Some(0) {
            return self.rev_parse(tree, "HEAD").await.map(Rebased::Head);
        }
        let unmerged = self.call(tree, "diff").args(["--name-only", "--diff-filter=U", "-z"]).run().await?;
        let files: Vec<String> = records(&unmerged).collect();
        if files.is_empty() { Err(output.into_error("rebase")) } else { Ok(Rebased::Conflict(files)) }
    }
}

fn with_committer<'a>(call: Call<'a>, committer: &Identity) -> Call<'a> {
    call.env("GIT_COMMITTER_NAME", &committer.name)
        .env("GIT_COMMITTER_EMAIL", &committer.email)
        .env("GIT_EDITOR", "true")
        .env("GIT_SEQUENCE_EDITOR", "true")
}
