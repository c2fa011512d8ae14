//! `GET /api/v1/pauses`

use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use store::pauses;
use utoipa::ToSchema;

use super::{super::etag::tagged, Pause, may_pause};
use crate::{auth::Caller, problem::Problem};

/// The pauses that hold now, those of the whole platform first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Pauses {
    items: Vec<Pause>,
}

/// The pauses that hold for the platform and for the projects that you see
#[utoipa::path(
    get, path = "/api/v1/pauses", tag = "pauses",
    responses((status = 200, description = "What is paused.", body = Pauses))
)]
pub(in crate::api) async fn list_pauses(caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    let seen_by = (!caller.sees_all()).then_some(caller.person().id);
    let rows = pauses::list(&mut *caller.store().acquire().await?, seen_by).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let may_end = may_pause(&caller, row.project.as_ref().map(|(id, _)| *id)).await.is_ok();
        items.push(Pause::of(row, may_end));
    }
    Ok(tagged(&headers, &Pauses { items }))
}
