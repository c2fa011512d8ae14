//! What the rules want to know about an event: a few indexed reads, and only those that can matter.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    commands::{self, Command, RetryFrom},
    event::{Event, EventKind, PullRequestAction, ReviewState, Sender, Subject, SubjectKind},
    intent,
    services_yaml::ServicesYaml,
    triggers::{BusinessKey, Facts, KeptWork, KnownRepository, KnownRun, OwnPull, Parent},
};
use store::{
    PgConnection, Result, cancel_marks, checkpoints, intents, pauses,
    repositories::Repository,
    runs::{self, Run},
};

/// A bot that comes later than this after a run is not taken to answer it.
const ANSWERED_WITHIN: TimeDelta = TimeDelta::hours(24);

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
    subject: Option<Subject>,
    now: DateTime<Utc>,
) -> Result<LookedUp> {
    let Some(repository) = repository else { return Ok(LookedUp::default()) };
    let mut looked = LookedUp::default();
    looked.facts.repository = Some(KnownRepository {
        id: repository.id,
        default_branch: repository.default_branch.clone(),
        archived: repository.archived,
        detached: repository.detached_at.is_some(),
    });
    looked.facts.config = config(repository);
    looked.facts.echo = is_echo(conn, event, repository).await?;
    let Some(subject) = subject.filter(|_| !looked.facts.echo) else { return Ok(looked) };
    looked.active = runs::active_for_subject(conn, repository.id, subject).await?;
    looked.facts.active_run = looked.active.as_ref().map(known);
    if let Some((key, at)) = wish(event) {
        looked.facts.pauses = pauses::holding(conn, repository.project).await?;
        let by_machine =
            matches!(event.kind, EventKind::CheckEnded(_)) || event.sender.as_ref().is_some_and(|sender| sender.is_bot);
        let wish = Wish { key, at, subject, by_machine, continues: continues(event), now };
        look_up_wish(conn, repository, &wish, &mut looked).await?;
    }
    Ok(looked)
}

/// What the event is about: what it names, or the pull request of ours whose head a check has judged.
pub(super) async fn subject(
    conn: &mut PgConnection,
    event: &Event,
    repository: &Repository,
) -> Result<Option<Subject>> {
    let EventKind::CheckEnded(check) = &event.kind else { return Ok(event.subject()) };
    let number = runs::pull_request_with_head(conn, repository.id, &check.head_sha).await?;
    Ok(number.map(|number| Subject { kind: SubjectKind::PullRequest, number }))
}

/// Somebody may want something started, retried or ended.
struct Wish {
    key: BusinessKey,
    at: DateTime<Utc>,
    subject: Subject,
    /// Whether a bot or a check wants it.
    by_machine: bool,
    /// It is for going on from kept work.
    continues: bool,
    now: DateTime<Utc>,
}

/// The wish that an event may be, and when it happened.
fn wish(event: &Event) -> Option<(BusinessKey, DateTime<Utc>)> {
    let at = match &event.kind {
        EventKind::IssueLabeled(on) | EventKind::IssueUnlabeled(on) => on.issue.updated_at,
        EventKind::Scheduled(moment) => moment.issue.updated_at,
        EventKind::ByHand(wish) => wish.at,
        EventKind::PullRequest(on) => match &on.action {
            PullRequestAction::Labeled(_) | PullRequestAction::Unlabeled(_) => on.pull_request.updated_at,
            _ => return None,
        },
        // Most comments are talk between people.
        EventKind::CommentCreated(on) if !matches!(commands::parse(&on.comment.body), Ok(None)) => {
            on.comment.created_at
        }
        EventKind::ReviewSubmitted(review) if review.state == ReviewState::ChangesRequested => {
            review.submitted_at.unwrap_or(review.pull_request.updated_at)
        }
        EventKind::CheckEnded(check) if check.failed => check.at,
        _ => return None,
    };
    Some((BusinessKey::of(event)?, at))
}

fn continues(event: &Event) -> bool {
    let EventKind::CommentCreated(on) = &event.kind else { return false };
    matches!(commands::parse(&on.comment.body), Ok(Some(Command::Retry { from: RetryFrom::KeptWork })))
}

async fn look_up_wish(
    conn: &mut PgConnection,
    repository: &Repository,
    wish: &Wish,
    looked: &mut LookedUp,
) -> Result<()> {
    let facts = &mut looked.facts;
    facts.run_by_key = runs::by_business_key(conn, wish.key.as_str()).await?.map(|run| run.id);
    let latest = runs::latest_for_subject(conn, repository.id, wish.subject).await?;
    if looked.active.is_none() {
        // Nothing is at work, so the newest run is the newest finished one.
        facts.last_run = latest.as_ref().map(known);
    }
    if let Some(last) = facts.last_run.as_ref().filter(|_| wish.continues) {
        let newest = checkpoints::newest(conn, last.id).await?;
        facts.kept_work = newest.map(|kept| KeptWork { attempt: kept.attempt, at: kept.at });
    }
    let since_last = facts.last_run.as_ref().map_or(wish.at, |last| last.trigger.at().min(wish.at));
    facts.cancel_marks = cancel_marks::find_after(conn, repository.id, wish.subject, since_last).await?;
    let hour_ago = wish.now - TimeDelta::hours(1);
    let recent = runs::count_recent_for_subject(conn, repository.id, wish.subject, hour_ago).await?;
    (facts.runs_last_hour, facts.bot_runs_last_hour) = (recent.all, recent.by_bots);
    let publisher = match wish.subject.kind {
        SubjectKind::PullRequest => runs::by_pull_request(conn, repository.id, wish.subject.number).await?,
        SubjectKind::Issue => None,
    };
    if let Some(publisher) = &publisher {
        facts.own_pull = Some(own_pull(conn, publisher, wish.subject.number).await?);
    }
    facts.parent = parent(wish, latest, publisher);
    Ok(())
}

async fn own_pull(conn: &mut PgConnection, publisher: &Run, number: i64) -> Result<OwnPull> {
    Ok(OwnPull {
        number,
        title: publisher.subject_title.clone(),
        agent: publisher.agent.clone(),
        requested_by: Sender {
            id: publisher.requested_by_id,
            login: publisher.requested_by_login.clone(),
            is_bot: publisher.requested_by_bot,
        },
        revisions: runs::count_revisions(conn, publisher.repository_id, number).await?,
    })
}

/// What happens on a pull request of ours follows from the run that published it last. Elsewhere, a bot that speaks up
/// where a run has been lately is taken to answer it.
fn parent(wish: &Wish, latest: Option<Run>, publisher: Option<Run>) -> Option<Parent> {
    let answered = latest.filter(|run| wish.by_machine && wish.now - run.created_at < ANSWERED_WITHIN);
    let run = [answered, publisher].into_iter().flatten().max_by_key(|run| (run.created_at, run.id))?;
    let mut chain = run.cause_chain;
    chain.push(run.id);
    Some(Parent { chain, machine_depth: run.machine_depth })
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
    KnownRun { id: run.id, agent: run.agent.clone(), trigger: run.trigger.clone(), requested_by: run.requested_by_id }
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
