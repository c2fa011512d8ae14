//! What changed between two commits, file by file and line by line.

use super::{Git, GitError};
use crate::github::state::ChangeSize;

/// The change of one file.
#[derive(Clone, Debug)]
pub(crate) struct FileDiff {
    pub(crate) path: String,
    pub(crate) previous: Option<String>,
    /// GitHub's word: `added`, `removed`, `modified`, `renamed`, `copied`, `changed`.
    pub(crate) status: &'static str,
    pub(crate) sha: String,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
    /// The hunks as text; none for binary files.
    pub(crate) patch: Option<String>,
}

/// A run of lines of a patch, with the line numbers that may be commented on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    /// Side, line number, text, and place in the patch, from 1 below its first hunk header.
    pub(crate) lines: Vec<PatchLine>,
    pub(crate) header: String,
}

/// One line of a hunk with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatchLine {
    pub(crate) left: Option<u64>,
    pub(crate) right: Option<u64>,
    pub(crate) text: String,
    pub(crate) position: u64,
}

impl Git {
    /// The change from the common ancestor of both to `head`, as text.
    pub(crate) async fn diff_text(&self, repo: u64, from: &str, to: &str) -> Result<Vec<u8>, GitError> {
        self.run(repo, &["diff", "--no-color", "--no-ext-diff", "-M", from, to, "--"]).await
    }

    /// The files that differ between two commits.
    pub(crate) async fn diff_files(&self, repo: u64, from: &str, to: &str) -> Result<Vec<FileDiff>, GitError> {
        let raw =
            self.run(repo, &["diff", "--raw", "-z", "-M", "--abbrev=40", "--no-ext-diff", from, to, "--"]).await?;
        let mut files = parse_raw(&raw).ok_or(GitError::Output("diff --raw"))?;
        let text = self.diff_text(repo, from, to).await?;
        let text = String::from_utf8_lossy(&text);
        // Both lists come in the same order.
        for (file, section) in files.iter_mut().zip(sections(&text)) {
            let Some(start) = section.find("\n@@ ") else { continue };
            let patch = section[start + 1..].trim_end_matches('\n').to_owned();
            for line in patch.lines() {
                match line.as_bytes().first() {
                    Some(b'+') => file.additions += 1,
                    Some(b'-') => file.deletions += 1,
                    _ => {}
                }
            }
            file.patch = Some(patch);
        }
        Ok(files)
    }

    /// How large the change from `base` to `head` is.
    pub(crate) async fn change_size(&self, repo: u64, base: &str, head: &str) -> Result<ChangeSize, GitError> {
        let start = self.merge_base(repo, base, head).await?;
        let files = self.diff_files(repo, &start, head).await?;
        let commits = self.comparison(repo, base, head).await?.ahead;
        Ok(ChangeSize {
            commits,
            additions: files.iter().map(|file| file.additions).sum(),
            deletions: files.iter().map(|file| file.deletions).sum(),
            changed_files: files.len() as u64,
        })
    }
}

/// Splits a diff into the parts of its files.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find("\ndiff --git ").map_or(rest.len(), |at| at + 1);
        let (section, tail) = rest.split_at(end);
        rest = tail;
        Some(section)
    })
}

fn parse_raw(raw: &[u8]) -> Option<Vec<FileDiff>> {
    let text = String::from_utf8_lossy(raw);
    let mut fields = text.split_terminator('\0');
    let mut files = Vec::new();
    while let Some(meta) = fields.next() {
        let mut words = meta.trim_start_matches(':').split(' ');
        let (_, _, before, after, letter) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
        let first = fields.next()?.to_owned();
        let (status, previous) = match letter.as_bytes().first()? {
            b'A' => ("added", None),
            b'D' => ("removed", None),
            b'R' => ("renamed", Some(first.clone())),
            b'C' => ("copied", Some(first.clone())),
            b'T' => ("changed", None),
            _ => ("modified", None),
        };
        let path = if previous.is_some() { fields.next()?.to_owned() } else { first };
        let sha = if status == "removed" { before } else { after }.to_owned();
        files.push(FileDiff { path, previous, status, sha, additions: 0, deletions: 0, patch: None });
    }
    Some(files)
}

impl Hunk {
    /// Reads the hunks of a patch.
    pub(crate) fn parse(patch: &str) -> Vec<Self> {
        let mut hunks: Vec<Self> = Vec::new();
        let (mut left, mut right) = (0, 0);
        for (position, line) in (0_u64..).zip(patch.lines()) {
            if let Some(starts) = starts(line) {
                (left, right) = starts;
                hunks.push(Self { lines: Vec::new(), header: line.to_owned() });
                continue;
            }
            let Some(hunk) = hunks.last_mut() else { continue };
            let numbers = match line.as_bytes().first() {
                Some(b'+') => (None, Some(right)),
                Some(b'-') => (Some(left), None),
                Some(b'\\') => (None, None),
                _ => (Some(left), Some(right)),
            };
            left += u64::from(numbers.0.is_some());
            right += u64::from(numbers.1.is_some());
            hunk.lines.push(PatchLine { left: numbers.0, right: numbers.1, text: line.to_owned(), position });
        }
        hunks
    }

    /// Finds a line by side and number.
    pub(crate) fn find(&self, side: &str, line: u64) -> Option<usize> {
        self.lines.iter().position(|known| {
            let number = if side == "LEFT" { known.left } else { known.right };
            number == Some(line)
        })
    }
}

/// The first line numbers of `@@ -a,b +c,d @@`.
fn starts(line: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix("@@ ")?.split(' ');
    let number = |word: &str| word.get(1..)?.split(',').next()?.parse().ok();
    Some((number(words.next()?)?, number(words.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_hunk_carry_the_numbers_that_a_comment_may_name() {
        let hunks = Hunk::parse("@@ -1,3 +1,3 @@ fn\n same\n-old\n+new\n tail\n@@ -10 +10,2 @@\n ten\n+eleven");
        assert_eq!(hunks.len(), 2);
        assert_eq!(hunks[0].find("RIGHT", 2), Some(2));
        assert_eq!(hunks[0].find("LEFT", 2), Some(1));
        assert_eq!(hunks[0].find("RIGHT", 4), None);
        assert_eq!(hunks[1].find("RIGHT", 11).map(|at| hunks[1].lines[at].position), Some(7));
        assert_eq!(hunks[1].find("LEFT", 11), None);
    }
}
