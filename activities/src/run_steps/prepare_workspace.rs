//! Mirror the repository, pin the base commit, read the project's settings there, pack the workspace.

use domain::{
    event::SubjectKind,
    run::Step,
    run_limits::unheard_limit,
    sentences,
    services_yaml::{FILE_NAME, ServicesYaml},
};
use forge::{CommitSha, ItemState, PullNumber, git::Git};
use store::{
    attempts,
    blobs::BlobKey,
    runs::{self, Facts},
    steps,
};
use workflows::messages::{RunRef, Workspace};

use super::setup_cache;
use crate::{
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    progress::{self, recorded},
    run_context::{Cloned, RunContext},
};

/// Seconds for the way there and back, beyond the time of set-up, agent and checks.
const MARGIN_SECS: u64 = 300;

/// Pins the base and packs the workspace.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<Workspace, StepError> {
    let context = RunContext::load(platform, at).await?;
    let cloned = recorded(platform, at, Step::Clone, clone(platform, &context)).await?;
    let deadline = platform.now() + unheard_limit(cloned.job_secs);
    runs::heard(&mut *platform.store.acquire().await?, at.run, at.attempt, deadline).await?;
    Ok(Workspace { base_sha: cloned.base_sha, job_secs: cloned.job_secs })
}

async fn clone(platform: &Platform, context: &RunContext) -> Result<Cloned, StepError> {
    // What an earlier try, or the attempt that this one continues, has packed stays: the base is pinned once.
    let there = earlier(platform, context).await?;
    if let Some(cloned) = there {
        return Ok(cloned);
    }
    let forge = context.forge(platform).await?;
    let git = Git::default();
    let mirror = platform.mirrors.fetch(&git, context.repository.id, &forge).await?;
    let base = base(platform, context, &forge, &git).await?;
    let config = settings(&git, &mirror, &base.sha).await?;
    let agent = context.agent(&config)?;
    let setup_key = setup_cache::key(&git, &mirror, &base.sha, &config).await?;
    let commands: u64 = config.setup.iter().chain(&config.checks).map(|command| command.timeout.as_secs()).sum();
    let caching = setup_key.as_ref().map_or(0, |_| domain::job::SETUP_CACHE_SECS);
    let job_secs = u64::from(agent.limits.minutes) * 60 + commands + caching + MARGIN_SECS;

    let of = (context.repository.id, &base.sha);
    let key = platform.workspaces.packed(&git, &mirror, of, platform.now()).await?;

    let mut tx = platform.store.begin().await?;
    attempts::set_workspace_blob(&mut tx, context.at.run, context.at.attempt, key.as_str()).await?;
    let facts = Facts { base_sha: Some(base.sha.to_string()), ..Facts::default() };
    runs::set_facts(&mut tx, context.at.run, facts).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    Ok(Cloned { base_sha: base.sha.to_string(), base_branch: base.branch, config, job_secs, setup_key })
}

async fn earlier(platform: &Platform, context: &RunContext) -> Result<Option<Cloned>, StepError> {
    let mut conn = platform.store.acquire().await?;
    let Some(output) = steps::output(&mut conn, progress::key(context.at, Step::Clone)).await? else { return Ok(None) };
    let packed = attempts::get(&mut conn, context.at.run, context.at.attempt).await?.workspace_blob;
    let Some(packed) = packed else { return Ok(None) };
    drop(conn);
    if !platform.blobs.exists(&BlobKey::stored(&packed)).await? {
        return Ok(None);
    }
    Ok(serde_json::from_value(output).ok())
}

struct Base {
    sha: CommitSha,
    branch: String,
}

/// The commit that an earlier try of this attempt pinned, else the head of the branch as it is now.
async fn base(platform: &Platform, context: &RunContext, forge: &ForgeRepo, git: &Git) -> Result<Base, StepError> {
    let mirror = platform.mirrors.dir(context.repository.id);
    let subject = context.run.subject;
    let branch = match subject.kind {
        SubjectKind::Issue => context.repository.default_branch.clone(),
        SubjectKind::PullRequest => {
            let pull = forge.provider.pull(&forge.repo, PullNumber(subject.number)).await?;
            if pull.head_is_fork {
                return Err(StepError::fatal("fork", sentences::pull_request_of_fork()));
            }
            if context.run.trigger.revises() && pull.state == ItemState::Closed {
                return Err(StepError::fatal("pull_closed", sentences::pull_request_closed()));
            }
            pull.head_ref
        }
    };
    let sha = git
        .rev_parse(&mirror, &format!("refs/heads/{branch}"))
        .await
        .map_err(|error| StepError::fatal(error.code(), sentences::branch_without_commit(&branch, &error)))?;
    Ok(Base { sha, branch })
}

async fn settings(git: &Git, mirror: &std::path::Path, base: &CommitSha) -> Result<ServicesYaml, StepError> {
    let Some(bytes) = git.show_file(mirror, base, FILE_NAME).await? else { return Ok(ServicesYaml::default()) };
    let wrong = |problem: String| StepError::fatal("services_yaml", problem);
    let text = String::from_utf8(bytes).map_err(|_| wrong(format!("{FILE_NAME} is not UTF-8")))?;
    ServicesYaml::parse(&text).map_err(|problems| wrong(problems.to_string()))
}
