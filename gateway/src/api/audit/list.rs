//! `GET /api/v1/audit`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::RunId;
use http::HeaderMap;
use serde::Deserialize;
use store::{audit, reads::Freshness};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    super::{body::Asked, etag::tagged, paging, paging::Page},
    AuditEvent, Wanted, Which,
};
use crate::{auth::Caller, problem::Problem};

/// Which events. What is left away does not matter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct AuditQuery {
    /// Short name of the project.
    project: Option<String>,
    /// Login of who did it, or a part of the platform.
    actor: Option<String>,
    /// Of this kind, such as `run_requested`, or of all that begin with it and a dot, such as `pause`.
    kind: Option<String>,
    run: Option<RunId>,
    /// At this time or later.
    since: Option<DateTime<Utc>>,
    /// Before this time.
    until: Option<DateTime<Utc>>,
    /// How many entries, 1 to 200; 50 unless asked otherwise.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What happened in the projects that you see, the newest first
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of the list.", body = Page<AuditEvent>))
)]
pub(in crate::api) async fn list_audit(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<AuditQuery>,
) -> Result<Response, Problem> {
    let limit = paging::limit(query.limit)?;
    let before: Option<Uuid> = paging::after(query.cursor.as_deref())?;
    let AuditQuery { project, actor, kind, run, since, until, .. } = query;
    let wanted = Wanted::read(&caller, Which { project, actor, kind, run, since, until }).await?;
    let mut conn = caller.store().read(Freshness::Tolerant).await?;
    let rows = audit::list(&mut conn, wanted.filter(before), paging::fetched(limit)).await?;
    let page: Page<AuditEvent> = paging::page(rows, limit, |row| row.id);
    Ok(tagged(&headers, &page))
}
