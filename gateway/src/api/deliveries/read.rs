//! `GET /api/v1/deliveries/{delivery}`

use axum::response::Response;
use domain::{ids::DeliveryId, people::ProjectRole};
use http::HeaderMap;
use serde::Serialize;
use store::repositories;
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    found,
    list::Delivery,
};
use crate::{auth::Caller, problem::Problem};

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
    let detail = DeliveryDetail {
        delivery: delivery.into(),
        my_role,
        repository: names.as_ref().map(repositories::Names::full_name),
        project: names.map(|names| names.project),
    };
    Ok(tagged(&headers, &detail))
}
