//! The repository before and after the agent's turn.
//!
//! The result is put together in a repository of our own, which has the agent's files as its work tree and the agent's
//! objects at hand, but neither its configuration nor its hooks. It is taken *before* the checks run, so that nothing
//! they produce gets into a commit. What set-up has left behind by then is no change of the agent's either: only what
//! differs from it is.

use std::{ffi::OsStr, path::Path};

use domain::job::JobSpec;

use crate::{
    environment::Folders,
    git::{Git, GitError},
};

/// The branch in the workspace bundle.
const BASE_REF: &str = "refs/heads/base";
/// The branch in the result bundle.
const RESULT_REF: &str = "refs/heads/result";
/// The branch in a bundle of the work so far.
const KEPT_REF: &str = "refs/heads/kept";
/// The branch that the agent finds itself on.
const WORK_BRANCH: &str = "work";

/// What the agent changed.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Head of the result bundle.
    pub(crate) head: String,
    /// Files that differ from the base.
    pub(crate) files: u32,
}

/// The files as the agent finds them: those of the base, and what set-up made of them.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    /// Their tree, in the repository [`Folders::before`].
    pub(crate) tree: String,
}

/// Unpacks the workspace bundle into the work tree, on a local branch without a remote.
pub(crate) async fn unpack(folders: &Folders, base: &str) -> Result<(), GitError> {
    let git = || Git::in_tree(folders);
    git().run(&["init", "--quiet", "--template=", "--initial-branch", WORK_BRANCH]).await?;
    let bundle = folders.workspace_bundle.as_os_str();
    git().run(&[OsStr::new("fetch"), OsStr::new("--quiet"), bundle, OsStr::new(BASE_REF)]).await?;
    let found = git().run(&["rev-parse", "FETCH_HEAD"]).await?;
    if found != base {
        return Err(GitError::OtherBase { found, expected: base.to_owned() });
    }
    git().run(&["reset", "--quiet", "--hard", base]).await?;
    Ok(())
}

/// Looks at the files before the agent begins.
pub(crate) async fn before(folders: &Folders, base: &str) -> Result<Before, GitError> {
    let git = || Git::over_tree(folders, &folders.before);
    init(folders, &folders.before).await?;
    git().run(&["read-tree", base]).await?;
    git().run(&["add", "--all"]).await?;
    Ok(Before { tree: git().run(&["write-tree"]).await? })
}

/// Commits what the agent left uncommitted and packs everything above the base. None if the agent changed no file.
pub(crate) async fn collect(folders: &Folders, spec: &JobSpec, before: &Before) -> Result<Option<Changes>, GitError> {
    let repository = folders.repository.as_path();
    let git = || Git::over_tree(folders, repository);
    let base = spec.base_sha.as_str();
    init(folders, repository).await?;
    have_base(folders, repository, base).await?;
    let parent = parent(folders, repository, base).await?;
    git().run(&["read-tree", &parent]).await?;
    git().run(&["add", "--all"]).await?;
    let now = git().run(&["write-tree"]).await?;
    let base_tree = tree_of(folders, repository, base).await?;
    let tree = transplant(folders, repository, Moved { from: &before.tree, to: &now, onto: &base_tree }).await?;
    if tree == base_tree {
        return Ok(None);
    }
    let head = if tree == tree_of(folders, repository, &parent).await? {
        parent
    } else {
        let trailer = format!("Codex-Run: {}", spec.run);
        let subject = spec.commit_subject.lines().next().unwrap_or_default();
        git().run(&["commit-tree", &tree, "-p", &parent, "-m", subject, "-m", &trailer]).await?
    };
    bundle(folders, repository, Packed { name: RESULT_REF, head: &head, base, file: &folders.result_bundle }).await?;
    let names = git().run(&["diff-tree", "-r", "-z", "--no-renames", "--name-only", base, &head]).await?;
    let files = u32::try_from(names.matches('\0').count()).unwrap_or(u32::MAX);
    Ok(Some(Changes { head, files }))
}

/// The work as it is: the agent's newest commit, and the files above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    parent: String,
    tree: String,
}

