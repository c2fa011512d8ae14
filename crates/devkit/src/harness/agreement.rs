//! Whether row, label, sticky comment and commit status say the same about a run that has ended, and why in a way that can be translated.

use domain::{
    event::Subject,
    forge_text::status_description,
    run::{Outcome, RunState, STATUS_CONTEXT, StateLabel, Step, comment_marker, state_label},
    sentences,
};
use store::{
    PgConnection, attempts,
    runs::{self, Page, Run, RunFilter},
};

use super::{Platform, REPOSITORY};

/// More than any test has.
const ALL: Page = Page { before: None, limit: 10_000 };

/// Every run of the platform.
pub(super) async fn runs(conn: &mut PgConnection) -> anyhow::Result<Vec<Run>> {
    Ok(runs::list(conn, RunFilter::default(), ALL).await?)
}

/// What still differs about any of the runs, as a sentence; none once all agree.
pub(super) async fn difference(platform: &Platform, of: impl Fn(&Run) -> bool) -> anyhow::Result<Option<String>> {
    let mut conn = platform.store().acquire().await?;
    // Newest first: the first one on a subject is the one that its label is about.
    let mut labelled: Vec<Subject> = Vec::new();
    for run in runs(&mut conn).await? {
        let newest = !labelled.contains(&run.subject);
        labelled.push(run.subject);
        if !of(&run) || is_silent(&run) {
            continue;
        }
        if let Some(what) = of_run(platform, &mut conn, &run, newest).await? {
            return Ok(Some(format!("{}: {what}; its row: {run:?}", run.subject)));
        }
    }
    Ok(None)
}

/// Who may not start anything gets no stage: such a run says nothing on a public repository.
fn is_silent(run: &Run) -> bool {
    (run.outcome, run.step) == (Some(Outcome::Refused), Some(Step::Authorise))
}

async fn of_run(
    platform: &Platform,
    conn: &mut PgConnection,
    run: &Run,
    newest: bool,
) -> anyhow::Result<Option<String>> {
    let Some(outcome) = run.outcome.filter(|_| run.state == RunState::Finished) else {
        return Ok(Some("it has not ended".to_owned()));
    };
    let attempt = attempts::get(conn, run.id, run.attempt).await?;
    // A retry that nobody was entitled to leaves the run the end that it had.
    if !attempt.withdrawn && attempt.outcome != Some(outcome) {
        return Ok(Some(format!("its attempt ended as {:?}", attempt.outcome)));
    }
    // Without a code it is read in English alone.
    if let Some(cause) = run.cause.as_deref().filter(|cause| sentences::read(cause).is_none()) {
        return Ok(Some(format!("its cause has no code: {cause}")));
    }
    if newest && let Some(what) = label(platform, run)? {
        return Ok(Some(what));
    }
    Ok(comment(platform, run, outcome)?.or(status(platform, run, outcome)?))
}

fn number(run: &Run) -> anyhow::Result<u64> {
    Ok(u64::try_from(run.subject.number)?)
}

fn label(platform: &Platform, run: &Run) -> anyhow::Result<Option<String>> {
    let is_ours = |name: &&String| StateLabel::ALL.iter().any(|label| label.as_str() == name.as_str());
    let all = platform.forge.labels(REPOSITORY, number(run)?)?;
    let labels: Vec<&String> = all.iter().filter(is_ours).collect();
    let wanted = state_label(run.state, run.outcome).as_str();
    Ok((labels != [wanted]).then(|| format!("the state labels are {labels:?} instead of {wanted}")))
}

fn comment(platform: &Platform, run: &Run, outcome: Outcome) -> anyhow::Result<Option<String>> {
    let marker = comment_marker(run.id);
    let all = platform.forge.comments(REPOSITORY, number(run)?)?;
    let ours: Vec<_> = all.iter().filter(|comment| comment.body.contains(&marker)).collect();
    let [only] = ours.as_slice() else { return Ok(Some(format!("it has {} sticky comments", ours.len()))) };
    let headline = format!("### Agent `{}`: {}", run.agent, outcome.describe());
    let pull = run.pr_number.map(|number| format!("pull request #{number}"));
    let told = only.body.lines().any(|line| line == headline) && pull.is_none_or(|pull| only.body.contains(&pull));
    if !told {
        return Ok(Some(format!("the sticky comment says:\n{}", only.body)));
    }
    let known = run.comment_id.and_then(|id| u64::try_from(id).ok());
    Ok((known != Some(only.id)).then(|| format!("the sticky comment is {}, the row says {known:?}", only.id)))
}

fn status(platform: &Platform, run: &Run, outcome: Outcome) -> anyhow::Result<Option<String>> {
    let Some(head) = &run.head_sha else { return Ok(None) };
    let state = match outcome {
        success if success.is_success() => "success",
        Outcome::Lost | Outcome::Failed => "error",
        _ => "failure",
    };
    let description = status_description(run.state, run.step, run.outcome);
    let all = platform.forge.statuses(REPOSITORY, head)?;
    let last = all.iter().rfind(|status| status.context == STATUS_CONTEXT);
    let told = last.is_some_and(|last| last.state == state && last.description.as_ref() == Some(&description));
    Ok((!told).then(|| format!("the last commit status is {last:?}")))
}
