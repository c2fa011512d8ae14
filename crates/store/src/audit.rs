//! What happened and who did it. Only ever added to; the database sees to that.

use chrono::{DateTime, Utc};
use domain::ids::{DeliveryId, PersonId, ProjectId, RepositoryId, RunId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{clean, clean_json, clean_opt},
};

/// Something that happened, to be stored.
#[derive(Clone, Debug)]
pub struct NewFlowEvent<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// To which run.
    pub run: Option<RunId>,
    /// Where; that of the run if it is left out.
    pub repository: Option<RepositoryId>,
    /// To which project, if it was the project itself: its members, its slots, a pause of it. What has a run or a repository belongs
    /// to the project of that one, and names none here.
    pub project: Option<ProjectId>,
    /// The delivery that told it.
    pub delivery: Option<DeliveryId>,
    /// Who did it: a login, or a part of the platform.
    pub actor: &'a str,
    /// What, as a word.
    pub kind: &'a str,
    /// The particulars. No secrets.
    pub detail: Value,
}

impl<'a> NewFlowEvent<'a> {
    /// Something that happened to the platform. To what else it happened is added with `..`.
    pub const fn new(at: DateTime<Utc>, actor: &'a str, kind: &'a str, detail: Value) -> Self {
        Self { at, run: None, repository: None, project: None, delivery: None, actor, kind, detail }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowEvent {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// To which run.
    pub run: Option<RunId>,
    /// Where.
    pub repository: Option<RepositoryId>,
    /// To which project, if it was the project itself: its id and short name.
    pub project: Option<(ProjectId, String)>,
    /// The delivery that told it.
    pub delivery: Option<DeliveryId>,
    /// Who did it.
    pub actor: String,
    /// What.
    pub kind: String,
    /// The particulars.
    pub detail: Value,
}

struct Row {
    id: Uuid,
    at: DateTime<Utc>,
    run_id: Option<Uuid>,
    repository_id: Option<Uuid>,
    project_id: Option<Uuid>,
    project_slug: Option<String>,
    delivery_id: Option<Uuid>,
    actor: String,
    kind: String,
    detail: Value,
}

impl From<Row> for FlowEvent {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: row.at,
            run: row.run_id.map(RunId::from_uuid),
            repository: row.repository_id.map(RepositoryId::from_uuid),
            project: row.project_id.map(ProjectId::from_uuid).zip(row.project_slug),
            delivery: row.delivery_id.map(DeliveryId::from_uuid),
            actor: row.actor,
            kind: row.kind,
            detail: row.detail,
        }
    }
}

/// Adds an event.
///
/// # Errors
/// The database fails.
pub async fn append(conn: &mut PgConnection, new: NewFlowEvent<'_>) -> Result<()> {
    sqlx::query!(
        "insert into audit.flow_events (id, at, run_id, repository_id, project_id, delivery_id, actor, kind, detail) \
         values ($1, $2, $3, coalesce($4, (select r.repository_id from runs r where r.id = $3)), $5, $6, $7, $8, $9)",
        Uuid::now_v7(),
        new.at,
        new.run.map(RunId::as_uuid),
        new.repository.map(RepositoryId::as_uuid),
        new.project.map(ProjectId::as_uuid),
        new.delivery.map(DeliveryId::as_uuid),
        &clean(new.actor),
        &clean(new.kind),
        &*clean_json(&new.detail),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What happened to a run, the first first.
///
/// # Errors
/// The database fails.
pub async fn list_for_run(conn: &mut PgConnection, run: RunId) -> Result<Vec<FlowEvent>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, at, run_id, repository_id, project_id, null::text as project_slug, delivery_id, actor, kind, detail \
         from audit.flow_events where run_id = $1 order by at, id",
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(FlowEvent::from).collect())
}

/// Which events to list; what is none does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter<'a> {
    /// Only what happened to projects that this person is a member of, and in their repositories.
    pub seen_by: Option<PersonId>,
    /// To this project, and in its repositories.
    pub project: Option<ProjectId>,
    /// Done by.
    pub actor: Option<&'a str>,
    /// Of this kind, or of all kinds that begin with it and a dot.
    pub kind: Option<&'a str>,
    /// To this run.
    pub run: Option<RunId>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Older than the event of this id.
    pub before: Option<Uuid>,
}

