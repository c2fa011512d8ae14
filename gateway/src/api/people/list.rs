//! `GET /api/v1/people`

use axum::response::Response;
use domain::{ids::PersonId, people::PlatformRole};
use http::HeaderMap;
use serde::Deserialize;
use store::{
    operator_grants,
    people::{self, PeoplePage},
};
use utoipa::IntoParams;

use super::{
    super::{body::Asked, etag::tagged, paging, paging::Page},
    Person,
};
use crate::{auth::Caller, problem::Problem};

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PeopleQuery {
    /// Part of address, login or name.
    q: Option<String>,
    /// How many entries, 1 to 200; 50 unless asked otherwise.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Who may sign in, by address
#[utoipa::path(
    get, path = "/api/v1/people", tag = "people", params(PeopleQuery),
    responses((status = 200, description = "A page of the list.", body = Page<Person>))
)]
pub(in crate::api) async fn list_people(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<PeopleQuery>,
) -> Result<Response, Problem> {
    caller.on_platform(PlatformRole::Admin)?;
    let limit = paging::limit(query.limit)?;
    let after: Option<String> = paging::after(query.cursor.as_deref())?;
    let page = PeoplePage {
        after: after.as_deref(),
        limit: paging::fetched(limit),
        text: query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()),
    };
    let mut conn = caller.store().acquire().await?;
    let rows = people::list(&mut conn, page).await?;
    let ids: Vec<PersonId> = rows.iter().map(|person| person.id).collect();
    let grants = operator_grants::held(&mut conn, &ids).await?;
    let rows = rows.into_iter().map(|person| {
        let grant = grants.iter().find(|grant| grant.person == person.id).cloned();
        (person, grant)
    });
    let page: Page<Person> = paging::page(rows.collect(), limit, |(person, _)| person.email.as_str().to_owned());
    Ok(tagged(&headers, &page))
}
