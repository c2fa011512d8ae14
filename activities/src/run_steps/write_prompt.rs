//! Render the prompt and store the Job's description, from which the runner works.

use domain::{
    agents::{
        AgentRole, PromptComment, PromptDocument, PromptInputs, PromptLineComment, PromptReview, Revision,
        render_prompt, resumed_prompt, taken_over_prompt,
    },
    event::SubjectKind,
    job::{CHECKPOINT_SECS, CheckCommand, JobLimits, JobSpec, Resume, SetupCache, SetupSpec},
    policy::Globs,
    run::Step,
    services_yaml::CheckConfig,
    triggers::Trigger,
};
use forge::{CommitSha, IssueNumber, PullNumber, ReviewComment, ReviewId, git::Git};
use serde::{Deserialize, Serialize};
use store::{PgConnection, StoreError, attempts, blobs::BlobKey, checkpoints, runs, steps};
use workflows::messages::RunRef;

use super::failing_checks;
use crate::{
    agent_versions,
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    progress::{self, recorded},
    run_context::{Cloned, RunContext},
};

/// A long thread must not fill the model's window.
const COMMENTS: usize = 100;

/// Documents that go into a prompt, and bytes of each.
const DOCUMENTS: usize = 20;
const DOCUMENT_BYTES: u64 = 60_000;

/// Bytes of the diff that a reviewer is shown.
const DIFF_BYTES: usize = 200_000;

/// Renders the prompt and stores the Job's description.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    let context = RunContext::load(platform, at).await?;
    recorded(platform, at, Step::Prompt, describe(platform, &context)).await?;
    Ok(())
}

/// What the step gave; kept for later attempts, which get the same description where they begin after this step.
#[derive(Serialize, Deserialize)]
struct Described {
    /// Blob of the Job's description.
    job: String,
    /// The version of the agent that it is made from.
    #[serde(default)]
    agent_version: Option<u32>,
}

/// Stores the Job's description: that of an earlier try or attempt where there is one, else a new one.
async fn describe(platform: &Platform, context: &RunContext) -> Result<Described, StepError> {
    let RunRef { run, attempt } = context.at;
    let (spec, agent_version) = match earlier(platform, context).await? {
        Some((earlier, version)) => (JobSpec { attempt, ..earlier }, version),
        None => write(platform, context).await.map(|(spec, version)| (spec, Some(version)))?,
    };
    let mut conn = platform.store.acquire().await?;
    attempts::set_prompt(&mut conn, run, attempt, &spec.prompt).await?;
    if let Some(version) = agent_version {
        store::agent_versions::set_of_attempt(&mut conn, run, attempt, version).await?;
    }
    let resume = resume(&mut conn, context, &spec.prompt).await?;
    drop(conn);
    let spec = JobSpec { resume, ..spec };
    let text = serde_json::to_vec(&spec).map_err(|error| StepError::fatal("output", error.to_string()))?;
    let key = BlobKey::job(run, attempt);
    platform.blobs.put(&key, text.into()).await?;
    Ok(Described { job: key.as_str().to_owned(), agent_version })
}

/// What an agent is told that goes on: from kept work, or in the thread of the pull request that it revises.
async fn resume(conn: &mut PgConnection, context: &RunContext, prompt: &str) -> Result<Option<Resume>, StepError> {
    let at = context.at;
    let Some(earlier) = attempts::get(conn, at.run, at.attempt).await?.continues else {
        let Some(before) = context.run.revises() else { return Ok(None) };
        let thread = checkpoints::newest(conn, before).await?.and_then(|kept| kept.thread);
        let prompt = || prompt.to_owned();
        return Ok(thread.map(|thread| Resume {
            with_work: false,
            thread_id: Some(thread.id),
            prompt: prompt(),
            fresh_prompt: prompt(),
        }));
    };
    let Some(kept) = checkpoints::of(conn, at.run, earlier).await? else { return Ok(None) };
    Ok(Some(Resume {
        with_work: true,
        thread_id: kept.thread.map(|thread| thread.id),
        prompt: resumed_prompt(kept.at),
        fresh_prompt: taken_over_prompt(prompt, kept.at),
    }))
}