/// The newest events of each place, and the newest of all these. A place is read in the order of its index, and no further than `limit`
/// events: somebody whose projects are quiet does not have the whole audit read. Were a place only said to equal another one, all events
/// could be read by their ids until there are enough, and where places are few the planner likes that; in a quiet one there never are.
macro_rules! newest {
    ($conn:expr, $filter:expr, $limit:expr, $places:literal, $here:literal, $order:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "select e.id, e.at, e.run_id, e.repository_id, e.project_id, p.slug as \"project_slug?\", e.delivery_id, e.actor, \
                 e.kind, e.detail from " + $places
                + " cross join lateral (select n.* from audit.flow_events n where " + $here
                + " and n.id < $1 and ($2::text is null or lower(n.actor) = lower($2)) \
                   and ($3::text is null or n.kind = $3 or starts_with(n.kind, $3 || '.')) \
                   and ($4::uuid is null or n.run_id = $4) \
                   and ($5::timestamptz is null or n.at >= $5) and ($6::timestamptz is null or n.at < $6) \
                   order by " + $order + " limit $7) e left join projects p on p.id = e.project_id order by e.id desc limit $7",
            $filter.before.unwrap_or(Uuid::max()),
            clean_opt($filter.actor),
            clean_opt($filter.kind),
            $filter.run.map(RunId::as_uuid),
            $filter.since,
            $filter.until,
            $limit
            $(, $argument)*
        )
        .fetch_all($conn)
    };
}

/// Lists events, the newest first: their ids are in the order in which they were written down.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, filter: AuditFilter<'_>, limit: i64) -> Result<Vec<FlowEvent>> {
    let (project, person) = (filter.project.map(ProjectId::as_uuid), filter.seen_by.map(PersonId::as_uuid));
    if project.is_none() && person.is_none() {
        if filter.kind.is_some() {
            return of_kind(conn, filter, limit).await;
        }
        let rows =
            newest!(conn, filter, limit, "(values (true)) place (all_of_it)", "place.all_of_it", "n.id desc").await?;
        return Ok(rows.into_iter().map(FlowEvent::from).collect());
    }
    let mut rows = newest!(
        &mut *conn,
        filter,
        limit,
        "(select o.id from repositories o where ($8::uuid is null or o.project_id = $8) and ($9::uuid is null or exists ( \
             select from project_members m where m.project_id = o.project_id and m.person_id = $9))) place",
        "n.repository_id between place.id and place.id",
        "n.repository_id desc, n.id desc",
        project,
        person
    )
    .await?;
    let of_projects = newest!(
        conn,
        filter,
        limit,
        "(select p.id from projects p where ($8::uuid is null or p.id = $8) and ($9::uuid is null or exists ( \
             select from project_members m where m.project_id = p.id and m.person_id = $9))) place",
        "n.project_id between place.id and place.id",
        "n.project_id desc, n.id desc",
        project,
        person
    )
    .await?;
    rows.extend(of_projects);
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
    rows.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(rows.into_iter().map(FlowEvent::from).collect())
}

/// Events of the kinds that are asked for, whosever they are, the newest first.
///
/// Each kind that there is of them is found by one look into the index of kinds: there are a few dozen at most. In the order of bytes
/// all that begin with a kind and a dot stand together, before the next character's.
async fn of_kind(conn: &mut PgConnection, filter: AuditFilter<'_>, limit: i64) -> Result<Vec<FlowEvent>> {
    let rows = newest!(
        conn,
        filter,
        limit,
        "(with recursive here (kind) as ( \
             (select k.kind collate \"C\" from audit.flow_events k where k.kind collate \"C\" >= $3::text \
                 and k.kind collate \"C\" < $3::text || '/' order by k.kind collate \"C\" limit 1) \
             union all \
             select (select k.kind collate \"C\" from audit.flow_events k where k.kind collate \"C\" > here.kind \
                 and k.kind collate \"C\" < $3::text || '/' order by k.kind collate \"C\" limit 1) \
             from here where here.kind is not null) \
         select here.kind from here where here.kind is not null) place",
        "n.kind collate \"C\" between place.kind and place.kind",
        "n.kind collate \"C\" desc, n.id desc"
    )
    .await?;
    Ok(rows.into_iter().map(FlowEvent::from).collect())
}
