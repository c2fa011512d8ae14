//! What the rules want to know about an event: a few indexed reads, and only those that can matter.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    commands,
    event::{Event, EventKind, PullRequestAction, Subject, SubjectKind},
    ids::RunId,
    intent,
    services_yaml::ServicesYaml,
    triggers::{BusinessKey, Facts, KnownRepository, KnownRun},
};
use store::{
    PgConnection, Result, cancel_marks, intents,
    repositories::Repository,
    runs::{self, Run},
};

/// The facts about an event, and the rows behind them that its effect may need.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) facts: Facts,
    pub(crate) active: Option<Run>,
}

/// Reads what matters about the event in this repository.
pub(crate) async fn look_up(
    conn: &mut PgConnection,
    event: &Event,
    repository: Option<&Repository>,
    now: DateTime<Utc>,
) -> Result<LookedUp> {
    let Some(repository) = repository else { return Ok(LookedUp::default()) };
    let mut looked = LookedUp::default();
    looked.facts.repository = Some(KnownRepository {
        id: repository.id,
        default_branch: repository.default_branch.clone(),
        archived: repository.archived,
    });
    looked.facts.config = config(repository);
    looked.facts.echo = is_echo(conn, event, repository).await?;
    let Some(subject) = event.subject().filter(|_| !looked.facts.echo) else { return Ok(looked) };
    looked.active = runs::active_for_subject(conn, repository.id, subject).await?;
    looked.facts.active_run = looked.active.as_ref().map(known);
    if let Some((key, at)) = wish(event) {
        let wish = Wish { key, at, subject, now };
        look_up_wish(conn, repository, &wish, &mut looked).await?;
    }
    Ok(looked)
}

/// Somebody may want something started, retried or ended.
struct Wish {
    key: BusinessKey,
    at: DateTime<Utc>,
    subject: Subject,
    now: DateTime<Utc>,
}

/// The wish that an event may be, and when it happened.
fn wish(event: &Event) -> Option<(BusinessKey, DateTime<Utc>)> {
    let at = match &event.kind {
        EventKind::IssueLabeled(on) | EventKind::IssueUnlabeled(on) => on.issue.updated_at,
        EventKind::PullRequest(on) => match &on.action {
            PullRequestAction::Labeled(_) | PullRequestAction::Unlabeled(_) => on.pull_request.updated_at,
            _ => return None,
        },
        // Most comments are talk between people.
        EventKind::CommentCreated(on) if !matches!(commands::parse(&on.comment.body), Ok(None)) => {
            on.comment.created_at
        }
        _ => return None,
    };
    Some((BusinessKey::of(event)?, at))
}

async fn look_up_wish(
    conn: &mut PgConnection,
    repository: &Repository,
    wish: &Wish,
    looked: &mut LookedUp,
) -> Result<()> {
    let facts = &mut looked.facts;
    facts.run_by_key = runs::by_business_key(conn, wish.key.as_str()).await?.map(|run| run.id);
    if looked.active.is_none() {
        // Nothing is at work, so the newest run is the newest finished one.
        facts.last_run = runs::latest_for_subject(conn, repository.id, wish.subject).await?.as_ref().map(known);
    }
    let since_last = facts.last_run.as_ref().map_or(wish.at, |last| last.trigger.at().min(wish.at));
    facts.cancel_marks = cancel_marks::find_after(conn, repository.id, wish.subject, since_last).await?;
    let hour_ago = wish.now - TimeDelta::hours(1);
    let recent = runs::count_recent_for_subject(conn, repository.id, wish.subject, hour_ago).await?;
    (facts.runs_last_hour, facts.bot_runs_last_hour) = (recent.all, recent.by_bots);
    if wish.subject.kind == SubjectKind::PullRequest {
        facts.cause_chain = cause_chain(conn, repository, wish.subject.number).await?;
    }
    Ok(())
}

/// The runs that led to a pull request, oldest first; none if it is not ours.
async fn cause_chain(conn: &mut PgConnection, repository: &Repository, number: i64) -> Result<Vec<RunId>> {
    let Some(run) = runs::by_pull_request(conn, repository.id, number).await? else { return Ok(Vec::new()) };
    let mut chain = run.cause_chain;
    chain.push(run.id);
    Ok(chain)
}

async fn is_echo(conn: &mut PgConnection, event: &Event, repository: &Repository) -> Result<bool> {
    for probe in intent::probes(event) {
        let by_key = match &probe.key {
            Some(key) => intents::matches(conn, repository.id, probe.kind, key).await?,
            None => false,
        };
        let by_id = match probe.forge_id {
            Some(id) => intents::matches_forge_id(conn, repository.id, probe.kind, id).await?,
            None => false,
        };
        if by_key || by_id {
            return Ok(true);
        }
    }
    Ok(false)
}

fn known(run: &Run) -> KnownRun {
    KnownRun { id: run.id, agent: run.agent.clone(), trigger: run.trigger.clone() }
}

/// The project's settings. Stored ones were checked when they were read; should that reading have changed since, the
/// defaults hold until they are read again.
fn config(repository: &Repository) -> ServicesYaml {
    let Some(stored) = &repository.config else { return ServicesYaml::default() };
    serde_json::from_value(stored.clone()).unwrap_or_else(|error| {
        tracing::warn!(repository = %repository.id, %error, "the stored settings can't be read; the defaults hold");
        ServicesYaml::default()
    })
}
