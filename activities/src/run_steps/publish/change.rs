//! A change becomes a branch and a pull request.
//!
//! The bundle comes from where foreign code ran, so nothing in it is believed: it must follow the pinned base, stay within
//! the project's limits, touch no protected path and hold no secret. What was pushed before by an earlier try is found again.

use std::path::Path;

use domain::{
    agents::Agent,
    forge_text,
    intent::{pull_request_key, push_key},
    job::JobReport,
    policy,
    run::Outcome,
    sentences,
    triggers::Trigger,
};
use forge::{
    BranchName, CommitSha, NewPull, Pull, PullUpdate,
    git::{self, FileChange, Git, Identity, Push, Rebase, Rebased},
};
use secret_scan::Finding;
use store::{
    IntentKind, attempts,
    blobs::BlobKey,
    model_calls,
    runs::{self, Facts},
};
use workflows::messages::RunEnd;

use super::replies;
use crate::{
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    run_context::{Cloned, RunContext},
    write_intent::intend,
};

/// What publishing a change needs.
pub(super) struct Change<'a> {
    pub(super) platform: &'a Platform,
    pub(super) context: &'a RunContext,
    pub(super) cloned: &'a Cloned,
    pub(super) agent: &'a Agent,
    pub(super) report: &'a JobReport,
    pub(super) forge: &'a ForgeRepo,
}

/// A bundle larger than this was refused at the runner endpoint already.
const MAX_DIFF_READ: usize = 64 << 20;

/// How many findings a person is told at once.
const TOLD_FINDINGS: usize = 5;

