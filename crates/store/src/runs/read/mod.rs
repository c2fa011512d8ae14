//! Reading runs.

mod list;

use chrono::{DateTime, Utc};
use domain::{
    event::Subject,
    ids::{Attempt, ProjectId, RepositoryId, RunId},
    run::{Outcome, RunState, Step},
    services_yaml::AgentName,
    triggers::Trigger,
};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use self::list::{Cursor, Page, RunFilter, list};
use crate::{Result, StoreError, convert};

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Where it works.
    pub repository_id: RepositoryId,
    /// Whose slots it takes.
    pub project_id: ProjectId,
    /// What it is about.
    pub subject: Subject,
    /// Its title when the run was asked for.
    pub subject_title: String,
    /// Name of the agent.
    pub agent: AgentName,
    /// What asked for it.
    pub trigger: Trigger,
    /// What makes the same wish told twice one run.
    pub business_key: String,
    /// Who asked.
    pub requested_by_login: String,
    /// The forge's id of who asked.
    pub requested_by_id: i64,
    /// Whether that is a bot.
    pub requested_by_bot: bool,
    /// What they said beyond the command.
    pub instructions: String,
    /// Where it is.
    pub state: RunState,
    /// The step it is in, or ended in.
    pub step: Option<Step>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why, as a sentence.
    pub cause: Option<String>,
    /// The newest attempt.
    pub attempt: Attempt,
    /// Place in the queue for a slot, 1 being next; none if it does not wait. Counted when read, so never out of date.
    pub slot_place: Option<u32>,
    /// Our branch.
    pub branch: Option<String>,
    /// The pinned base commit.
    pub base_sha: Option<String>,
    /// Head of our branch.
    pub head_sha: Option<String>,
    /// Our pull request.
    pub pr_number: Option<i64>,
    /// The sticky comment.
    pub comment_id: Option<i64>,
    /// The runs that led to this one, oldest first.
    pub cause_chain: Vec<RunId>,
    /// How many runs in a row, this one included, were caused by machines.
    pub machine_depth: u32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it first worked.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it counts as lost if nothing was heard.
    pub deadline_at: Option<DateTime<Utc>>,
}

impl Run {
    /// The run whose pull request this one goes on with.
    #[must_use]
    pub fn revises(&self) -> Option<RunId> {
        self.cause_chain.last().copied().filter(|_| self.trigger.revises())
    }
}

struct Row {
    id: Uuid,
    repository_id: Uuid,
    project_id: Uuid,
    subject_kind: String,
    subject_number: i64,
    subject_title: String,
    agent: String,
    trigger_detail: Value,
    business_key: String,
    requested_by_login: String,
    requested_by_id: i64,
    requested_by_bot: bool,
    instructions: String,
    state: String,
    step: Option<String>,
    outcome: Option<String>,
    cause: Option<String>,
    attempt: i32,
    slot_place: i64,
    branch: Option<String>,
    base_sha: Option<String>,
    head_sha: Option<String>,
    pr_number: Option<i64>,
    comment_id: Option<i64>,
    cause_chain: Value,
    machine_depth: i32,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    deadline_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Run {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let subject =
            Subject { kind: convert::parse("runs", "subject_kind", &row.subject_kind)?, number: row.subject_number };
        let place: u32 = convert::unsigned("slot_claims", "place", row.slot_place)?;
        Ok(Self {
            id: RunId::from_uuid(row.id),
            repository_id: RepositoryId::from_uuid(row.repository_id),
            project_id: ProjectId::from_uuid(row.project_id),
            subject,
            subject_title: row.subject_title,
            agent: convert::parse("runs", "agent", &row.agent)?,
            trigger: convert::json("runs", "trigger_detail", row.trigger_detail)?,
            business_key: row.business_key,
            requested_by_login: row.requested_by_login,
            requested_by_id: row.requested_by_id,
            requested_by_bot: row.requested_by_bot,
            instructions: row.instructions,
            state: convert::parse("runs", "state", &row.state)?,
            step: convert::parse_opt("runs", "step", row.step.as_deref())?,
            outcome: convert::parse_opt("runs", "outcome", row.outcome.as_deref())?,
            cause: row.cause,
            attempt: convert::attempt("runs", row.attempt)?,
            slot_place: (place > 0).then_some(place),
            branch: row.branch,
            base_sha: row.base_sha,
            head_sha: row.head_sha,
            pr_number: row.pr_number,
            comment_id: row.comment_id,
            cause_chain: convert::json("runs", "cause_chain", row.cause_chain)?,
            machine_depth: convert::unsigned("runs", "machine_depth", row.machine_depth)?,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            deadline_at: row.deadline_at,
        })
    }
}

