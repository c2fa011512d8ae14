//! Keep what an agent changed as text, for whoever looks at the run: published or not, and after the bundles are gone.

use domain::job::JobReport;
use forge::{CommitSha, git::Git};
use store::{attempts, blobs::BlobKey};

use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// A person reads no more than this; what is beyond is cut, and said to be.
const MOST: usize = 1 << 20;

/// Keeps the change of an attempt. What looks like a secret in it is taken out.
///
/// # Errors
/// See [`StepError`]. A run does not fail for it.
pub(super) async fn run(
    platform: &Platform,
    context: &RunContext,
    base: &str,
    report: &JobReport,
) -> Result<(), StepError> {
    let at = context.at;
    let key = BlobKey::diff(at.run, at.attempt);
    let Some(reported) = report.head_sha.as_deref() else { return Ok(()) };
    if platform.blobs.exists(&key).await? {
        return Ok(());
    }
    let row = attempts::get(&mut *platform.store.acquire().await?, at.run, at.attempt).await?;
    let bundle = row.result_blob.map_or_else(|| BlobKey::result(at.run, at.attempt), |key| BlobKey::stored(&key));
    let git = Git::default();
    let scratch = tempfile::Builder::new().prefix("diff-").tempdir_in(&platform.places.scratch)?;
    let (repository, file) = (scratch.path().join("repository.git"), scratch.path().join("result.bundle"));
    let mirror = platform.mirrors.dir(context.repository.id);
    if !mirror.is_dir() {
        // The workspace was packed by another worker.
        let forge = context.forge(platform).await?;
        platform.mirrors.fetch(&git, context.repository.id, &forge).await?;
    }
    git.scratch_repository(&mirror, &repository).await?;
    tokio::fs::write(&file, platform.blobs.get(&bundle).await?).await?;
    let head = git.bundle_fetch(&repository, &file, "refs/heads/result", "refs/codex/result").await?;
    if head.as_str() != reported {
        return Err(StepError::fatal("result_mismatch", domain::sentences::result_mismatch()));
    }
    let base: CommitSha = base.parse().map_err(|_| StepError::fatal("base", "the pinned base is no commit"))?;
    let diff = git.diff_text(&repository, &base, &head, MOST).await?;
    let truncated = diff.truncated;
    // A megabyte takes a while, and other activities go on meanwhile.
    let redacted = tokio::task::spawn_blocking(move || secret_scan::redact(&diff.text)).await;
    let mut text = redacted.map_err(StepError::passing)??;
    if truncated {
        text.push_str("\n\\ The rest of the change is too long to be kept.\n");
    }
    platform.blobs.put(&key, text.into_bytes().into()).await?;
    Ok(())
}