/// Looks at the work while the agent goes on, in the repository that knows what was there before.
pub(crate) async fn snapshot(folders: &Folders, base: &str, before: &Before) -> Result<Snapshot, GitError> {
    let repository = folders.before.as_path();
    let git = || Git::over_tree(folders, repository);
    // Left by a call that was broken off; nobody else works in here.
    let _ = tokio::fs::remove_file(repository.join("index.lock")).await;
    have_base(folders, repository, base).await?;
    let parent = parent(folders, repository, base).await?;
    // With what the index knows about the files: only those that changed are read.
    git().run(&["read-tree", "--reset", &parent]).await?;
    // A file that goes away meanwhile is no reason to lose all others.
    git().succeeds(&["add", "--all", "--ignore-errors"]).await?;
    let now = git().run(&["write-tree"]).await?;
    let base_tree = tree_of(folders, repository, base).await?;
    let tree = transplant(folders, repository, Moved { from: &before.tree, to: &now, onto: &base_tree }).await?;
    Ok(Snapshot { parent, tree })
}

/// Packs the work, uncommitted files as a commit above the agent's own.
pub(crate) async fn pack(folders: &Folders, base: &str, snapshot: &Snapshot) -> Result<(), GitError> {
    let repository = folders.before.as_path();
    let commit = ["commit-tree", &snapshot.tree, "-p", &snapshot.parent, "-m", "The work so far"];
    let head = Git::over_tree(folders, repository).run(&commit).await?;
    bundle(folders, repository, Packed { name: KEPT_REF, head: &head, base, file: &folders.checkpoint_bundle }).await
}

/// Kept work that was taken in.
#[derive(Clone, Debug)]
pub(crate) struct KeptWork {
    snapshot: Snapshot,
    base_tree: String,
}

/// Takes kept work into the agent's repository, which it has not seen yet. None if it does not build on the base.
pub(crate) async fn take_in(folders: &Folders, base: &str) -> Result<Option<KeptWork>, GitError> {
    let git = || Git::in_tree(folders);
    let bundle = folders.checkpoint_bundle.as_os_str();
    git().run(&[OsStr::new("fetch"), OsStr::new("--quiet"), bundle, OsStr::new(KEPT_REF)]).await?;
    let parent = git().run(&["rev-parse", "--verify", "FETCH_HEAD^1"]).await?;
    let tree = git().run(&["rev-parse", "--verify", "FETCH_HEAD^{tree}"]).await?;
    let base_tree = git().run(&["rev-parse", "--verify", &format!("{base}^{{tree}}")]).await?;
    let builds_on_it = git().succeeds(&["merge-base", "--is-ancestor", base, &parent]).await?;
    Ok(builds_on_it.then_some(KeptWork { snapshot: Snapshot { parent, tree }, base_tree }))
}

/// Puts kept work into the work tree, over what set-up left there; says how many files differ from the base.
pub(crate) async fn restore(folders: &Folders, before: &Before, kept: &KeptWork) -> Result<usize, GitError> {
    let repository = folders.before.as_path();
    let git = || Git::over_tree(folders, repository);
    let KeptWork { snapshot: Snapshot { parent, tree }, base_tree } = kept;
    let names = git().run(&["diff-tree", "-r", "-z", "--no-renames", "--name-only", base_tree, tree]).await?;
    let wanted = transplant(folders, repository, Moved { from: base_tree, to: tree, onto: &before.tree }).await?;
    git().run(&["read-tree", "--reset", "-u", &wanted]).await?;
    Git::in_tree(folders).run(&["update-ref", &format!("refs/heads/{WORK_BRANCH}"), parent]).await?;
    Git::in_tree(folders).run(&["reset", "--quiet"]).await?;
    Ok(names.matches('\0').count())
}

/// A repository of our own, without files.
async fn init(folders: &Folders, repository: &Path) -> Result<(), GitError> {
    let init = ["init", "--quiet", "--template=", "--bare"].map(OsStr::new);
    Git::in_tree(folders).run(&[&init[..], &[repository.as_os_str()]].concat()).await?;
    Ok(())
}

/// Should the agent have thrown its repository away: the bundle still has the base.
async fn have_base(folders: &Folders, repository: &Path, base: &str) -> Result<(), GitError> {
    let git = || Git::over_tree(folders, repository);
    if !git().succeeds(&["cat-file", "-e", &format!("{base}^{{tree}}")]).await? {
        let bundle = folders.workspace_bundle.as_os_str();
        git().run(&[OsStr::new("fetch"), OsStr::new("--quiet"), bundle, OsStr::new(BASE_REF)]).await?;
    }
    Ok(())
}

