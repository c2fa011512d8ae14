//! What is known of the failing checks of a commit: commit statuses, check runs with what they report, the ends of logs.
//!
//! All of it was written by programs that ran foreign code, so it is data in the prompt. What the credential does not see is
//! left out: a fine-grained token has no right that shows the check runs of a private repository.

use domain::{
    agents::{CheckOutput, PromptCheck},
    run::STATUS_CONTEXT,
};
use forge::{Annotation, CheckRunId, CommitSha, CommitStatus, FailedCheck, ForgeError, StatusState};

use crate::{failure::StepError, forge_access::ForgeRepo};

/// Checks whose reports and logs are read: each costs up to two requests.
const READ_WHOLE: usize = 5;

/// Things said about lines, of each check.
const ANNOTATIONS: usize = 30;

/// The end of a log in which the error is looked for.
const LOG_BYTES: usize = 256 * 1024;

/// The check that the event told of.
pub(super) struct Told<'a> {
    pub(super) name: &'a str,
    pub(super) url: Option<&'a str>,
}

/// Every failing check of a commit.
pub(super) async fn of(forge: &ForgeRepo, sha: &CommitSha, told: Told<'_>) -> Result<Vec<PromptCheck>, StepError> {
    let statuses = forge.provider.statuses(&forge.repo, sha).await?;
    let failing = |status: &CommitStatus| {
        matches!(status.state, StatusState::Failure | StatusState::Error) && status.context != STATUS_CONTEXT
    };
    let mut checks: Vec<PromptCheck> = statuses.into_iter().filter(failing).map(of_status).collect();
    let runs = visible(forge.provider.failed_checks(&forge.repo, sha).await)?.unwrap_or_default();
    for (place, run) in runs.into_iter().enumerate() {
        let output = if place < READ_WHOLE { Some(output(forge, &run).await?) } else { None };
        checks.push(of_run(run, output));
    }
    if checks.is_empty() {
        let url = told.url.unwrap_or_default().to_owned();
        checks.push(PromptCheck { name: told.name.to_owned(), description: String::new(), url, output: None });
    }
    Ok(checks)
}

fn of_status(status: CommitStatus) -> PromptCheck {
    let url = status.target_url.unwrap_or_default();
    PromptCheck { name: status.context, description: status.description, url, output: None }
}

fn of_run(run: FailedCheck, output: Option<CheckOutput>) -> PromptCheck {
    PromptCheck { name: run.name, description: run.title, url: run.url.unwrap_or_default(), output }
}

async fn output(forge: &ForgeRepo, run: &FailedCheck) -> Result<CheckOutput, StepError> {
    let annotations = if run.annotations == 0 {
        Vec::new()
    } else {
        visible(forge.provider.annotations(&forge.repo, run.id, ANNOTATIONS).await)?.unwrap_or_default()
    };
    let log = match run.job {
        Some(job) => log(forge, job).await?,
        None => String::new(),
    };
    Ok(CheckOutput { summary: run.summary.clone(), notes: annotations.iter().map(note).collect(), log })
}

/// A log is a help, and lies elsewhere: without it the agent can still run the checks itself. Secrets that a careless check
/// has printed go no further.
async fn log(forge: &ForgeRepo, job: CheckRunId) -> Result<String, StepError> {
    match forge.provider.job_log(&forge.repo, job, LOG_BYTES).await {
        Ok(text) => Ok(secret_scan::aside(move || secret_scan::redact(&text)).await?),
        Err(error @ ForgeError::RateLimited { .. }) => Err(error.into()),
        Err(error) => {
            tracing::info!(%job, %error, "the log of a failing check can't be read");
            Ok(String::new())
        }
    }
}

fn note(annotation: &Annotation) -> String {
    let Annotation { path, line, level, title, message } = annotation;
    let title = if title.is_empty() { String::new() } else { format!("{title}: ") };
    format!("{path}:{line} {level}: {title}{message}")
}

/// None where the credential does not see it, or it is no longer there.
fn visible<T>(answer: Result<T, ForgeError>) -> Result<Option<T>, StepError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ForgeError::Forbidden { .. } | ForgeError::NotFound | ForgeError::Gone { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
