//! `GET /api/v1/audit/export`

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::ids::RunId;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
};
use serde::Deserialize;
use store::{Store, StoreError, audit, reads::Freshness};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{super::body::Asked, AuditEvent, Wanted, Which};
use crate::{auth::Caller, problem::Problem};

/// Which events. What is left away does not matter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ExportQuery {
    /// Short name of the project.
    project: Option<String>,
    /// Login of who did it, or a part of the platform.
    actor: Option<String>,
    /// Of this kind, or of all that begin with it and a dot.
    kind: Option<String>,
    run: Option<RunId>,
    /// At this time or later.
    since: Option<DateTime<Utc>>,
    /// Before this time.
    until: Option<DateTime<Utc>>,
}

/// How many events are read at a time.
const BATCH: i64 = 500;

/// The same as JSON Lines: one event a line, the newest first, to the last
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "One event a line.", body = AuditEvent, content_type = "application/x-ndjson"))
)]
pub(in crate::api) async fn export_audit(
    caller: Caller,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    let ExportQuery { project, actor, kind, run, since, until } = query;
    let wanted = Wanted::read(&caller, Which { project, actor, kind, run, since, until }).await?;
    // The first part is read before anything is answered, so that a database that is away is told as such.
    let first = part(caller.store(), &wanted, None).await?;
    let store = caller.store().clone();
    let lines =
        rest(store, wanted, first.1).inspect_err(|error| tracing::warn!(%error, "an export of the audit was cut off"));
    let whole = stream::iter([Ok(first.0)]).chain(lines);
    let mut response = Body::from_stream(whole).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.jsonl\""));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Lines of a part, and where the next one begins.
async fn part(store: &Store, wanted: &Wanted, before: Option<Uuid>) -> Result<(Bytes, Option<Uuid>), StoreError> {
    let mut conn = store.read(Freshness::Tolerant).await?;
    let rows = audit::list(&mut conn, wanted.filter(before), BATCH).await?;
    let next = (i64::try_from(rows.len()).unwrap_or(BATCH) == BATCH).then(|| rows.last().map(|row| row.id)).flatten();
    let mut lines = Vec::new();
    for row in rows {
        // What came out of the database as JSON goes back to it.
        lines.extend(serde_json::to_vec(&AuditEvent::from(row)).unwrap_or_default());
        lines.push(b'\n');
    }
    Ok((lines.into(), next))
}

fn rest(store: Store, wanted: Wanted, from: Option<Uuid>) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::try_unfold((store, wanted, from), |(store, wanted, from)| async move {
        let Some(before) = from else { return Ok(None) };
        let (lines, next) = part(&store, &wanted, Some(before)).await?;
        Ok(Some((lines, (store, wanted, next))))
    })
}
