//! `GET /api/v1/projects/{project}/export`

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    ids::{DeliveryId, ProjectId},
    people::ProjectRole,
};
use futures::{StreamExt, TryStreamExt, stream};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
};
use serde_json::{Value, json};
use store::{
    PgConnection, Store, StoreError,
    audit::{self, AuditFilter},
    connected,
    deliveries::{self, DeliveryFilter},
    members, project_deletions, project_export,
    reads::Freshness,
    repositories,
    runs::{self, Cursor, Page, RunFilter},
};
use uuid::Uuid;

use super::super::body::At;
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// How many rows are read at a time.
const BATCH: u32 = 200;

/// Where the export goes on.
enum Next {
    Head,
    Members(Option<String>),
    Repositories,
    Runs(Option<Cursor>),
    Deliveries(Option<(DateTime<Utc>, DeliveryId)>),
    Audit(Option<Uuid>),
    End,
}

/// Everything that is kept of a project as JSON Lines: what it is, members, repositories, runs with attempts and steps, deliveries, audit
///
/// Each line says in `kind` what it is. Prompts, logs, payloads and secrets are not in it. The last line is of kind `end`: without it the
/// export was cut off.
#[utoipa::path(
    get, path = "/api/v1/projects/{project}/export", tag = "projects",
    params(("project" = String, Path, description = "Its short name.")),
    responses((status = 200, description = "One thing a line.", body = String, content_type = "application/x-ndjson"))
)]
pub(in crate::api) async fn export_project(caller: Caller, At(slug): At<String>) -> Result<Response, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Read).await?;
    caller.in_project(project.id, ProjectRole::Admin, crate::auth::no_project).await?;
    // The first part is read before anything is answered, so that a database that is away is told as such.
    let first = part(caller.store(), project.id, Next::Head).await?;
    let detail = json!({"project": project.id, "name": project.slug});
    let mut conn = caller.store().acquire().await?;
    caller.audit_about(&mut conn, "project.exported", detail, Some(DoneTo::Project(project.id))).await?;
    drop(conn);
    let store = caller.store().clone();
    let rest = stream::try_unfold((store, project.id, first.1), |(store, project, next)| async move {
        if matches!(next, Next::End) {
            return Ok::<_, StoreError>(None);
        }
        let (lines, next) = part(&store, project, next).await?;
        Ok(Some((lines, (store, project, next))))
    });
    let rest = rest.inspect_err(|error| tracing::warn!(%error, "an export of a project was cut off"));
    let mut response = Body::from_stream(stream::iter([Ok(first.0)]).chain(rest)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let name = format!("attachment; filename=\"{}.jsonl\"", project.slug.replace(['"', '\\', '\r', '\n'], "-"));
    let plain = HeaderValue::from_static("attachment; filename=\"project.jsonl\"");
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&name).unwrap_or(plain));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Lines of a part, and what comes then.
async fn part(store: &Store, project: ProjectId, next: Next) -> Result<(Bytes, Next), StoreError> {
    let mut conn = store.read(Freshness::Tolerant).await?;
    let (lines, next) = match next {
        Next::Head => head(&mut conn, project).await?,
        Next::Members(after) => members_part(&mut conn, project, after).await?,
        Next::Repositories => repositories_part(&mut conn, project).await?,
        Next::Runs(before) => runs_part(&mut conn, project, before).await?,
        Next::Deliveries(before) => deliveries_part(&mut conn, project, before).await?,
        Next::Audit(before) => audit_part(&mut conn, project, before).await?,
        Next::End => (Vec::new(), Next::End),
    };
    let mut bytes = Vec::new();
    for line in lines {
        // What came out of the database goes back into JSON.
        bytes.extend(serde_json::to_vec(&line).unwrap_or_default());
        bytes.push(b'\n');
    }
    Ok((bytes.into(), next))
}

type Part = (Vec<Value>, Next);

async fn head(conn: &mut PgConnection, id: ProjectId) -> Result<Part, StoreError> {
    let project = repositories::get_project(conn, id).await?;
    let deletion = project_deletions::find(conn, id).await?;
    let line = json!({
        "kind": "project", "id": id, "slug": project.slug, "slots": project.slots, "created_at": project.created_at,
        "deletion": deletion.map(|row| json!({
            "by": row.asked_by.login, "reason": row.reason, "asked_at": row.asked_at, "ended_at": row.ended_at,
        })),
    });
    Ok((vec![line], Next::Members(None)))
}

async fn members_part(conn: &mut PgConnection, id: ProjectId, after: Option<String>) -> Result<Part, StoreError> {
    let rows = members::list(conn, id, after.as_deref(), i64::from(BATCH)).await?;
    let more = rows.len() == BATCH as usize;
    let next = match rows.last().filter(|_| more) {
        Some(last) => Next::Members(Some(last.email.as_str().to_owned())),
        None => Next::Repositories,
    };
    let lines = rows.into_iter().map(|row| {
        json!({
            "kind": "member", "person": row.person, "email": row.email, "login": row.login, "name": row.name,
            "role": row.role, "added_at": row.added_at,
        })
    });
    Ok((lines.collect(), next))
}

