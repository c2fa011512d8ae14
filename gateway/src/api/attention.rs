//! `GET /api/v1/attention`

use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::SubjectKind,
    ids::{DeliveryId, RunId},
    run::{Outcome, Step},
    sentences::{self, Coded},
    triggers::VerdictKind,
};
use http::HeaderMap;
use serde::Serialize;
use store::{
    PgConnection, api_tokens,
    attention::{self, AttentionRun, Looking},
};
use utoipa::ToSchema;

use super::etag::tagged;
use crate::{auth::Caller, problem::Problem};

/// Ends that are older are history.
const RUNS_COUNT: TimeDelta = TimeDelta::days(7);

/// What was held back longer ago is history.
const HELD_COUNT: TimeDelta = TimeDelta::days(1);

/// A credential that ends within this time is to be renewed.
const ENDS_SOON: TimeDelta = TimeDelta::days(14);

/// A command that is not delivered within this time is stuck.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(1);

/// What a person should look at, each list with what presses most first. A list has 50 entries at most.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Attention {
    /// Failed and lost runs of the last seven days that nothing has followed on the same issue or pull request.
    failed: Vec<FailedRun>,
    /// Runs that wait for a slot or a limit.
    waiting: Vec<WaitingRun>,
    /// Deliveries of the last day that started nothing though somebody meant something, and that nobody has replayed.
    deliveries: Vec<HeldBack>,
    /// Webhooks whose delivery log can't be read: what was missed stays missed.
    hooks: Vec<Unread>,
    /// Runs to which the engine was not told something for a minute.
    stuck: Vec<Stuck>,
    /// Issues and pull requests on which runs are held back so that they do not cause one another without end.
    storms: Vec<Storm>,
    /// Credentials of repositories that end within 14 days, or are no longer taken.
    credentials: Vec<Ending>,
    /// Your own tokens for scripts that end within 14 days.
    tokens: Vec<EndingToken>,
}

/// A run that ended badly.
#[derive(Serialize, ToSchema)]
struct FailedRun {
    run: RunId,
    #[serde(flatten)]
    about: About,
    outcome: Outcome,
    /// Why, as a sentence.
    cause: Option<String>,
    /// The same by its code.
    cause_coded: Option<Coded>,
    ended_at: DateTime<Utc>,
}

/// A run that does not go on now.
#[derive(Serialize, ToSchema)]
struct WaitingRun {
    run: RunId,
    #[serde(flatten)]
    about: About,
    step: Option<Step>,
    /// Place in the queue for a slot, 1 being next.
    place: Option<u32>,
    /// A limit lets it go on then.
    until: Option<DateTime<Utc>>,
    /// Who set the limit, as a sentence.
    cause: Option<String>,
    /// The same by its code.
    cause_coded: Option<Coded>,
    since: DateTime<Utc>,
}

/// What something is about.
#[derive(Serialize, ToSchema)]
struct About {
    /// The project's short name.
    project: String,
    /// `owner/name`
    repository: String,
    subject: SubjectKind,
    number: i64,
    title: String,
    /// Name of the agent.
    agent: Option<String>,
}

/// A delivery that started nothing.
#[derive(Serialize, ToSchema)]
struct HeldBack {
    delivery: DeliveryId,
    /// None if its repository is not connected.
    project: Option<String>,
    repository: Option<String>,
    number: Option<i64>,
    verdict: VerdictKind,
    reason: String,
    /// The same by its code.
    reason_coded: Option<Coded>,
    received_at: DateTime<Utc>,
}

/// A hook whose log can't be read.
#[derive(Serialize, ToSchema)]
struct Unread {
    project: String,
    repository: String,
    /// Why, as a sentence.
    problem: String,
    /// The same by its code.
    problem_coded: Option<Coded>,
}

/// A run that was not told something.
#[derive(Serialize, ToSchema)]
struct Stuck {
    run: RunId,
    #[serde(flatten)]
    about: About,
    /// What the last try met.
    error: Option<String>,
    /// The same by its code.
    error_coded: Option<Coded>,
    since: DateTime<Utc>,
}

/// Where runs are held back.
#[derive(Serialize, ToSchema)]
struct Storm {
    project: String,
    repository: String,
    subject: SubjectKind,
    number: i64,
    /// Why the last thing was held back.
    reason: String,
    /// The same by its code.
    reason_coded: Option<Coded>,
    /// How many were.
    held_back: u64,
    last_at: DateTime<Utc>,
}

/// A credential that ends.
#[derive(Serialize, ToSchema)]
struct Ending {
    project: String,
    repository: String,
    /// Whom it acts as.
    login: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    /// The forge no longer takes it.
    refused: bool,
}

/// A token for scripts that ends.
#[derive(Serialize, ToSchema)]
struct EndingToken {
    name: String,
    expires_at: DateTime<Utc>,
}

