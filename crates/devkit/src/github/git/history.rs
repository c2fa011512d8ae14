//! Commits, trees and files as they were.

use chrono::{DateTime, Utc};

use super::{Git, GitError, Signature};

/// One commit as git has it.
#[derive(Clone, Debug)]
pub(crate) struct GitCommit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: Signature,
    pub(crate) committer: Signature,
    pub(crate) message: String,
}

/// How two commits lie to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    pub(crate) ahead: u64,
    pub(crate) behind: u64,
}

impl Comparison {
    /// GitHub's word for it.
    pub(crate) fn status(self) -> &'static str {
        match (self.ahead, self.behind) {
            (0, 0) => "identical",
            (_, 0) => "ahead",
            (0, _) => "behind",
            _ => "diverged",
        }
    }
}

/// One entry of a folder.
#[derive(Clone, Debug)]
pub(crate) struct TreeEntry {
    pub(crate) mode: String,
    pub(crate) kind: String,
    pub(crate) sha: String,
    pub(crate) size: u64,
    pub(crate) path: String,
}

const FORMAT: &str = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00%x1e";

impl Git {
    /// One commit.
    pub(crate) async fn commit_of(&self, repo: u64, sha: &str) -> Result<GitCommit, GitError> {
        let text = self.text(repo, &["log", "--max-count=1", "--no-show-signature", FORMAT, sha, "--"]).await?;
        parse(&text)?.pop().ok_or_else(|| GitError::NoSuchObject(sha.to_owned()))
    }

    /// The commits of `range`, newest first, `max` at most.
    pub(crate) async fn log(&self, repo: u64, range: &[&str], max: usize) -> Result<Vec<GitCommit>, GitError> {
        let max = format!("--max-count={max}");
        let mut args = vec!["log", max.as_str(), "--no-show-signature", FORMAT];
        args.extend_from_slice(range);
        args.push("--");
        parse(&self.text(repo, &args).await?)
    }

    /// How far `head` is ahead of and behind `base`.
    pub(crate) async fn comparison(&self, repo: u64, base: &str, head: &str) -> Result<Comparison, GitError> {
        let range = format!("{base}...{head}");
        let text = self.text(repo, &["rev-list", "--left-right", "--count", &range, "--"]).await?;
        let mut counts = text.split_whitespace().map(str::parse);
        match (counts.next(), counts.next()) {
            (Some(Ok(behind)), Some(Ok(ahead))) => Ok(Comparison { ahead, behind }),
            _ => Err(GitError::Output("rev-list")),
        }
    }

    /// The best common ancestor.
    pub(crate) async fn merge_base(&self, repo: u64, one: &str, other: &str) -> Result<String, GitError> {
        self.text(repo, &["merge-base", one, other])
            .await
            .map_err(|_| GitError::NoSuchObject(format!("{one}...{other}")))
    }

    /// The entries below a path of a commit: one for a file, all for a folder.
    pub(crate) async fn tree(&self, repo: u64, commit: &str, path: &str) -> Result<Vec<TreeEntry>, GitError> {
        let path = path.trim_matches('/');
        let missing = || GitError::NoSuchObject(path.to_owned());
        if path.split('/').any(|part| part == "..") {
            return Err(missing());
        }
        let own = if path.is_empty() { Vec::new() } else { self.ls_tree(repo, commit, path).await? };
        match own.first() {
            Some(entry) if entry.kind != "tree" => Ok(own),
            None if !path.is_empty() => Err(missing()),
            _ if path.is_empty() => self.ls_tree(repo, commit, "").await,
            _ => self.ls_tree(repo, commit, &format!("{path}/")).await,
        }
    }

    async fn ls_tree(&self, repo: u64, commit: &str, path: &str) -> Result<Vec<TreeEntry>, GitError> {
        let mut args = vec!["--literal-pathspecs", "ls-tree", "-z", "--long", commit, "--"];
        if !path.is_empty() {
            args.push(path);
        }
        let output = self.run(repo, &args).await?;
        String::from_utf8_lossy(&output)
            .split_terminator('\0')
            .map(|line| {
                let (fields, path) = line.split_once('\t')?;
                let mut fields = fields.split_whitespace();
                Some(TreeEntry {
                    mode: fields.next()?.to_owned(),
                    kind: fields.next()?.to_owned(),
                    sha: fields.next()?.to_owned(),
                    // A folder has "-" here.
                    size: fields.next()?.parse().unwrap_or(0),
                    path: path.to_owned(),
                })
            })
            .collect::<Option<_>>()
            .ok_or(GitError::Output("ls-tree"))
    }

    /// The bytes of a file.
    pub(crate) async fn blob(&self, repo: u64, sha: &str) -> Result<Vec<u8>, GitError> {
        self.run(repo, &["cat-file", "blob", sha]).await
    }
}

fn parse(text: &str) -> Result<Vec<GitCommit>, GitError> {
    text.split('\u{1e}')
        .map(|record| record.trim_start_matches('\n'))
        .filter(|record| !record.is_empty())
        .map(|record| parse_one(record).ok_or(GitError::Output("log")))
        .collect()
}

fn parse_one(record: &str) -> Option<GitCommit> {
    let mut fields = record.split('\0');
    let sha = fields.next()?.to_owned();
    let tree = fields.next()?.to_owned();
    let parents = fields.next()?.split_whitespace().map(str::to_owned).collect();
    let mut signature = || {
        Some(Signature {
            name: fields.next()?.to_owned(),
            email: fields.next()?.to_owned(),
            at: DateTime::parse_from_rfc3339(fields.next()?).ok()?.with_timezone(&Utc),
        })
    };
    let author = signature()?;
    let committer = signature()?;
    let message = fields.next()?.trim_end_matches('\n').to_owned();
    Some(GitCommit { sha, tree, parents, author, committer, message })
}
