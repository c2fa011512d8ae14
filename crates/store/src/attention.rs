//! What a person should look at: the work that went wrong or stands still, what was not followed, what ends soon.
//!
//! Each list is short and bounded: who has more than that to look at begins with the newest.

use chrono::{DateTime, Utc};
use domain::{
    event::{Subject, SubjectKind},
    ids::{DeliveryId, PersonId, RepositoryId, RunId},
    run::{Outcome, Step},
    triggers::VerdictKind,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{self, parse, parse_opt},
};

/// Longest of each list.
pub const MAX: i64 = 50;

/// Whose attention, and since when things count.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    /// Only projects that this person is a member of; none: all, and what belongs to no project.
    pub seen_by: Option<PersonId>,
    /// What happened before this is left alone.
    pub since: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Where something is, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The project's short name.
    pub project: String,
    /// The repository.
    pub repository: RepositoryId,
    /// `owner/name`.
    pub full_name: String,
    /// The issue or pull request.
    pub subject: Subject,
}

/// A run to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionRun {
    /// Which.
    pub id: RunId,
    /// Where.
    pub at: At,
    /// Title of the subject.
    pub title: String,
    /// Name of the agent.
    pub agent: String,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Why, as a sentence.
    pub cause: Option<String>,
    /// The step it is in, or ended in.
    pub step: Option<Step>,
    /// Since when: its end, or its newest step's beginning.
    pub since: DateTime<Utc>,
    /// Place in the queue for a slot, 1 being next.
    pub slot_place: Option<u32>,
    /// A limit lets it go on then.
    pub wait_until: Option<DateTime<Utc>>,
}

/// A delivery whose wish was not followed, though somebody meant something by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldDelivery {
    /// Which.
    pub id: DeliveryId,
    /// `owner/name`, if the repository is connected.
    pub full_name: Option<String>,
    /// The project, if the repository is connected.
    pub project: Option<String>,
    /// Number of the issue or pull request.
    pub number: Option<i64>,
    /// What was decided.
    pub verdict: VerdictKind,
    /// Why.
    pub reason: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// A storm, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionStorm {
    /// Where.
    pub at: At,
    /// Why the last thing was held back.
    pub reason: String,
    /// How many were.
    pub held_back: u64,
    /// When the last one was.
    pub last_at: DateTime<Utc>,
}

/// A hook whose delivery log can't be read, so that missed deliveries stay missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadHook {
    /// The project's short name.
    pub project: String,
    /// `owner/name`.
    pub full_name: String,
    /// Why.
    pub problem: String,
    /// When it was last looked at.
    pub looked_at: Option<DateTime<Utc>>,
}

/// A command that has not reached the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckCommand {
    /// The run it is for.
    pub run: RunId,
    /// Where.
    pub at: At,
    /// Title of the subject.
    pub title: String,
    /// What the last try met.
    pub error: Option<String>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
}

/// A credential that ends soon, has ended, or is no longer taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingCredential {
    /// The project's short name.
    pub project: String,
    /// `owner/name` of a repository that needs it.
    pub full_name: String,
    /// Whom it acts as.
    pub login: Option<String>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when the forge no longer takes it.
    pub revoked_at: Option<DateTime<Utc>>,
}

fn at(project: String, repository: Uuid, full_name: String, (kind, number): (&str, i64)) -> Result<At> {
    let kind: SubjectKind = parse("runs", "subject_kind", kind)?;
    Ok(At { project, repository: RepositoryId::from_uuid(repository), full_name, subject: Subject { kind, number } })
}

/// Runs that failed or were lost and that nothing has followed on the same subject, the newest first.
///
/// # Errors
/// The database fails.
pub async fn ended_badly(conn: &mut PgConnection, looking: Looking) -> Result<Vec<AttentionRun>> {
    let rows = sqlx::query!(
        "select r.id, p.slug, r.repository_id, o.owner || '/' || o.name as \"full_name!\", r.subject_kind, \
             r.subject_number, r.subject_title, r.agent, r.outcome, r.cause, r.step, r.finished_at as \"finished_at!\" \
         from runs r join projects p on p.id = r.project_id join repositories o on o.id = r.repository_id \
         where r.outcome in ('failed', 'lost', 'setup_failed', 'checks_failed', 'budget_spent') and r.finished_at >= $1 \
             and ($2::uuid is null or r.project_id in (select project_id from project_members where person_id = $2)) \
             and not exists (select from runs later where later.repository_id = r.repository_id \
                 and later.subject_kind = r.subject_kind and later.subject_number = r.subject_number \
                 and (later.created_at, later.id) > (r.created_at, r.id)) \
         order by r.finished_at desc limit $3",
        looking.since,
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AttentionRun {
                id: RunId::from_uuid(row.id),
                at: at(row.slug, row.repository_id, row.full_name, (&row.subject_kind, row.subject_number))?,
                title: row.subject_title,
                agent: row.agent,
                outcome: parse_opt("runs", "outcome", row.outcome.as_deref())?,
                cause: row.cause,
                step: parse_opt("runs", "step", row.step.as_deref())?,
                since: row.finished_at,
                slot_place: None,
                wait_until: None,
            })
        })
        .collect()
}

