//! `GET /api/v1/deliveries/{delivery}`

use axum::response::Response;
use domain::{ids::DeliveryId, people::ProjectRole};
use http::HeaderMap;
use serde::Serialize;
use store::{deliveries, repositories};
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    found,
    list::Delivery,
};
use crate::{auth::Caller, problem::Problem};

/// How many replays are told of one delivery.
const MOST_REPLAYS: u32 = 50;

/// A delivery, with where it belongs.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct DeliveryDetail {
    delivery: Delivery,
    /// What the caller may do in its project.
    my_role: ProjectRole,
    /// Short name of the project; none if its repository was not connected.
    project: Option<String>,
    /// `owner/name`, as it is called now.
    repository: Option<String>,
    /// The deliveries that judge its event once more, the newest 50 first.
    #[schema(max_items = 50)]
    replays: Vec<Delivery>,
}

/// One delivery
#[utoipa::path(
    get, path = "/api/v1/deliveries/{delivery}", tag = "deliveries",
    params(("delivery" = DeliveryId, Path, description = "Which.")),
    responses((status = 200, description = "The delivery.", body = DeliveryDetail))
)]
pub(in crate::api) async fn read_delivery(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<DeliveryId>,
) -> Result<Response, Problem> {
    let (delivery, my_role) = found(&caller, id, ProjectRole::Read).await?;
    let mut conn = caller.store().acquire().await?;
    let names = match delivery.repository {
        Some(repository) => repositories::names(&mut conn, &[repository]).await?.pop(),
        None => None,
    };
    // A repository that another project has attached meanwhile is another one: what became of the event there is not told here.
    let mut replays = deliveries::replays(&mut conn, id, MOST_REPLAYS).await?;
    replays.retain(|replay| caller.sees_all() || replay.repository == delivery.repository);
    let detail = DeliveryDetail {
        delivery: delivery.into(),
        my_role,
        repository: names.as_ref().map(repositories::Names::full_name),
        project: names.map(|names| names.project),
        replays: replays.into_iter().map(Delivery::from).collect(),
    };
    Ok(tagged(&headers, &detail))
}
