//! Making commits without a work tree.

use chrono::{DateTime, Utc};

use super::{Git, GitError, finish};

/// Who made a commit, and when.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) at: DateTime<Utc>,
}

/// One file of a commit: its new content, or none to remove it.
#[derive(Clone, Debug)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) content: Option<Vec<u8>>,
}

/// A commit to make on top of `parent`.
#[derive(Clone, Debug)]
pub(crate) struct CommitFiles {
    pub(crate) parent: Option<String>,
    pub(crate) files: Vec<FileChange>,
    pub(crate) message: String,
    pub(crate) by: Signature,
}

impl Git {
    /// Writes the objects of a commit and gives back its id; no ref moves.
    pub(crate) async fn commit(&self, repo: u64, commit: &CommitFiles) -> Result<String, GitError> {
        let scratch = tempfile::tempdir_in(self.root()).map_err(GitError::Spawn)?;
        let index = scratch.path().join("index");
        let with_index = |args: &[&str]| {
            let mut command = self.command(repo);
            command.env("GIT_INDEX_FILE", &index).args(args);
            command
        };
        if let Some(parent) = &commit.parent {
            finish(with_index(&["read-tree", parent]), None, "read-tree").await?;
        }
        let mut lines = Vec::new();
        for file in &commit.files {
            let (mode, sha) = match &file.content {
                Some(content) => ("100644", self.store_blob(repo, content).await?),
                None => ("0", super::ZERO.to_owned()),
            };
            lines.extend_from_slice(format!("{mode} {sha}\t{}\0", file.path).as_bytes());
        }
        finish(with_index(&["update-index", "-z", "--index-info"]), Some(&lines), "update-index").await?;
        let tree = finish(with_index(&["write-tree"]), None, "write-tree").await?;
        let tree = String::from_utf8_lossy(&tree).trim().to_owned();
        let parents: Vec<&str> = commit.parent.iter().map(String::as_str).collect();
        self.commit_tree(repo, &tree, &parents, &commit.message, &commit.by).await
    }

    /// Writes a commit object over an existing tree.
    pub(crate) async fn commit_tree(
        &self,
        repo: u64,
        tree: &str,
        parents: &[&str],
        message: &str,
        by: &Signature,
    ) -> Result<String, GitError> {
        let date = format!("{} +0000", by.at.timestamp());
        let mut command = self.command(repo);
        command
            .env("GIT_AUTHOR_NAME", &by.name)
            .env("GIT_AUTHOR_EMAIL", &by.email)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", &by.name)
            .env("GIT_COMMITTER_EMAIL", &by.email)
            .env("GIT_COMMITTER_DATE", &date)
            .arg("commit-tree")
            .arg(tree);
        for parent in parents {
            command.args(["-p", parent]);
        }
        let sha = finish(command, Some(message.as_bytes()), "commit-tree").await?;
        Ok(String::from_utf8_lossy(&sha).trim().to_owned())
    }

    async fn store_blob(&self, repo: u64, content: &[u8]) -> Result<String, GitError> {
        let mut command = self.command(repo);
        command.args(["hash-object", "-w", "--stdin"]);
        let sha = finish(command, Some(content), "hash-object").await?;
        Ok(String::from_utf8_lossy(&sha).trim().to_owned())
    }

    /// The tree of merging `head` into `base`, or none when they conflict.
    pub(crate) async fn merge_tree(&self, repo: u64, base: &str, head: &str) -> Result<Option<String>, GitError> {
        match self.text(repo, &["merge-tree", "--write-tree", "--name-only", base, head]).await {
            Ok(text) => Ok(text.lines().next().map(str::to_owned)),
            // Conflicts are told on standard output, so a failure that says nothing is one.
            Err(GitError::Failed { message, .. }) if message.is_empty() => Ok(None),
            Err(other) => Err(other),
        }
    }
}