/// Runs that wait for a slot or for a limit, those that wait longest first.
///
/// # Errors
/// The database fails.
pub async fn waiting(conn: &mut PgConnection, looking: Looking) -> Result<Vec<AttentionRun>> {
    let rows = sqlx::query!(
        "select r.id, p.slug, r.repository_id, o.owner || '/' || o.name as \"full_name!\", r.subject_kind, \
             r.subject_number, r.subject_title, r.agent, r.step, s.error as \"error?\", s.wait_until as \"wait_until?\", \
             coalesce(s.started_at, mine.requested_at, r.created_at) as \"since!\", \
             case when mine.run_id is null then 0 else (select count(*) from slot_claims w \
                 where w.project_id = mine.project_id and w.granted_at is null and w.released_at is null \
                 and w.ticket <= mine.ticket) end as \"place!\" \
         from runs r join projects p on p.id = r.project_id join repositories o on o.id = r.repository_id \
             left join slot_claims mine on mine.run_id = r.id and mine.granted_at is null and mine.released_at is null \
             left join lateral (select error, wait_until, started_at from steps \
                 where run_id = r.id and attempt = r.attempt and finished_at is null and wait_until > $1 \
                 order by started_at desc limit 1) s on true \
         where r.state <> 'finished' and (mine.run_id is not null or s.wait_until is not null) \
             and ($2::uuid is null or r.project_id in (select project_id from project_members where person_id = $2)) \
         order by \"since!\" limit $3",
        looking.now,
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place: u32 = convert::unsigned("slot_claims", "place", row.place)?;
            Ok(AttentionRun {
                id: RunId::from_uuid(row.id),
                at: at(row.slug, row.repository_id, row.full_name, (&row.subject_kind, row.subject_number))?,
                title: row.subject_title,
                agent: row.agent,
                outcome: None,
                cause: row.error,
                step: parse_opt("runs", "step", row.step.as_deref())?,
                since: row.since,
                slot_place: (place > 0).then_some(place),
                wait_until: row.wait_until,
            })
        })
        .collect()
}

/// Deliveries whose wish was not followed and that nobody has replayed, the newest first. Labels for two agents are settled once a run
/// began there: somebody has chosen.
///
/// # Errors
/// The database fails.
pub async fn held_deliveries(conn: &mut PgConnection, looking: Looking) -> Result<Vec<HeldDelivery>> {
    let rows = sqlx::query!(
        "select d.id, p.slug as \"slug?\", o.owner || '/' || o.name as full_name, d.subject_number, d.verdict, d.reason, \
             d.received_at \
         from deliveries d left join repositories o on o.id = d.repository_id left join projects p on p.id = o.project_id \
         where d.verdict in ('repository_unknown', 'two_agent_labels', 'paused') and d.received_at >= $1 \
             and ($2::uuid is null or o.project_id in (select project_id from project_members where person_id = $2)) \
             and d.replay_of is null and not exists (select from deliveries again where again.replay_of = d.id) \
             and (d.verdict <> 'two_agent_labels' or not exists (select from runs r where r.repository_id = d.repository_id \
                 and r.subject_number = d.subject_number and r.created_at > d.received_at)) \
             and (d.verdict <> 'paused' or not exists (select from pauses x where x.ended_at is null \
                 and (x.project_id is null or x.project_id = o.project_id))) \
         order by d.received_at desc limit $3",
        looking.since,
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(HeldDelivery {
                id: DeliveryId::from_uuid(row.id),
                full_name: row.full_name,
                project: row.slug,
                number: row.subject_number,
                verdict: parse("deliveries", "verdict", &row.verdict)?,
                reason: row.reason,
                received_at: row.received_at,
            })
        })
        .collect()
}