/// The description, and the version of the agent that it was made from.
async fn earlier(platform: &Platform, context: &RunContext) -> Result<Option<(JobSpec, Option<u32>)>, StepError> {
    let mut conn = platform.store.acquire().await?;
    let output = steps::output(&mut conn, progress::key(context.at, Step::Prompt)).await?;
    drop(conn);
    let Some(described) = output.and_then(|output| serde_json::from_value::<Described>(output).ok()) else {
        return Ok(None);
    };
    match platform.blobs.get(&BlobKey::stored(&described.job)).await {
        Ok(text) => Ok(serde_json::from_slice(&text).ok().map(|spec| (spec, described.agent_version))),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn write(platform: &Platform, context: &RunContext) -> Result<(JobSpec, u32), StepError> {
    let cloned = context.cloned(platform).await?;
    let agent = context.agent(&cloned.config)?;
    let forge = context.forge(platform).await?;
    let subject = context.run.subject;
    let number = IssueNumber(subject.number);
    let issue = forge.provider.issue(&forge.repo, number).await?;
    runs::learn_title(&mut *platform.store.acquire().await?, context.run.id, &issue.title).await?;
    let comments = comments(&forge, number).await?;
    let documents = documents(platform, context, &cloned).await?;
    let diff = match subject.kind {
        SubjectKind::Issue => String::new(),
        SubjectKind::PullRequest => {
            forge.provider.pull_diff(&forge.repo, PullNumber(subject.number), DIFF_BYTES).await?.text
        }
    };
    let revision = revision(context, &forge).await?;
    let repository = forge.repo.to_string();
    let inputs = PromptInputs {
        repository: &repository,
        subject,
        title: &issue.title,
        body: &issue.body,
        labels: &issue.labels,
        comments: &comments,
        instructions: &context.run.instructions,
        documents: &documents,
        revision: revision.as_ref(),
        diff: &diff,
        checks: &cloned.config.checks,
        learning: cloned.config.learning,
    };
    let prompt = render_prompt(&agent, &inputs);
    let version = agent_versions::of_run(platform, context, (&agent, &cloned.base_sha)).await?;
    let spec = JobSpec {
        run: context.at.run,
        attempt: context.at.attempt,
        repository: repository.clone(),
        base_sha: cloned.base_sha.clone(),
        agent: context.run.agent.to_string(),
        model: agent.model.clone(),
        prompt,
        wants_changes: agent.role() == AgentRole::Changes,
        commit_subject: commit_subject(&context.run.trigger, &issue.title, number),
        setup: setup(context, &cloned),
        checks: cloned.config.checks.iter().map(command).collect(),
        resume: None,
        limits: JobLimits {
            agent_secs: u64::from(agent.limits.minutes) * 60,
            log_bytes: u64::from(agent.limits.log_mb) << 20,
            checkpoint_secs: CHECKPOINT_SECS,
        },
    };
    Ok((spec, version))
}

async fn comments(forge: &ForgeRepo, number: IssueNumber) -> Result<Vec<PromptComment>, StepError> {
    let comments = forge.provider.issue_comments(&forge.repo, number, None, COMMENTS).await?;
    let told = comments.into_iter().filter(|comment| !comment.body.contains(domain::run::MARKER_PREFIX));
    Ok(told
        .map(|comment| PromptComment {
            author: comment.author.map_or_else(|| "a deleted account".to_owned(), |author| author.login),
            at: comment.created_at,
            body: comment.body,
        })
        .collect())
}

/// Why the agent goes on with its pull request, as the forge tells it now.
async fn revision(context: &RunContext, forge: &ForgeRepo) -> Result<Option<Revision>, StepError> {
    let number = PullNumber(context.run.subject.number);
    match &context.run.trigger {
        Trigger::Review { review_id, .. } => {
            let id = ReviewId(*review_id);
            let review = forge.provider.review(&forge.repo, number, id).await?;
            let comments = forge.provider.review_comments(&forge.repo, number).await?;
            let of_review = comments.into_iter().filter(|comment| comment.review == Some(id));
            Ok(Some(Revision::Review(PromptReview {
                author: review.author.map_or_else(|| "a deleted account".to_owned(), |author| author.login),
                body: review.body,
                comments: of_review.map(line_comment).collect(),
            })))
        }
        Trigger::Checks { head_sha, name, url, .. } => {
            let sha = head_sha.parse().map_err(|_| StepError::fatal("store_corrupt", "the head is no commit"))?;
            let told = failing_checks::Told { name, url: url.as_deref() };
            Ok(Some(Revision::Checks(failing_checks::of(forge, &sha, told).await?)))
        }
        Trigger::Label { .. } | Trigger::Command { .. } | Trigger::Manual { .. } | Trigger::Schedule { .. } => Ok(None),
    }
}

fn line_comment(comment: ReviewComment) -> PromptLineComment {
    PromptLineComment {
        id: comment.id.get(),
        path: comment.path,
        line: comment.line,
        body: comment.body,
        hunk: comment.diff_hunk,
    }
}

fn commit_subject(trigger: &Trigger, title: &str, number: IssueNumber) -> String {
    match trigger {
        Trigger::Review { .. } => format!("Follow the review of #{number}"),
        Trigger::Checks { .. } => format!("Mend the checks of #{number}"),
        _ => format!("{} (#{number})", subject_line(title)),
    }
}

/// The documents that the project names, from the base commit.
async fn documents(
    platform: &Platform,
    context: &RunContext,
    cloned: &Cloned,
) -> Result<Vec<PromptDocument>, StepError> {
    if cloned.config.documents.is_empty() {
        return Ok(Vec::new());
    }
    let globs =
        Globs::new(&cloned.config.documents).map_err(|error| StepError::fatal("services_yaml", error.to_string()))?;
    let git = Git::default();
    let mirror = platform.mirrors.dir(context.repository.id);
    let sha: CommitSha =
        cloned.base_sha.parse().map_err(|_| StepError::fatal("store_corrupt", "the base is no commit"))?;
    let files = git.ls_tree(&mirror, &sha).await?;
    let wanted =
        files.iter().filter(|file| globs.matching(&file.path).is_some() && file.size.unwrap_or(0) <= DOCUMENT_BYTES);
    let mut documents = Vec::new();
    for file in wanted.take(DOCUMENTS) {
        if let Some(bytes) = git.show_file(&mirror, &sha, &file.path).await? {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            documents.push(PromptDocument { path: file.path.clone(), text });
        }
    }
    Ok(documents)
}

fn setup(context: &RunContext, cloned: &Cloned) -> SetupSpec {
    let cache = cloned.setup_key.clone().zip(cloned.config.cache.as_ref()).map(|(key, cache)| SetupCache {
        key,
        paths: cache.paths.clone(),
        // What a branch that somebody proposes leaves behind must not reach the runs of others.
        may_store: cloned.base_branch == context.repository.default_branch,
    });
    SetupSpec { commands: cloned.config.setup.iter().map(command).collect(), cache }
}

fn command(config: &CheckConfig) -> CheckCommand {
    CheckCommand { name: config.name.clone(), run: config.run.clone(), timeout_secs: config.timeout.as_secs() }
}

/// A subject line of bearable length.
fn subject_line(title: &str) -> String {
    let line: String = title.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
    if line.trim().is_empty() { "Work on the issue".to_owned() } else { line.trim().to_owned() }
}
