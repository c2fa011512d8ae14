//! The staff API: `/api/v1`, described at `/api/openapi.json` from the code itself. One operation a file.
//!
//! Every handler takes a [`Caller`](crate::auth::Caller): without one it has no data.

mod agents;
mod attention;
mod audit;
mod body;
mod connections;
mod deliveries;
mod etag;
mod idempotency;
mod live;
mod me;
mod members;
mod paging;
mod pauses;
mod people;
mod projects;
mod reasons;
mod repositories;
mod runs;
mod sessions;
mod settings;
mod tokens;

use axum::{Json, Router, extract::DefaultBodyLimit, response::IntoResponse, routing::get};
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        Content, Ref, RefOr, Response, SecurityRequirement,
        path::{Operation, PathItem},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::AppState, auth::ApiState, problem::PROBLEM_JSON};

/// No body of the API is larger.
const MAX_BODY: usize = 64 * 1024;

/// An answer that is no success.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct DescribedProblem {
    /// Always `about:blank`: `code` is what tells problems apart.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// One sentence: what is wrong and what helps.
    detail: String,
    /// The same by its code, where people may see it in the console.
    detail_coded: Option<domain::sentences::Coded>,
    /// A stable word for programs.
    code: String,
    /// Names the line of the log.
    request_id: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "codex-k8s staff API",
        version = "1",
        description = "Everything that the console does. Sign in with a browser at `/auth/login` (writes then need the \
                       platform's own `Origin`), or send a token for scripts as a bearer token. Lists are read page by \
                       page: send `next` of a page as `cursor`. A write that makes something takes an `Idempotency-Key`; \
                       the same key with the same body gets the same answer for a day. A problem is \
                       `application/problem+json` with a stable `code`."
    ),
    components(schemas(DescribedProblem, domain::sentences::Param))
)]
struct Described;

fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(me::read::me, me::change::change_me))
        .routes(routes!(sessions::list::list_sessions))
        .routes(routes!(sessions::revoke::revoke_session))
        .routes(routes!(tokens::list::list_tokens, tokens::create::create_token))
        .routes(routes!(tokens::revoke::revoke_token))
        .routes(routes!(people::list::list_people, people::add::add_person))
        .routes(routes!(people::read::read_person, people::change::change_person))
        .routes(routes!(people::give_grant::give_operator_grant))
        .routes(routes!(people::withdraw_grant::withdraw_operator_grant))
        .routes(routes!(projects::list::list_projects, projects::create::create_project))
        .routes(routes!(projects::read::read_project, projects::change::change_project))
        .routes(routes!(projects::delete::delete_project))
        .routes(routes!(projects::export::export_project))
        .routes(routes!(projects::settings::read_settings))
        .routes(routes!(members::list::list_members, members::put::put_member))
        .routes(routes!(members::remove::remove_member))
        .routes(routes!(runs::list::list_runs, runs::start::start_run))
        .routes(routes!(runs::read::read_run))
        .routes(routes!(runs::log::read_log))
        .routes(routes!(runs::search_log::search_log))
        .routes(routes!(runs::download_log::download_log))
        .routes(routes!(runs::prompt::read_prompt))
        .routes(routes!(runs::job::read_job))
        .routes(routes!(runs::diff::read_diff))
        .routes(routes!(runs::history::read_history))
        .routes(routes!(runs::cancel::cancel_run))
        .routes(routes!(runs::force::force_run))
        .routes(routes!(runs::retry::retry_run))
        .routes(routes!(live::follow::follow_live))
        .routes(routes!(deliveries::list::list_deliveries))
        .routes(routes!(deliveries::read::read_delivery))
        .routes(routes!(deliveries::decision::decide_delivery))
        .routes(routes!(deliveries::replay::replay_delivery))
        .routes(routes!(attention::read_attention))
        .routes(routes!(repositories::list::list_repositories))
        .routes(routes!(repositories::attach::attach_repository))
        .routes(routes!(repositories::check::check_repository))
        .routes(routes!(repositories::rotate::rotate_secret))
        .routes(routes!(repositories::detach::detach_repository))
        .routes(routes!(connections::read_connection))
        .routes(routes!(agents::list::list_agents))
        .routes(routes!(agents::versions::list_versions))
        .routes(routes!(settings::read_platform_settings))
        .routes(routes!(audit::list::list_audit))
        .routes(routes!(audit::export::export_audit))
        .routes(routes!(pauses::list::list_pauses, pauses::begin::begin_pause))
        .routes(routes!(pauses::end::end_pause))
}

/// The description of the staff API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut described = routes().into_openapi();
    let components = described.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token for scripts.")).build();
    components.add_security_scheme("api_token", SecurityScheme::Http(bearer));
    let cookie =
        ApiKeyValue::with_description("codexk8s-access", "A browser's sign-in; the real name depends on the platform.");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let none: [&str; 0] = [];
    described.security =
        Some(vec![SecurityRequirement::new("session", none), SecurityRequirement::new("api_token", none)]);
    for item in described.paths.paths.values_mut() {
        operations(item).for_each(describe_problems);
    }
    described
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

/// Every operation may be refused, and always in the same form.
fn describe_problems(operation: &mut Operation) {
    let mut problem = Response::new("What is wrong, and what helps.");
    let form = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    problem.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(form));
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}

/// The addresses of the staff API.
pub(crate) fn router(state: AppState) -> Router<AppState> {
    let (router, _) = routes().split_for_parts();
    let router = router.layer(DefaultBodyLimit::max(MAX_BODY)).with_state(ApiState::new(state));
    Router::new().merge(router).route("/api/openapi.json", get(describe))
}

async fn describe() -> impl IntoResponse {
    Json(openapi())
}