/// Storms in which something was held back, the latest first.
///
/// # Errors
/// The database fails.
pub async fn storms(conn: &mut PgConnection, looking: Looking) -> Result<Vec<AttentionStorm>> {
    let rows = sqlx::query!(
        "select p.slug, s.repository_id, o.owner || '/' || o.name as \"full_name!\", s.subject_kind, s.subject_number, \
             s.reason, s.held_back, s.last_at \
         from storms s join repositories o on o.id = s.repository_id join projects p on p.id = o.project_id \
         where s.last_at >= $1 \
             and ($2::uuid is null or o.project_id in (select project_id from project_members where person_id = $2)) \
         order by s.last_at desc limit $3",
        looking.since,
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AttentionStorm {
                at: at(row.slug, row.repository_id, row.full_name, (&row.subject_kind, row.subject_number))?,
                reason: row.reason,
                held_back: convert::unsigned("storms", "held_back", row.held_back)?,
                last_at: row.last_at,
            })
        })
        .collect()
}

/// Hooks whose delivery log could not be read at the last look.
///
/// # Errors
/// The database fails.
pub async fn unread_hooks(conn: &mut PgConnection, looking: Looking) -> Result<Vec<UnreadHook>> {
    let rows = sqlx::query!(
        "select p.slug, o.owner || '/' || o.name as \"full_name!\", h.look_problem as \"problem!\", h.looked_at \
         from hooks h join repositories o on o.id = h.repository_id join projects p on p.id = o.project_id \
         where h.look_problem is not null and not o.archived and o.detached_at is null \
             and ($1::uuid is null or o.project_id in (select project_id from project_members where person_id = $1)) \
         order by lower(o.owner), lower(o.name) limit $2",
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    let hook = |slug, full_name, problem, looked_at| UnreadHook { project: slug, full_name, problem, looked_at };
    Ok(rows.into_iter().map(|row| hook(row.slug, row.full_name, row.problem, row.looked_at)).collect())
}

/// Commands to runs that wait for the engine longer than since `before`.
///
/// # Errors
/// The database fails.
pub async fn stuck_commands(
    conn: &mut PgConnection,
    looking: Looking,
    before: DateTime<Utc>,
) -> Result<Vec<StuckCommand>> {
    let rows = sqlx::query!(
        "select r.id, p.slug, r.repository_id, o.owner || '/' || o.name as \"full_name!\", r.subject_kind, \
             r.subject_number, r.subject_title, c.last_error, c.created_at \
         from engine_commands c join runs r on r.id = c.run_id join projects p on p.id = r.project_id \
             join repositories o on o.id = r.repository_id \
         where c.state = 'pending' and c.created_at < $1 \
             and ($2::uuid is null or r.project_id in (select project_id from project_members where person_id = $2)) \
         order by c.created_at limit $3",
        before,
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StuckCommand {
                run: RunId::from_uuid(row.id),
                at: at(row.slug, row.repository_id, row.full_name, (&row.subject_kind, row.subject_number))?,
                title: row.subject_title,
                error: row.last_error,
                since: row.created_at,
            })
        })
        .collect()
}

/// Credentials in use that end by then, or that the forge no longer takes, what ends first first.
///
/// # Errors
/// The database fails.
pub async fn ending_credentials(
    conn: &mut PgConnection,
    looking: Looking,
    by: DateTime<Utc>,
) -> Result<Vec<EndingCredential>> {
    let rows = sqlx::query!(
        "select p.slug, o.owner || '/' || o.name as \"full_name!\", c.login, c.expires_at, c.revoked_at \
         from credentials c join repositories o on o.credential_id = c.id join projects p on p.id = o.project_id \
         where (c.revoked_at is not null or c.expires_at < $1) and not o.archived and o.detached_at is null \
             and ($2::uuid is null or o.project_id in (select project_id from project_members where person_id = $2)) \
         order by coalesce(c.revoked_at, c.expires_at), lower(o.owner), lower(o.name) limit $3",
        by,
        looking.seen_by.map(PersonId::as_uuid),
        MAX,
    )
    .fetch_all(conn)
    .await?;
    let ending = rows.into_iter().map(|row| EndingCredential {
        project: row.slug,
        full_name: row.full_name,
        login: row.login,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    });
    Ok(ending.collect())
}
