//! `GET /api/v1/people/{person}`

use axum::response::Response;
use domain::{ids::PersonId, people::PlatformRole};
use http::HeaderMap;

use super::{
    super::{body::At, etag::tagged},
    Person,
};
use crate::{auth::Caller, problem::Problem};

/// Somebody on the list
#[utoipa::path(
    get, path = "/api/v1/people/{person}", tag = "people", params(("person" = PersonId, Path, description = "Who.")),
    responses((status = 200, description = "The person; the `ETag` goes with a change.", body = Person))
)]
pub(in crate::api) async fn read_person(
    caller: Caller,
    headers: HeaderMap,
    At(person): At<PersonId>,
) -> Result<Response, Problem> {
    caller.on_platform(PlatformRole::Admin)?;
    Ok(tagged(&headers, &Person::get(&mut *caller.store().acquire().await?, person).await?))
}
