//! What came in, what became of it, and what would become of it now.

pub(super) mod decision;
pub(super) mod list;
pub(super) mod read;
pub(super) mod replay;

use domain::{ids::DeliveryId, people::ProjectRole, sentences};
use http::StatusCode;
use ingest::replay::ReplayError;
use store::{deliveries, repositories};

use crate::{auth::Caller, problem::Problem};

/// What is said about a delivery that there is not, or that may not be seen.
fn no_delivery() -> Problem {
    let detail = sentences::delivery_not_found();
    Problem::new(StatusCode::NOT_FOUND, "delivery_not_found", detail)
}

/// A delivery and what the caller may do with it, if they may do this. What belongs to no project is for those who run the platform.
///
/// # Errors
/// 404; 403 if they may see it, but not do this; 503 if the database does not answer.
async fn found(
    caller: &Caller,
    id: DeliveryId,
    needed: ProjectRole,
) -> Result<(deliveries::Delivery, ProjectRole), Problem> {
    let mut conn = caller.store().acquire().await?;
    let delivery = deliveries::get(&mut conn, id).await?.ok_or_else(no_delivery)?;
    let Some(repository) = delivery.repository else {
        return if caller.sees_all() { Ok((delivery, ProjectRole::Admin)) } else { Err(no_delivery()) };
    };
    let project = repositories::get(&mut conn, repository).await?.project;
    drop(conn);
    let role = caller.in_project(project, needed, no_delivery).await?;
    Ok((delivery, role))
}

fn refused(error: ReplayError) -> Problem {
    match error {
        ReplayError::NotSent => Problem::new(StatusCode::CONFLICT, "delivery_not_sent", sentences::delivery_not_sent()),
        ReplayError::BodyGone => Problem::new(StatusCode::CONFLICT, "body_gone", sentences::delivery_body_gone()),
        ReplayError::Store(error) => error.into(),
    }
}
