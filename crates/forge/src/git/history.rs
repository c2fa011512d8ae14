//! Reading commits, trees and differences.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::{GitError, GitErrorClass, process::Git};
use crate::{Diff, ids::CommitSha};

const MAX_FILE_BYTES: usize = 10 << 20;

/// What a tree entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
    /// Anything else, or nothing.
    Other,
}

/// One entry of a tree, folders left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub kind: EntryKind,
    /// From the root of the repository; what is not UTF-8 was replaced.
    pub path: String,
    /// Bytes; none for a submodule.
    pub size: Option<u64>,
}

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// Its content or mode changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another path now.
    Renamed {
        /// The path it had.
        from: String,
    },
    /// A file became a link, or the like.
    TypeChanged,
}

/// A file that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// What happened.
    pub change: Change,
    /// Its path now, or the last one if it is gone.
    pub path: String,
    /// What it is now.
    pub kind: EntryKind,
}

/// Lines added and deleted in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineCount {
    /// Its path now.
    pub path: String,
    /// Added lines; none for a binary file.
    pub added: Option<u64>,
    /// Deleted lines; none for a binary file.
    pub deleted: Option<u64>,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: CommitSha,
    /// Its parents; more than one for a merge.
    pub parents: Vec<CommitSha>,
    /// Who wrote it, as the commit says.
    pub author_name: String,
    /// Their address, as the commit says.
    pub author_email: String,
    /// When, as the commit says.
    pub authored_at: DateTime<Utc>,
    /// The whole message.
    pub message: String,
}

impl Git {
    /// The commit that a revision names; class `NotFound` if there is none.
    pub async fn rev_parse(&self, dir: &Path, revision: &str) -> Result<CommitSha, GitError> {
        let call =
            self.call(dir, "rev-parse").args(["--verify", "--end-of-options"]).arg(format!("{revision}^{{commit}}"));
        commit_sha("rev-parse", &call.run().await?)
    }

    /// Whether `ancestor` is `descendant` or comes before it.
    pub async fn is_ancestor(
        &self,
        dir: &Path,
        ancestor: &CommitSha,
        descendant: &CommitSha,
    ) -> Result<bool, GitError> {
        let call = self.call(dir, "merge-base").arg("--is-ancestor").args([ancestor.as_str(), descendant.as_str()]);
        let output = call.run_any().await?;
        match output.exit {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(output.into_error("merge-base")),
        }
    }