/// What needs attention in the projects that you see
#[utoipa::path(
    get, path = "/api/v1/attention", tag = "attention",
    responses((status = 200, description = "What to look at.", body = Attention))
)]
pub(in crate::api) async fn read_attention(caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    let mut conn = caller.store().acquire().await?;
    let now = caller.now();
    let seen_by = (!caller.sees_all()).then_some(caller.person().id);
    let runs = Looking { seen_by, since: now - RUNS_COUNT, now };
    let held = Looking { since: now - HELD_COUNT, ..runs };
    let attention = Attention {
        failed: attention::ended_badly(&mut conn, runs).await?.into_iter().filter_map(failed).collect(),
        waiting: attention::waiting(&mut conn, runs).await?.into_iter().map(waiting).collect(),
        deliveries: deliveries(&mut conn, held).await?,
        hooks: hooks(&mut conn, held).await?,
        stuck: stuck(&mut conn, held).await?,
        storms: storms(&mut conn, held).await?,
        credentials: credentials(&mut conn, held).await?,
        tokens: tokens(&caller, &mut conn).await?,
    };
    Ok(tagged(&headers, &attention))
}

fn about(at: attention::At, title: String, agent: Option<String>) -> About {
    let (subject, number) = (at.subject.kind, at.subject.number);
    About { project: at.project, repository: at.full_name, subject, number, title, agent }
}

fn failed(run: AttentionRun) -> Option<FailedRun> {
    let about = about(run.at, run.title, Some(run.agent));
    let cause_coded = run.cause.as_deref().and_then(sentences::read);
    Some(FailedRun { run: run.id, about, outcome: run.outcome?, cause: run.cause, cause_coded, ended_at: run.since })
}

fn waiting(run: AttentionRun) -> WaitingRun {
    WaitingRun {
        run: run.id,
        about: about(run.at, run.title, Some(run.agent)),
        step: run.step,
        place: run.slot_place,
        until: run.wait_until,
        cause_coded: run.cause.as_deref().and_then(sentences::read),
        cause: run.cause,
        since: run.since,
    }
}

async fn deliveries(conn: &mut PgConnection, looking: Looking) -> Result<Vec<HeldBack>, Problem> {
    let held = attention::held_deliveries(conn, looking).await?.into_iter().map(|row| HeldBack {
        delivery: row.id,
        project: row.project,
        repository: row.full_name,
        number: row.number,
        verdict: row.verdict,
        reason_coded: sentences::read(&row.reason),
        reason: row.reason,
        received_at: row.received_at,
    });
    Ok(held.collect())
}

async fn hooks(conn: &mut PgConnection, looking: Looking) -> Result<Vec<Unread>, Problem> {
    let unread = attention::unread_hooks(conn, looking).await?.into_iter();
    Ok(unread
        .map(|row| Unread {
            project: row.project,
            repository: row.full_name,
            problem_coded: sentences::read(&row.problem),
            problem: row.problem,
        })
        .collect())
}

async fn stuck(conn: &mut PgConnection, looking: Looking) -> Result<Vec<Stuck>, Problem> {
    let stuck = attention::stuck_commands(conn, looking, looking.now - STUCK_AFTER).await?.into_iter();
    let shown = stuck.map(|row| Stuck {
        run: row.run,
        about: about(row.at, row.title, None),
        error_coded: row.error.as_deref().and_then(sentences::read),
        error: row.error,
        since: row.since,
    });
    Ok(shown.collect())
}

async fn storms(conn: &mut PgConnection, looking: Looking) -> Result<Vec<Storm>, Problem> {
    let storms = attention::storms(conn, looking).await?.into_iter().map(|row| Storm {
        project: row.at.project,
        repository: row.at.full_name,
        subject: row.at.subject.kind,
        number: row.at.subject.number,
        reason_coded: sentences::read(&row.reason),
        reason: row.reason,
        held_back: row.held_back,
        last_at: row.last_at,
    });
    Ok(storms.collect())
}

async fn credentials(conn: &mut PgConnection, looking: Looking) -> Result<Vec<Ending>, Problem> {
    let ending = attention::ending_credentials(conn, looking, looking.now + ENDS_SOON).await?.into_iter();
    let shown = ending.map(|row| Ending {
        project: row.project,
        repository: row.full_name,
        login: row.login,
        expires_at: row.expires_at,
        refused: row.revoked_at.is_some(),
    });
    Ok(shown.collect())
}

async fn tokens(caller: &Caller, conn: &mut PgConnection) -> Result<Vec<EndingToken>, Problem> {
    let now = caller.now();
    let tokens = api_tokens::ending(conn, caller.person().id, now, now + ENDS_SOON).await?;
    Ok(tokens.into_iter().map(|(name, expires_at)| EndingToken { name, expires_at }).collect())
}
