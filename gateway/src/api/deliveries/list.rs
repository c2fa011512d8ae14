//! `GET /api/v1/deliveries`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    ids::{DeliveryId, RepositoryId, RunId},
    people::ProjectRole,
    sentences::{self, Coded},
    triggers::{DeliverySource, VerdictKind},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::{
    deliveries::{self, DeliveryFilter},
    reads::Freshness,
};
use utoipa::{IntoParams, ToSchema};

use super::super::{body::Asked, etag::tagged, paging, paging::Page};
use crate::{auth::Caller, problem::Problem};

/// Which deliveries. What is left away does not matter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DeliveriesQuery {
    /// Short name of the project.
    project: Option<String>,
    /// Number of the issue or pull request.
    number: Option<u32>,
    /// GitHub's id of the delivery.
    guid: Option<String>,
    verdict: Option<VerdictKind>,
    /// How many entries, 1 to 200; 50 unless asked otherwise.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Something that came in.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Delivery {
    id: DeliveryId,
    /// GitHub's id of it; ours where no hook sent it.
    guid: String,
    event: String,
    action: Option<String>,
    /// None if it was not connected.
    repository: Option<RepositoryId>,
    /// Number of the issue or pull request.
    number: Option<i64>,
    /// Login of whoever caused it.
    sender: Option<String>,
    verdict: VerdictKind,
    /// Why, as a sentence.
    reason: String,
    /// The same by its code.
    reason_coded: Option<Coded>,
    /// The run that it started, told or found.
    run: Option<RunId>,
    received_at: DateTime<Utc>,
    source: DeliverySource,
    /// The delivery whose event this judges once more.
    replay_of: Option<DeliveryId>,
}

impl From<deliveries::Delivery> for Delivery {
    fn from(row: deliveries::Delivery) -> Self {
        Self {
            id: row.id,
            guid: row.guid,
            event: row.event,
            action: row.action,
            repository: row.repository,
            number: row.subject_number,
            sender: row.sender_login,
            verdict: row.verdict,
            reason_coded: sentences::read(&row.reason),
            reason: row.reason,
            run: row.run,
            received_at: row.received_at,
            source: row.source,
            replay_of: row.replay_of,
        }
    }
}

/// What came in about the projects that you see, the newest first
///
/// Who runs the platform also sees what came about repositories that are not connected. What is not signed is not kept.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "deliveries", params(DeliveriesQuery),
    responses((status = 200, description = "A page of the list.", body = Page<Delivery>))
)]
pub(in crate::api) async fn list_deliveries(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<DeliveriesQuery>,
) -> Result<Response, Problem> {
    let limit = paging::limit(query.limit)?;
    let before: Option<(DateTime<Utc>, DeliveryId)> = paging::after(query.cursor.as_deref())?;
    let project = match &query.project {
        Some(slug) => Some(caller.on_project(slug, ProjectRole::Read).await?.id),
        None => None,
    };
    let filter = DeliveryFilter {
        seen_by: (!caller.sees_all()).then_some(caller.person().id),
        project,
        subject_number: query.number.map(i64::from),
        guid: query.guid.as_deref(),
        verdict: query.verdict,
        before,
    };
    let mut conn = caller.store().read(Freshness::Tolerant).await?;
    let fetched = u32::try_from(paging::fetched(limit)).unwrap_or(u32::MAX);
    let rows = deliveries::list(&mut conn, filter, fetched).await?;
    let page: Page<Delivery> = paging::page(rows, limit, |row| (row.received_at, row.id));
    Ok(tagged(&headers, &page))
}