    /// The content of a file at a commit; none if there is no regular file of that path.
    pub async fn show_file(&self, dir: &Path, sha: &CommitSha, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let listing =
            self.call(dir, "ls-tree").args(["-z", "-l", "--full-tree", sha.as_str(), "--", path]).run().await?;
        let entry = records(&listing).next().map(|record| tree_entry(&record)).transpose()?;
        // A path with a slash at its end lists the folder's entries.
        let Some(entry) = entry.filter(|entry| entry.path == path) else { return Ok(None) };
        if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
            return Ok(None);
        }
        if entry.size > u64::try_from(MAX_FILE_BYTES).ok() {
            return Err(GitError::TooLarge { what: path.to_owned(), limit: MAX_FILE_BYTES });
        }
        self.call(dir, "cat-file").arg("blob").arg(format!("{sha}:{path}")).run().await.map(Some)
    }

    /// Every file of a commit.
    pub async fn ls_tree(&self, dir: &Path, sha: &CommitSha) -> Result<Vec<TreeEntry>, GitError> {
        let listing = self.call(dir, "ls-tree").args(["-r", "-z", "-l", "--full-tree", sha.as_str()]).run().await?;
        records(&listing).map(|record| tree_entry(&record)).collect()
    }

    /// The files that differ, renames found.
    pub async fn diff_names_status(
        &self,
        dir: &Path,
        base: &CommitSha,
        head: &CommitSha,
    ) -> Result<Vec<FileChange>, GitError> {
        let call = self.call(dir, "diff-tree").args(["-r", "-z", "-M", "--raw", base.as_str(), head.as_str()]);
        let listing = call.run().await?;
        let mut fields = records(&listing);
        let mut changes = Vec::new();
        while let Some(meta) = fields.next() {
            let wrong = || GitError::Output { operation: "diff-tree", detail: meta.clone() };
            let words: Vec<&str> = meta.trim_start_matches(':').split(' ').collect();
            let [_, mode, _, _, status] = words[..] else { return Err(wrong()) };
            let first = fields.next().ok_or_else(wrong)?;
            let (change, path) = match status.as_bytes().first() {
                Some(b'A') => (Change::Added, first),
                Some(b'D') => (Change::Deleted, first),
                Some(b'M') => (Change::Modified, first),
                Some(b'T') => (Change::TypeChanged, first),
                Some(b'R') => (Change::Renamed { from: first }, fields.next().ok_or_else(wrong)?),
                _ => return Err(wrong()),
            };
            changes.push(FileChange { change, path, kind: entry_kind(mode) });
        }
        Ok(changes)
    }

    /// Lines added and deleted, file by file.
    pub async fn diff_numstat(
        &self,
        dir: &Path,
        base: &CommitSha,
        head: &CommitSha,
    ) -> Result<Vec<LineCount>, GitError> {
        let call = self.call(dir, "diff-tree").args(["-r", "-z", "-M", "--numstat", base.as_str(), head.as_str()]);
        let listing = call.run().await?;
        let mut fields = records(&listing);
        let mut counts = Vec::new();
        while let Some(line) = fields.next() {
            let wrong = || GitError::Output { operation: "diff-tree", detail: line.clone() };
            let mut parts = line.splitn(3, '\t');
            let (added, deleted) = (parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?);
            let path = match parts.next() {
                // A rename: the old and the new path follow.
                Some("") => fields.nth(1).ok_or_else(wrong)?,
                Some(path) => path.to_owned(),
                None => return Err(wrong()),
            };
            counts.push(LineCount { path, added: added.parse().ok(), deleted: deleted.parse().ok() });
        }
        Ok(counts)
    }

    /// The difference as text, at most `max_bytes` of it.
    pub async fn diff_text(
        &self,
        dir: &Path,
        base: &CommitSha,
        head: &CommitSha,
        max_bytes: usize,
    ) -> Result<Diff, GitError> {
        let call = self.call(dir, "diff-tree").args(["-r", "-M", "-p", "--no-ext-diff", "--no-textconv", "--no-color"]);
        let output = call.args([base.as_str(), head.as_str()]).max_output(max_bytes).run_any().await?;
        if output.exit != Some(0) && !output.truncated {
            return Err(output.into_error("diff-tree"));
        }
        Ok(Diff { text: String::from_utf8_lossy(&output.stdout).into_owned(), truncated: output.truncated })
    }

    /// The commits of `head` that `base` lacks, newest first.
    pub async fn commit_list(&self, dir: &Path, base: &CommitSha, head: &CommitSha) -> Result<Vec<Commit>, GitError> {
        let format = "--format=%H%n%P%n%an%n%ae%n%aI%n%B";
        let listing = self
            .call(dir, "log")
            .args(["-z", "--no-show-signature", format])
            .arg(format!("{base}..{head}"))
            .run()
            .await?;
        records(&listing).map(|record| commit(&record)).collect()
    }
}

pub(super) fn commit_sha(operation: &'static str, output: &[u8]) -> Result<CommitSha, GitError> {
    let text = String::from_utf8_lossy(output);
    text.trim().parse().map_err(|_| GitError::Output { operation, detail: text.trim().to_owned() })
}

/// A failure of class `NotFound` that git itself did not have to find.
pub(super) fn not_found(operation: &str, what: String) -> GitError {
    GitError::Failed { operation: operation.to_owned(), exit: None, stderr: what, class: GitErrorClass::NotFound }
}

/// Fields that end with NUL.
pub(super) fn records(output: &[u8]) -> impl Iterator<Item = String> {
    output
        .split(|&byte| byte == 0)
        .filter(|record| !record.is_empty())
        .map(|record| String::from_utf8_lossy(record).into_owned())
}

fn entry_kind(mode: &str) -> EntryKind {
    match mode {
        "100644" | "100664" => EntryKind::File,
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Link,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::Other,
    }
}

/// `<mode> <type> <object> <size>\t<path>`
fn tree_entry(record: &str) -> Result<TreeEntry, GitError> {
    let wrong = || GitError::Output { operation: "ls-tree", detail: record.to_owned() };
    let (meta, path) = record.split_once('\t').ok_or_else(wrong)?;
    let words: Vec<&str> = meta.split_ascii_whitespace().collect();
    let [mode, _, _, size] = words[..] else { return Err(wrong()) };
    Ok(TreeEntry { kind: entry_kind(mode), path: path.to_owned(), size: size.parse().ok() })
}

fn commit(record: &str) -> Result<Commit, GitError> {
    let wrong = || GitError::Output { operation: "log", detail: record.chars().take(200).collect() };
    let parts: Vec<&str> = record.splitn(6, '\n').collect();
    let [sha, parents, author_name, author_email, authored_at, message] = parts[..] else { return Err(wrong()) };
    Ok(Commit {
        sha: sha.parse().map_err(|_| wrong())?,
        parents: parents.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?,
        author_name: author_name.to_owned(),
        author_email: author_email.to_owned(),
        authored_at: DateTime::parse_from_rfc3339(authored_at).map_err(|_| wrong())?.with_timezone(&Utc),
        message: message.trim_end().to_owned(),
    })
}