/// The columns of [`Row`], written once. The place is the number of those who wait with the same or an earlier ticket.
macro_rules! select_runs {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select r.id, r.repository_id, r.project_id, r.subject_kind, r.subject_number, r.subject_title, r.agent, \
             r.trigger_detail, r.business_key, r.requested_by_login, r.requested_by_id, \
             r.requested_by_bot, r.instructions, r.state, r.step, r.outcome, r.cause, r.attempt, \
             (select count(*) from slot_claims mine join slot_claims w on w.project_id = mine.project_id \
                 and w.granted_at is null and w.released_at is null and w.ticket <= mine.ticket \
                 where mine.run_id = r.id and mine.granted_at is null and mine.released_at is null) as \"slot_place!\", \
             r.branch, r.base_sha, r.head_sha, r.pr_number, r.comment_id, r.cause_chain, r.machine_depth, r.created_at, \
             r.started_at, r.finished_at, r.deadline_at from runs r " + $tail
            $(, $argument)*
        )
    };
}
use select_runs;

/// The run of this id.
///
/// # Errors
/// There is none, or the database fails.
pub async fn get(conn: &mut PgConnection, id: RunId) -> Result<Run> {
    find(conn, id).await?.ok_or_else(|| StoreError::missing("run", &id))
}

/// The run of this id, if there is one: for ids that come from outside.
///
/// # Errors
/// The database fails.
pub async fn find(conn: &mut PgConnection, id: RunId) -> Result<Option<Run>> {
    select_runs!("where r.id = $1", id.as_uuid()).fetch_optional(conn).await?.map(Run::try_from).transpose()
}

/// The run that was started or retried under this business key.
///
/// # Errors
/// The database fails.
pub async fn by_business_key(conn: &mut PgConnection, key: &str) -> Result<Option<Run>> {
    let key = convert::clean(key);
    select_runs!(
        "where r.business_key = $1 or r.id = (select run_id from attempts where business_key = $1) limit 1",
        &key
    )
    .fetch_optional(conn)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// The newest run that a pull request is of.
///
/// # Errors
/// The database fails.
pub async fn by_pull_request(conn: &mut PgConnection, repository: RepositoryId, number: i64) -> Result<Option<Run>> {
    select_runs!(
        "where r.repository_id = $1 and r.pr_number = $2 order by r.created_at desc, r.id desc limit 1",
        repository.as_uuid(),
        number,
    )
    .fetch_optional(conn)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// The number of the pull request of ours that has this commit at its head, as far as our own pushes go.
///
/// # Errors
/// The database fails.
pub async fn pull_request_with_head(
    conn: &mut PgConnection,
    repository: RepositoryId,
    head_sha: &str,
) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        "select r.pr_number as \"number!\" from runs r \
         where r.repository_id = $1 and r.head_sha = $2 and r.pr_number is not null \
             and not exists (select from runs later where later.repository_id = r.repository_id \
                 and later.pr_number = r.pr_number and later.head_sha is not null \
                 and (later.created_at, later.id) > (r.created_at, r.id)) \
         order by r.created_at desc, r.id desc limit 1",
        repository.as_uuid(),
        head_sha,
    )
    .fetch_optional(conn)
    .await?)
}

/// How often agents have gone on with a pull request after reviews and failing checks.
///
/// # Errors
/// The database fails.
pub async fn count_revisions(conn: &mut PgConnection, repository: RepositoryId, number: i64) -> Result<u32> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from runs where repository_id = $1 and subject_kind = 'pull_request' \
             and subject_number = $2 and trigger_kind in ('review', 'checks')",
        repository.as_uuid(),
        number,
    )
    .fetch_one(conn)
    .await?;
    convert::unsigned("runs", "count", count)
}

