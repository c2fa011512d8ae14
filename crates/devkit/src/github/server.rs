//! The way of every request: names, trouble on demand, the handlers, and what stands in every answer.

use std::time::Duration;

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    access::caller_of,
    control,
    error::ApiError,
    forge::Forge,
    git_http,
    knobs::{Effect, Knob},
    oauth, pages, permissions,
    record::Exchange,
    rest,
};

/// Answers that are held to be looked at are never larger.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// Everything the stand-in serves.
pub(crate) fn app(forge: Forge) -> Router {
    let inner = Router::new()
        .merge(rest::router())
        .merge(git_http::router())
        .merge(oauth::router())
        .merge(pages::router())
        .route("/_standin/knobs", post(turn))
        .fallback(|| async { ApiError::NotFound })
        .layer(middleware::from_fn_with_state(forge.clone(), permissions::enforce))
        .layer(middleware::from_fn_with_state(forge.clone(), around))
        .with_state(forge.clone());
    // Names are settled before the routes are looked at, so they need a router around the router.
    Router::new().fallback_service(inner).layer(middleware::from_fn_with_state(forge, names))
}

async fn turn(State(forge): State<Forge>, rest::Body(knob): rest::Body<Knob>) -> Result<StatusCode, ApiError> {
    control::turn(&forge, knob).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Settles `/api/v3`, `/repositories/{id}` and names of before.
async fn names(State(forge): State<Forge>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let path = path.strip_prefix("/api/v3").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let mut path = path.to_owned();
    if let Some(rest) = path.strip_prefix("/repositories/") {
        let (id, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let id: Option<u64> = id.parse().ok();
        let name = forge.read(|view| {
            let repo = view.model.repos.get(&id?)?;
            Some(view.model.full_name(repo))
        });
        let Some(name) = name else { return ApiError::NotFound.into_response() };
        path = format!("/repos/{name}{tail}");
    }
    if let Some(target) = moved(&forge, &path, request.uri().query()) {
        return redirect(request.method(), &target);
    }
    let whole = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let Ok(uri) = whole.parse::<Uri>() else { return ApiError::NotFound.into_response() };
    *request.uri_mut() = uri;
    next.run(request).await
}

/// Where a repository went that had another name before.
fn moved(forge: &Forge, path: &str, query: Option<&str>) -> Option<String> {
    let (api, rest) = match path.strip_prefix("/repos/") {
        Some(rest) => (true, rest),
        None => (false, path.strip_prefix('/')?),
    };
    let mut parts = rest.splitn(3, '/');
    let (owner, name, tail) = (parts.next()?, parts.next()?, parts.next());
    let bare = name.strip_suffix(".git").filter(|_| !api).unwrap_or(name);
    let mut target = forge.read(|view| {
        let repo = view.model.renamed(owner, bare)?;
        Some(if api {
            format!("{}/repositories/{}", view.base, repo.id)
        } else {
            let suffix = if bare == name { "" } else { ".git" };
            format!("{}/{}{suffix}", view.base, view.model.full_name(repo))
        })
    })?;
    if let Some(tail) = tail {
        target = format!("{target}/{tail}");
    }
    Some(query.map_or(target.clone(), |query| format!("{target}?{query}")))
}

fn redirect(method: &Method, target: &str) -> Response {
    let (status, message) = if *method == Method::GET || *method == Method::HEAD {
        (StatusCode::MOVED_PERMANENTLY, "Moved Permanently")
    } else {
        (StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect")
    };
    let body = json!({
        "message": message, "url": target,
        "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
    });
    let mut response = (status, Json(body)).into_response();
    if let Ok(target) = HeaderValue::from_str(target) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}

/// Trouble on demand, rate headers, entity tags and the record.
async fn around(State(forge): State<Forge>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if path.starts_with("/_standin/") {
        return next.run(request).await;
    }
    let effects = forge.knobs.meet(method.as_str(), &path);
    for effect in &effects {
        match effect {
            Effect::Latency(millis) => tokio::time::sleep(Duration::from_millis(*millis)).await,
            Effect::Error(status) => return trouble(*status),
            Effect::SecondaryLimit { status, retry_after } => return limited(*status, *retry_after),
            Effect::ErrorAfter(_) => {}
        }
    }
    let is_git = path.ends_with("/info/refs") || path.contains("/git-");
    let headers = request.headers().clone();
    let mut response = if is_git { next.run(request).await } else { exchange(&forge, request, next).await };
    if let Some(Effect::ErrorAfter(status)) = effects.iter().find(|effect| matches!(effect, Effect::ErrorAfter(_))) {
        return trouble(*status);
    }
    if !is_git {
        response = tagged(&method, &headers, response).await;
        add_rate_headers(&forge, &headers, &mut response);
    }
    response
}

fn trouble(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    (status, Json(json!({"message": "Server Error"}))).into_response()
}

fn limited(status: u16, retry_after: u32) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let body = json!({
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        "status": status.as_str(),
    });
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    response
}

/// Runs the handler, and keeps both sides when a record is asked for.
async fn exchange(forge: &Forge, request: Request, next: Next) -> Response {
    // Sign-in is no part of the described interface.
    if !forge.recorder.is_on() || request.uri().path().starts_with("/login/") {
        return next.run(request).await;
    }
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (parts, body) = request.into_parts();
    let sent = to_bytes(body, MAX_HELD).await.unwrap_or_default();
    let response = next.run(Request::from_parts(parts, Body::from(sent.clone()))).await;
    let (parts, body) = response.into_parts();
    let got = to_bytes(body, MAX_HELD).await.unwrap_or_default();
    let json = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).ok();
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    forge.recorder.add(Exchange {
        method,
        path,
        query,
        request: json(&sent),
        status: parts.status.as_u16(),
        content_type: content_type.map(str::to_owned),
        response: json(&got),
    });
    Response::from_parts(parts, Body::from(got))
}

/// Adds an entity tag to what was read, and answers 304 where the client has it already.
async fn tagged(method: &Method, headers: &HeaderMap, response: Response) -> Response {
    if *method != Method::GET || response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_HELD).await.unwrap_or_default();
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&body)));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

fn add_rate_headers(forge: &Forge, headers: &HeaderMap, response: &mut Response) {
    let caller = caller_of(forge, headers).ok().and_then(|caller| caller.0);
    let now = forge.clock.now();
    // What was not modified costs nothing.
    if response.status() != StatusCode::NOT_MODIFIED {
        forge.knobs.count(caller, now);
    }
    let (used, reset) = forge.knobs.budget(caller, now);
    let limit = rest::HOURLY_LIMIT;
    let out = response.headers_mut();
    out.insert("x-ratelimit-limit", HeaderValue::from(limit));
    out.insert("x-ratelimit-used", HeaderValue::from(used));
    out.insert("x-ratelimit-remaining", HeaderValue::from(limit.saturating_sub(used)));
    out.insert("x-ratelimit-reset", HeaderValue::from(reset));
    out.insert("x-ratelimit-resource", HeaderValue::from_static("core"));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().simple().to_string()) {
        out.insert("x-github-request-id", id);
    }
}