impl Change<'_> {
    pub(super) async fn publish(&self) -> Result<RunEnd, StepError> {
        let git = Git::default();
        let scratch = tempfile::Builder::new().prefix("publish-").tempdir_in(&self.platform.places.scratch)?;
        let repository = scratch.path().join("repository.git");
        let mirror = self.platform.mirrors.fetch(&git, self.context.repository.id, self.forge).await?;
        git.scratch_repository(&mirror, &repository).await?;
        let base: CommitSha = parse_sha(&self.cloned.base_sha)?;
        let head = self.fetch_result(&git, scratch.path(), &repository).await?;
        if let Some(end) = self.verify(&git, &repository, &base, &head).await? {
            return Ok(end);
        }
        let branch = self.branch()?;
        let head = match self.push(&git, &repository, &branch, &base, head).await? {
            Landed::At(head) => head,
            Landed::Conflict(files) => {
                return Ok(RunEnd {
                    outcome: Outcome::Failed,
                    cause: sentences::push_conflict(&branch, files.join(", ")),
                });
            }
        };
        let pull = self.open_or_update(&branch, &head).await?;
        let mut conn = self.platform.store.acquire().await?;
        let facts = Facts {
            branch: Some(branch.to_string()),
            head_sha: Some(head.to_string()),
            pr_number: Some(pull.number.get()),
            ..Facts::default()
        };
        runs::set_facts(&mut conn, self.context.at.run, facts).await?;
        drop(conn);
        replies::post(self, head.as_str()).await?;
        let cause = if self.context.run.trigger.revises() {
            sentences::pull_request_has_commit(pull.number)
        } else {
            sentences::pull_request_open(pull.number)
        };
        Ok(RunEnd { outcome: Outcome::PullRequestOpen, cause })
    }

    async fn fetch_result(&self, git: &Git, scratch: &Path, repository: &Path) -> Result<CommitSha, StepError> {
        let at = self.context.at;
        let handed_back =
            attempts::get(&mut *self.platform.store.acquire().await?, at.run, at.attempt).await?.result_blob;
        let key = handed_back.map_or_else(|| BlobKey::result(at.run, at.attempt), |key| BlobKey::stored(&key));
        if !self.platform.blobs.exists(&key).await? {
            return Err(StepError::fatal("result_missing", sentences::result_missing()));
        }
        let bundle = scratch.join("result.bundle");
        let bytes = self.platform.blobs.get(&key).await?;
        tokio::fs::write(&bundle, bytes).await?;
        let head = git.bundle_fetch(repository, &bundle, "refs/heads/result", "refs/codex/result").await?;
        match &self.report.head_sha {
            Some(reported) if *reported == head.as_str() => Ok(head),
            _ => Err(StepError::fatal("result_mismatch", sentences::result_mismatch())),
        }
    }

    /// Some: the change may not be published, and why.
    async fn verify(
        &self,
        git: &Git,
        repository: &Path,
        base: &CommitSha,
        head: &CommitSha,
    ) -> Result<Option<RunEnd>, StepError> {
        let refused = |cause: String| Ok(Some(RunEnd { outcome: Outcome::Refused, cause }));
        if !git.is_ancestor(repository, base, head).await? {
            return refused(sentences::commits_unrelated().to_owned());
        }
        let files = git.diff_names_status(repository, base, head).await?;
        let diff = git.diff_text(repository, base, head, MAX_DIFF_READ).await?;
        let change = policy::Change {
            paths: files.iter().flat_map(paths).collect(),
            files: files.len() as u64,
            diff_bytes: diff.text.len() as u64,
        };
        let violations = policy::violations(&change, &self.cloned.config.limits, self.agent)
            .map_err(|error| StepError::fatal("services_yaml", error.to_string()))?;
        if diff.truncated || !violations.is_empty() {
            let words: Vec<String> = violations.iter().map(ToString::to_string).collect();
            return refused(sentences::change_refused(words.join("; ")));
        }
        let answer = self.report.last_message.clone().unwrap_or_default();
        let findings = secret_scan::aside(move || {
            let mut findings = secret_scan::scan_diff(&diff.text)?;
            findings.extend(secret_scan::scan_text("the agent's last message", &answer)?);
            Ok(findings)
        })
        .await?;
        if findings.is_empty() { Ok(None) } else { refused(told(&findings)) }
    }

    /// The branch of the pull request that the run goes on with, or that an earlier try has taken; else a new one.
    fn branch(&self) -> Result<BranchName, StepError> {
        let run = &self.context.run;
        let name = match &run.branch {
            Some(taken) => taken.clone(),
            None if run.trigger.revises() => self.cloned.base_branch.clone(),
            None => policy::branch_name(run.subject, &run.subject_title),
        };
        name.parse().map_err(|_| StepError::fatal("branch", format!("`{name}` is no branch name")))
    }

    /// Pushes, on top of what is there; nobody's commits are ever overwritten.
    async fn push(
        &self,
        git: &Git,
        repository: &Path,
        branch: &BranchName,
        base: &CommitSha,
        head: CommitSha,
    ) -> Result<Landed, StepError> {
        let there = git.remote_branch_head(&self.forge.clone_url, Some(&self.forge.git), branch).await?;
        let head = match &there {
            Some(there) if *there == head => return Ok(Landed::At(head)),
            Some(there) if !git.is_ancestor(repository, there, &head).await? => {
                let committer = committer();
                let rebase = Rebase { from: base, head: &head, onto: there, committer: &committer };
                match git.rebase_onto(repository, rebase).await? {
                    Rebased::Head(moved) => moved,
                    Rebased::Conflict(files) => return Ok(Landed::Conflict(files)),
                }
            }
            _ => head,
        };
        if there.as_ref() == Some(&head) {
            return Ok(Landed::At(head));
        }
        self.platform.forge.pace(self.forge).await?;
        let intent =
            intend(self.platform, self.context, IntentKind::Push, &push_key(branch.as_str(), head.as_str())).await?;
        let push = Push { sha: &head, branch, expect: there.as_ref() };
        git.push(repository, &self.forge.clone_url, Some(&self.forge.git), push).await.map_err(lost_race)?;
        intent.done(None).await?;
        Ok(Landed::At(head))
    }

    async fn open_or_update(&self, branch: &BranchName, head: &CommitSha) -> Result<Pull, StepError> {
        let intent =
            intend(self.platform, self.context, IntentKind::PullRequest, &pull_request_key(branch.as_str())).await?;
        let provider = &self.forge.provider;
        let there = provider.pull_by_head(&self.forge.repo, branch.as_str()).await?;
        let body = self.body(head, there.as_ref()).await?;
        let pull = match there {
            Some(pull) if pull.body == body => pull,
            Some(pull) => {
                self.platform.forge.pace(self.forge).await?;
                let update = PullUpdate { body: Some(&body), ..PullUpdate::default() };
                provider.update_pull(&self.forge.repo, pull.number, &update).await?
            }
            None => {
                self.platform.forge.pace(self.forge).await?;
                let run = &self.context.run;
                let title = forge_text::pull_request_title(&run.subject_title, run.subject.number);
                let base = self.context.repository.default_branch.as_str();
                let new = NewPull { title: &title, body: &body, head: branch, base, draft: false };
                provider.create_pull(&self.forge.repo, &new).await?
            }
        };
        intent.done(Some(pull.number.get())).await?;
        Ok(pull)
    }

    async fn body(&self, head: &CommitSha, there: Option<&Pull>) -> Result<String, StepError> {
        let at = self.context.at;
        let mut conn = self.platform.store.acquire().await?;
        let calls = model_calls::sum_for_attempt(&mut conn, at.run, at.attempt).await?;
        let revised = there.filter(|_| self.context.run.trigger.revises());
        let text = forge_text::PullRequestText {
            run: at.run,
            subject: self.context.run.subject,
            agent: &self.context.run.agent,
            requested_by: &self.context.run.requested_by_login,
            report: self.report,
            head_sha: head.as_str(),
            model_calls: calls.calls,
            cost: calls.cost,
            after: match self.context.run.trigger {
                Trigger::Checks { .. } => "failing checks",
                _ => "review",
            },
        };
        Ok(match revised {
            Some(pull) => forge_text::revised_body(&pull.body, &text),
            None => forge_text::pull_request_body(&text),
        })
    }
}

enum Landed {
    At(CommitSha),
    Conflict(Vec<String>),
}

/// Both names of a renamed file: moving a file out of a protected folder changes that folder.
fn paths(file: &FileChange) -> Vec<String> {
    match &file.change {
        git::Change::Renamed { from } => vec![from.clone(), file.path.clone()],
        _ => vec![file.path.clone()],
    }
}

fn committer() -> Identity {
    Identity { name: "codex-k8s".to_owned(), email: "codex-k8s@users.noreply.github.com".to_owned() }
}

fn parse_sha(text: &str) -> Result<CommitSha, StepError> {
    text.parse().map_err(|_| StepError::fatal("store_corrupt", format!("`{text}` is no commit")))
}

/// A push that lost a race is worth another look at what is there now.
fn lost_race(error: forge::git::GitError) -> StepError {
    match error.class() {
        forge::git::GitErrorClass::NonFastForward => StepError::passing(error),
        _ => error.into(),
    }
}

fn told(findings: &[Finding]) -> String {
    let mut words: Vec<String> =
        findings.iter().take(TOLD_FINDINGS).map(|f| format!("`{}` line {} ({})", f.path, f.line, f.rule)).collect();
    if findings.len() > TOLD_FINDINGS {
        words.push(format!("and {} more", findings.len() - TOLD_FINDINGS));
    }
    sentences::secret_found(words.join(", "))
}