/// The run at work on an issue or pull request. There is one at most.
///
/// # Errors
/// The database fails.
pub async fn active_for_subject(
    conn: &mut PgConnection,
    repository: RepositoryId,
    subject: Subject,
) -> Result<Option<Run>> {
    select_runs!(
        "where r.repository_id = $1 and r.subject_kind = $2 and r.subject_number = $3 and r.state <> 'finished'",
        repository.as_uuid(),
        subject.kind.as_str(),
        subject.number,
    )
    .fetch_optional(conn)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// The newest run on an issue or pull request.
///
/// # Errors
/// The database fails.
pub async fn latest_for_subject(
    conn: &mut PgConnection,
    repository: RepositoryId,
    subject: Subject,
) -> Result<Option<Run>> {
    select_runs!(
        "where r.repository_id = $1 and r.subject_kind = $2 and r.subject_number = $3 \
         order by r.created_at desc, r.id desc limit 1",
        repository.as_uuid(),
        subject.kind.as_str(),
        subject.number,
    )
    .fetch_optional(conn)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// How often an issue or pull request was worked on lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentCount {
    /// Runs and retries.
    pub all: u32,
    /// Those that a bot asked for.
    pub by_bots: u32,
}

/// How many runs and retries an issue or pull request had since then. Limits loops.
///
/// # Errors
/// The database fails.
pub async fn count_recent_for_subject(
    conn: &mut PgConnection,
    repository: RepositoryId,
    subject: Subject,
    since: DateTime<Utc>,
) -> Result<RecentCount> {
    let row = sqlx::query!(
        "select count(*) as \"all!\", \
             count(*) filter (where coalesce(a.requested_by_bot, r.requested_by_bot)) as \"by_bots!\" \
         from runs r join attempts a on a.run_id = r.id \
         where r.repository_id = $1 and r.subject_kind = $2 and r.subject_number = $3 and a.started_at >= $4",
        repository.as_uuid(),
        subject.kind.as_str(),
        subject.number,
        since,
    )
    .fetch_one(conn)
    .await?;
    Ok(RecentCount {
        all: convert::unsigned("attempts", "count", row.all)?,
        by_bots: convert::unsigned("attempts", "count", row.by_bots)?,
    })
}

/// Runs past their deadline by then, the longest first; at most 500.
///
/// # Errors
/// The database fails.
pub async fn unfinished_before(conn: &mut PgConnection, deadline: DateTime<Utc>) -> Result<Vec<Run>> {
    select_runs!("where r.state <> 'finished' and r.deadline_at < $1 order by r.deadline_at limit 500", deadline)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Run::try_from)
        .collect()
}

/// A failure that a run met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameFailure {
    /// What all of its kind have in common.
    pub fingerprint: String,
    /// How many other runs of the project met it since then.
    pub others: u64,
}

/// How many others met the failure that a run ended with; none if it did not fail.
///
/// # Errors
/// The database fails.
pub async fn same_failure(conn: &mut PgConnection, run: RunId, since: DateTime<Utc>) -> Result<Option<SameFailure>> {
    let row = sqlx::query!(
        "select r.failure_fingerprint as \"fingerprint!\", \
             (select count(*) from runs o where o.project_id = r.project_id and o.failure_fingerprint = r.failure_fingerprint \
                 and o.finished_at >= $2 and o.state = 'finished' and o.id <> r.id) as \"others!\" \
         from runs r where r.id = $1 and r.state = 'finished' and r.failure_fingerprint is not null",
        run.as_uuid(),
        since,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(SameFailure { fingerprint: row.fingerprint, others: convert::unsigned("runs", "count", row.others)? })
    })
    .transpose()
}

/// A run that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// Which.
    pub id: RunId,
    /// Whether it was asked to end.
    pub asked_to_end: bool,
}

/// The runs of a repository that have not ended, the first first; 1000 at most.
///
/// # Errors
/// The database fails.
pub async fn unfinished_in(conn: &mut PgConnection, repository: RepositoryId) -> Result<Vec<UnfinishedRun>> {
    let rows = sqlx::query!(
        "select r.id, a.cancel_requested_at is not null as \"asked!\" \
         from runs r join attempts a on a.run_id = r.id and a.attempt = r.attempt \
         where r.repository_id = $1 and r.state <> 'finished' order by r.created_at, r.id limit 1000",
        repository.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let run = |id, asked_to_end| UnfinishedRun { id: RunId::from_uuid(id), asked_to_end };
    Ok(rows.into_iter().map(|row| run(row.id, row.asked)).collect())
}
