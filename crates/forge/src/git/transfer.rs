//! Commits on their way: bundles, remote heads, pushes.

use std::path::{Path, PathBuf};

use super::{
    GitAuth, GitError, GitErrorClass,
    history::{commit_sha, not_found},
    process::Git,
};
use crate::ids::{BranchName, CommitSha};

/// The one reference in a workspace bundle.
const BASE_REF: &str = "refs/heads/base";

/// A push of one branch.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// The commit to be there.
    pub sha: &'a CommitSha,
    /// The branch.
    pub branch: &'a BranchName,
    /// The commit that is there now; none if the branch must be new.
    pub expect: Option<&'a CommitSha>,
}

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch was made or moved.
    Updated,
    /// The branch was there already, for instance from an earlier try.
    UpToDate,
}

impl Git {
    /// Writes a bundle of the whole history of `sha`, as `refs/heads/base`. The file appears only when it is complete.
    pub async fn bundle_create(&self, dir: &Path, out: &Path, sha: &CommitSha) -> Result<(), GitError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| GitError::Io { path, source }
        };
        let folder = out.parent().unwrap_or(Path::new("."));
        let scratch = tempfile::Builder::new().prefix(".bundle-").tempdir_in(folder).map_err(io(folder))?;
        // In a repository of its own, because `base` may be a branch of theirs.
        let repository = scratch.path().join("repository.git");
        self.scratch_repository(dir, &repository).await?;
        self.call(&repository, "update-ref").args([BASE_REF, sha.as_str()]).run().await?;
        let bundle = std::path::absolute(scratch.path().join("bundle")).map_err(io(out))?;
        self.call(&repository, "bundle").args(["create", "--quiet"]).arg(&bundle).arg(BASE_REF).run().await?;
        tokio::fs::rename(&bundle, out).await.map_err(io(out))
    }

    /// Takes `source_ref` out of a bundle into `private_ref` of the repository. Every object is checked first, because it comes from
    /// foreign code; nothing of a bundle that is refused gets in.
    pub async fn bundle_fetch(
        &self,
        dir: &Path,
        bundle: &Path,
        source_ref: &str,
        private_ref: &str,
    ) -> Result<CommitSha, GitError> {
        let bundle: PathBuf =
            std::path::absolute(bundle).map_err(|source| GitError::Io { path: bundle.to_owned(), source })?;
        let place = tempfile::Builder::new().prefix("bundle-").tempdir();
        let place = place.map_err(|source| GitError::Io { path: std::env::temp_dir(), source })?;
        // git checks objects on their way between repositories, but not out of a bundle.
        let quarantine = place.path().join("quarantine.git");
        self.scratch_repository(dir, &quarantine).await?;
        self.fetch_local(&quarantine, &bundle, source_ref, private_ref).await?;
        self.fetch_local(dir, &quarantine, private_ref, private_ref).await?;
        self.rev_parse(dir, private_ref).await
    }

    async fn fetch_local(&self, dir: &Path, from: &Path, source: &str, target: &str) -> Result<(), GitError> {
        self.call(dir, "fetch")
            .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options"])
            .arg(from)
            .arg(format!("+{source}:{target}"))
            .setting("fetch.fsckObjects", "true")
            .remote("", None)
            .run()
            .await
            .map(|_| ())
    }

    /// The head of a branch over there; none if there is no such branch.
    pub async fn remote_branch_head(
        &self,
        url: &str,
        auth: Option<&GitAuth>,
        branch: &BranchName,
    ) -> Result<Option<CommitSha>, GitError> {
        let wanted = branch.full_ref();
        let call = self.call_anywhere("ls-remote").args(["--quiet", "--end-of-options", url, wanted.as_str()]);
        let listing = String::from_utf8_lossy(&call.remote(url, auth).run().await?).into_owned();
        let line = listing.lines().find_map(|line| line.split_once('\t').filter(|(_, name)| *name == wanted));
        line.map(|(sha, _)| commit_sha("ls-remote", sha.as_bytes())).transpose()
    }

    /// Pushes one branch, and never over commits of others: `sha` must come after what is expected there, and the server changes
    /// the branch only if that is still what is there. Otherwise the class is `NonFastForward`.
    pub async fn push(
        &self,
        dir: &Path,
        url: &str,
        auth: Option<&GitAuth>,
        push: Push<'_>,
    ) -> Result<Pushed, GitError> {
        if let Some(old) = push.expect {
            self.must_follow(dir, old, push.sha).await?;
        }
        let target = push.branch.full_ref();
        // An empty expectation means: must not exist.
        let lease = format!("--force-with-lease={target}:{}", push.expect.map_or("", CommitSha::as_str));
        let output = self
            .call(dir, "push")
            .args(["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"])
            .arg(lease)
            .args(["--end-of-options", url])
            .arg(format!("{}:{target}", push.sha))
            .remote(url, auth)
            .run_any()
            .await?;
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.exit == Some(0) {
            let same = report.lines().any(|line| line.starts_with('='));
            return Ok(if same { Pushed::UpToDate } else { Pushed::Updated });
        }
        // The reason of a refusal is in the report, not among the errors.
        let refusals: Vec<&str> = report.lines().filter(|line| line.starts_with('!')).collect();
        let mut output = output;
        output.stderr = format!("{}\n{}", refusals.join("\n"), output.stderr).trim().to_owned();
        Err(output.into_error("push"))
    }

    async fn must_follow(&self, dir: &Path, old: &CommitSha, new: &CommitSha) -> Result<(), GitError> {
        let refuse = |class, stderr| GitError::Failed { operation: "push".to_owned(), exit: None, stderr, class };
        match self.is_ancestor(dir, old, new).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refuse(GitErrorClass::NonFastForward, format!("{new} does not come after {old}"))),
            // An unknown commit is somebody else's.
            Err(error) if error.class() == GitErrorClass::NotFound => {
                self.rev_parse(dir, new.as_str()).await.map_err(|_| not_found("push", format!("{new} is not here")))?;
                Err(refuse(GitErrorClass::NonFastForward, format!("{old} is not known here")))
            }
            Err(error) => Err(error),
        }
    }
}