async fn repositories_part(conn: &mut PgConnection, id: ProjectId) -> Result<Part, StoreError> {
    let slug = repositories::get_project(conn, id).await?.slug;
    let rows = connected::list(conn).await?.into_iter().filter(|row| row.project == slug);
    let lines = rows.map(|row| {
        json!({
            "kind": "repository", "id": row.repository, "full_name": row.full_name, "archived": row.archived,
            "detached_at": row.detached_at, "last_delivery_at": row.last_delivery_at,
            "credential": row.credential.map(|credential| json!({
                "kind": credential.kind, "login": credential.login, "expires_at": credential.expires_at,
            })),
        })
    });
    Ok((lines.collect(), Next::Runs(None)))
}

async fn runs_part(conn: &mut PgConnection, id: ProjectId, before: Option<Cursor>) -> Result<Part, StoreError> {
    let filter = RunFilter { project: Some(id), ..RunFilter::default() };
    let rows = runs::list(conn, filter, Page { before, limit: BATCH }).await?;
    let more = rows.len() == BATCH as usize;
    let next = match rows.last().filter(|_| more) {
        Some(last) => Next::Runs(Some(Cursor { created_at: last.created_at, id: last.id })),
        None => Next::Deliveries(None),
    };
    let ids: Vec<_> = rows.iter().map(|run| run.id).collect();
    let mut lines: Vec<Value> = rows
        .into_iter()
        .map(|run| {
            json!({
                "kind": "run", "id": run.id, "repository": run.repository_id, "about": run.subject.kind, "number": run.subject.number,
                "title": run.subject_title, "agent": run.agent, "trigger": run.trigger,
                "requested_by": run.requested_by_login, "instructions": run.instructions, "state": run.state,
                "step": run.step, "outcome": run.outcome, "cause": run.cause, "attempts": run.attempt,
                "branch": run.branch, "base_sha": run.base_sha, "head_sha": run.head_sha, "pull_request": run.pr_number,
                "cause_chain": run.cause_chain, "created_at": run.created_at, "started_at": run.started_at,
                "finished_at": run.finished_at,
            })
        })
        .collect();
    lines.extend(project_export::attempts(conn, &ids).await?.into_iter().map(|row| {
        json!({
            "kind": "attempt", "run": row.run, "attempt": row.attempt, "from_step": row.from_step,
            "agent_version": row.agent_version, "outcome": row.outcome, "cause": row.cause,
            "started_at": row.started_at, "finished_at": row.finished_at,
        })
    }));
    lines.extend(project_export::steps(conn, &ids).await?.into_iter().map(|row| {
        json!({
            "kind": "step", "run": row.run, "attempt": row.attempt, "step": row.step, "tries": row.tries,
            "state": row.state, "error": row.error, "started_at": row.started_at, "finished_at": row.finished_at,
        })
    }));
    Ok((lines, next))
}

async fn deliveries_part(
    conn: &mut PgConnection,
    id: ProjectId,
    before: Option<(DateTime<Utc>, DeliveryId)>,
) -> Result<Part, StoreError> {
    let filter = DeliveryFilter { project: Some(id), before, ..DeliveryFilter::default() };
    let rows = deliveries::list(conn, filter, BATCH).await?;
    let more = rows.len() == BATCH as usize;
    let next = match rows.last().filter(|_| more) {
        Some(last) => Next::Deliveries(Some((last.received_at, last.id))),
        None => Next::Audit(None),
    };
    let lines = rows.into_iter().map(|row| {
        json!({
            "kind": "delivery", "id": row.id, "guid": row.guid, "event": row.event, "action": row.action,
            "repository": row.repository, "number": row.subject_number, "sender": row.sender_login,
            "verdict": row.verdict, "reason": row.reason, "run": row.run, "received_at": row.received_at,
            "source": row.source, "replay_of": row.replay_of,
        })
    });
    Ok((lines.collect(), next))
}

async fn audit_part(conn: &mut PgConnection, id: ProjectId, before: Option<Uuid>) -> Result<Part, StoreError> {
    let filter = AuditFilter { project: Some(id), before, ..AuditFilter::default() };
    let rows = audit::list(conn, filter, i64::from(BATCH)).await?;
    let more = rows.len() == BATCH as usize;
    let next = rows.last().filter(|_| more).map(|last| Next::Audit(Some(last.id)));
    let mut lines: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            json!({
                "kind": "audit", "id": row.id, "at": row.at, "actor": row.actor, "what": row.kind, "run": row.run,
                "repository": row.repository, "delivery": row.delivery, "detail": row.detail,
            })
        })
        .collect();
    let next = next.unwrap_or_else(|| {
        lines.push(json!({ "kind": "end" }));
        Next::End
    });
    Ok((lines, next))
}
