//! Refs: reading all, moving one, and telling what a push moved.

use std::collections::BTreeMap;

use super::{Git, GitError};

/// The object id that stands for "nothing".
pub(crate) const ZERO: &str = "0000000000000000000000000000000000000000";

/// One ref that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefMove {
    pub(crate) name: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl RefMove {
    pub(crate) fn created(&self) -> bool {
        self.before == ZERO
    }

    pub(crate) fn deleted(&self) -> bool {
        self.after == ZERO
    }
}

impl Git {
    /// All refs with the object each points at.
    pub(crate) async fn refs(&self, repo: u64) -> Result<BTreeMap<String, String>, GitError> {
        let text = self.text(repo, &["for-each-ref", "--format=%(objectname) %(refname)"]).await?;
        text.lines()
            .map(|line| {
                line.split_once(' ')
                    .map(|(sha, name)| (name.to_owned(), sha.to_owned()))
                    .ok_or(GitError::Output("for-each-ref"))
            })
            .collect()
    }

    /// The refs that differ between two readings.
    pub(crate) fn moves(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<RefMove> {
        let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let at =
            |refs: &BTreeMap<String, String>, name: &String| refs.get(name).cloned().unwrap_or_else(|| ZERO.to_owned());
        names
            .into_iter()
            .filter(|name| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
            .map(|name| RefMove { name: name.clone(), before: at(before, name), after: at(after, name) })
            .filter(|moved| moved.before != moved.after)
            .collect()
    }

    /// The object a full ref name points at.
    pub(crate) async fn ref_sha(&self, repo: u64, name: &str) -> Result<Option<String>, GitError> {
        Ok(self.refs(repo).await?.remove(name))
    }

    /// Moves a ref if it still points at `before` (`ZERO`: does not exist).
    pub(crate) async fn move_ref(&self, repo: u64, moved: &RefMove) -> Result<(), GitError> {
        let RefMove { name, before, after } = moved;
        let args: [&str; 4] =
            if moved.deleted() { ["update-ref", "-d", name, before] } else { ["update-ref", name, after, before] };
        self.run(repo, &args).await.map(drop)
    }

    /// Would this name be a legal ref?
    pub(crate) async fn legal_ref(&self, repo: u64, name: &str) -> bool {
        self.run(repo, &["check-ref-format", name]).await.is_ok()
    }

    /// Is `ancestor` contained in `descendant`?
    pub(crate) async fn contains(&self, repo: u64, ancestor: &str, descendant: &str) -> bool {
        self.run(repo, &["merge-base", "--is-ancestor", ancestor, descendant]).await.is_ok()
    }

    /// The commit that a branch, a tag, a full ref or an id names.
    pub(crate) async fn resolve(&self, repo: u64, name: &str) -> Result<String, GitError> {
        let missing = || GitError::NoSuchObject(name.to_owned());
        if name.is_empty() || name.starts_with('-') {
            return Err(missing());
        }
        for candidate in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.to_owned()] {
            let peeled = format!("{candidate}^{{commit}}");
            if let Ok(sha) = self.text(repo, &["rev-parse", "--verify", "--quiet", &peeled]).await {
                return Ok(sha);
            }
        }
        Err(missing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_told_from_the_refs_before_and_after() {
        let refs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let moves = Git::moves(
            &refs(&[("refs/heads/a", "1"), ("refs/heads/b", "2"), ("refs/heads/c", "3"), ("refs/pull/1/head", "4")]),
            &refs(&[("refs/heads/a", "1"), ("refs/heads/b", "5"), ("refs/heads/d", "6"), ("refs/pull/1/head", "7")]),
        );
        let told: Vec<_> = moves.iter().map(|m| (m.name.as_str(), m.before.as_str(), m.after.as_str())).collect();
        assert_eq!(told, [("refs/heads/b", "2", "5"), ("refs/heads/c", "3", ZERO), ("refs/heads/d", ZERO, "6")]);
    }
}
