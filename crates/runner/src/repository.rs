//! The repository before and after the agent's turn.
//!
//! The result is put together in a repository of our own, which has the agent's files as its work tree and the agent's
//! objects at hand, but neither its configuration nor its hooks. It is taken *before* the checks run, so that nothing
//! they produce gets into a commit.

use std::ffi::OsStr;

use domain::job::JobSpec;

use crate::{
    environment::Folders,
    git::{Git, GitError},
};

/// The branch in the workspace bundle.
const BASE_REF: &str = "refs/heads/base";
/// The branch in the result bundle.
const RESULT_REF: &str = "refs/heads/result";
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

/// Commits what the agent left uncommitted and packs everything above the base. None if the files equal the base.
pub(crate) async fn collect(folders: &Folders, spec: &JobSpec) -> Result<Option<Changes>, GitError> {
    let git = || Git::over_tree(folders);
    let base = spec.base_sha.as_str();
    let repository = folders.repository.as_os_str();
    let init = ["init", "--quiet", "--template=", "--bare"].map(OsStr::new);
    Git::in_tree(folders).run(&[&init[..], &[repository]].concat()).await?;
    if !git().succeeds(&["cat-file", "-e", &format!("{base}^{{tree}}")]).await? {
        // The agent threw its repository away; the bundle still has the base.
        let bundle = folders.workspace_bundle.as_os_str();
        git().run(&[OsStr::new("fetch"), OsStr::new("--quiet"), bundle, OsStr::new(BASE_REF)]).await?;
    }
    let parent = parent(folders, base).await?;
    git().run(&["read-tree", &parent]).await?;
    git().run(&["add", "--all"]).await?;
    let tree = git().run(&["write-tree"]).await?;
    if tree == tree_of(folders, base).await? {
        return Ok(None);
    }
    let head = if tree == tree_of(folders, &parent).await? {
        parent
    } else {
        let trailer = format!("Codex-Run: {}", spec.run);
        let subject = spec.commit_subject.lines().next().unwrap_or_default();
        git().run(&["commit-tree", &tree, "-p", &parent, "-m", subject, "-m", &trailer]).await?
    };
    git().run(&["update-ref", RESULT_REF, &head]).await?;
    let bundle = folders.result_bundle.as_os_str();
    let not_base = format!("^{base}");
    let create = ["bundle", "create", "--quiet"].map(OsStr::new);
    git().run(&[&create[..], &[bundle, OsStr::new(RESULT_REF), OsStr::new(&not_base)]].concat()).await?;
    let names = git().run(&["diff-tree", "-r", "-z", "--no-renames", "--name-only", base, &head]).await?;
    let files = u32::try_from(names.matches('\0').count()).unwrap_or(u32::MAX);
    Ok(Some(Changes { head, files }))
}

/// The agent's own head if it builds on the base, else the base: rewritten history is not carried on, only the files are.
async fn parent(folders: &Folders, base: &str) -> Result<String, GitError> {
    match Git::in_tree(folders).run(&["rev-parse", "--quiet", "--verify", "HEAD"]).await {
        Ok(head) if Git::over_tree(folders).succeeds(&["merge-base", "--is-ancestor", base, &head]).await? => Ok(head),
        Ok(_) | Err(GitError::Failed { .. }) => Ok(base.to_owned()),
        Err(error) => Err(error),
    }
}

async fn tree_of(folders: &Folders, commit: &str) -> Result<String, GitError> {
    Git::over_tree(folders).run(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await
}