/// The agent's own head if it builds on the base, else the base: rewritten history is not carried on, only the files are.
async fn parent(folders: &Folders, repository: &Path, base: &str) -> Result<String, GitError> {
    let git = || Git::over_tree(folders, repository);
    match Git::in_tree(folders).run(&["rev-parse", "--quiet", "--verify", "HEAD"]).await {
        Ok(head) if git().succeeds(&["merge-base", "--is-ancestor", base, &head]).await? => Ok(head),
        Ok(_) | Err(GitError::Failed { .. }) => Ok(base.to_owned()),
        Err(error) => Err(error),
    }
}

async fn tree_of(folders: &Folders, repository: &Path, commit: &str) -> Result<String, GitError> {
    Git::over_tree(folders, repository).run(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await
}

/// What changed between two trees, and the tree to which the same is to be done.
#[derive(Clone, Copy)]
struct Moved<'a> {
    from: &'a str,
    to: &'a str,
    onto: &'a str,
}

/// Does to a tree what was done between two others, by whole files; gives the new tree.
async fn transplant(folders: &Folders, repository: &Path, moved: Moved<'_>) -> Result<String, GitError> {
    let Moved { from, to, onto } = moved;
    if from == onto {
        return Ok(to.to_owned());
    }
    // The repository's own index knows the work tree; it stays.
    let index = repository.join("transplant-index");
    let git = || Git::over_tree(folders, repository).index(&index);
    let diff = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none", from, to];
    let entries = index_entries(&git().feed(&diff, b"").await?);
    git().run(&["read-tree", onto]).await?;
    git().feed(&["update-index", "-z", "--replace", "--index-info"], &entries).await?;
    git().run(&["write-tree"]).await
}

/// From git's list of differences (`:<mode> <mode> <object> <object> <status>`, NUL, path, NUL) to its form of index entries
/// (`<mode> <object>`, tab, path, NUL). What is gone comes first, so that a folder can take the place of a file.
fn index_entries(diff: &[u8]) -> Vec<u8> {
    let mut fields = diff.split(|&byte| byte == 0);
    let (mut gone, mut there) = (Vec::new(), Vec::new());
    while let (Some(meta), Some(path)) = (fields.next(), fields.next()) {
        let words: Vec<&[u8]> = meta.split(|&byte| byte == b' ').collect();
        let [_, mode, _, object, _] = words[..] else { continue };
        let (list, mode) = if mode == b"000000" { (&mut gone, &b"0"[..]) } else { (&mut there, mode) };
        list.extend_from_slice(&[mode, b" ", object, b"\t", path, b"\0"].concat());
    }
    gone.append(&mut there);
    gone
}

/// A commit to be packed.
#[derive(Clone, Copy)]
struct Packed<'a> {
    name: &'a str,
    head: &'a str,
    base: &'a str,
    file: &'a Path,
}

/// Packs everything above the base.
async fn bundle(folders: &Folders, repository: &Path, packed: Packed<'_>) -> Result<(), GitError> {
    let git = || Git::over_tree(folders, repository);
    git().run(&["update-ref", packed.name, packed.head]).await?;
    let not_base = format!("^{}", packed.base);
    let create = ["bundle", "create", "--quiet"].map(OsStr::new);
    let what = [packed.file.as_os_str(), OsStr::new(packed.name), OsStr::new(&not_base)];
    git().run(&[&create[..], &what].concat()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_become_index_entries() {
        let (old, new, none) = ("a".repeat(40), "b".repeat(40), "0".repeat(40));
        let diff = format!(
            ":000000 100755 {none} {new} A\0dir/new file\0:100644 000000 {old} {none} D\0dir\0:100644 120000 {old} {new} T\0x\0"
        );
        let entries = String::from_utf8(index_entries(diff.as_bytes())).unwrap();
        assert_eq!(entries, format!("0 {none}\tdir\0100755 {new}\tdir/new file\0120000 {new}\tx\0"));
        assert!(index_entries(b"").is_empty());
    }
}
