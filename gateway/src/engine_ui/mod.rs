//! `/ops/temporal/`: the engine's own web UI, for those who run the platform.
//!
//! The gateway stands in front of it because it asks nobody who they are. It lets owner and admins look; who holds the operator
//! grant may write. A write is judged by the call of the engine's API, signed with the person's name, and written down
//! before it is sent. The browser's cookies end here.

mod calls;
mod offer;
mod place;
mod policy;
mod signature;
mod upstream;
mod visitor;
mod writes;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use http::{
    Method, StatusCode,
    header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE},
    request,
    response::Parts,
};
use store::operator_grants;
use url::Url;

use self::{
    calls::Kind,
    place::Place,
    upstream::{MAX_READ, Sent, Upstream, bounded, returned, whole},
    visitor::Visit,
    writes::Write,
};
use crate::{
    app::AppState,
    auth::Caller,
    outgoing::OutgoingError,
    problem::{Foreign, Problem, not_found},
};

/// Where it is.
pub(crate) const PATH: &str = "/ops/temporal";

/// The engine's web UI behind this gateway. Cloning shares its connections.
#[derive(Clone)]
pub struct EngineUi(Upstream);

impl EngineUi {
    /// The UI at this address, which serves itself below `/ops/temporal`.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(url: &Url) -> Result<Self, OutgoingError> {
        Ok(Self(Upstream::new(url)?))
    }
}

/// The addresses of the UI.
pub(crate) fn router() -> Router<AppState> {
    let rest = format!("{PATH}/{{*rest}}");
    Router::new().route(PATH, any(pass)).route(&format!("{PATH}/"), any(pass)).route(&rest, any(pass))
}

async fn pass(State(state): State<AppState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    passed(&state, parts, body).await.unwrap_or_else(|answer| answer)
}

async fn passed(state: &AppState, parts: request::Parts, body: Body) -> Result<Response, Response> {
    let Some(place) = Place::read(parts.uri.path()) else { return Err(not_found().await.into_response()) };
    let asked = match &place {
        Place::Api(Some(call)) => calls::find(&parts.method, call),
        _ => None,
    };
    let writes = match &place {
        Place::Page(_) => false,
        Place::Settings => parts.method != Method::GET,
        Place::Api(_) => asked.as_ref().is_none_or(|asked| asked.call.kind != Kind::Read),
    };
    let page = matches!(place, Place::Page(_));
    let visit = Visit { method: &parts.method, uri: &parts.uri, headers: &parts.headers, page, writes };
    let caller = visitor::admit(state, &visit).await?;
    if page {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(no_such_method());
        }
        if let Some(to) = visitor::back_from_login(&parts.uri) {
            return Ok(visitor::lead_on(&to));
        }
    }
    let done = async {
        let upstream = configured(state)?;
        if writes {
            writes::allowed(&caller).await?;
            let body = read(body).await?;
            let about = (parts.method.clone(), &parts.uri, parts.headers.clone());
            let write = Write::read(&caller, asked.as_ref(), about, body).await?;
            return write.send(caller, upstream).await;
        }
        look(&caller, &upstream, (&parts, &place), body).await
    };
    let answer = done.await.map_err(|problem| problem.with_message().into_response())?;
    Ok(answer.into_response(state))
}

/// Passes on what changes nothing.
async fn look(
    caller: &Caller,
    upstream: &Upstream,
    (asked, place): (&request::Parts, &Place),
    body: Body,
) -> Result<Passed, Problem> {
    let accept = asked.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // What is read on its way must not come packed.
    let packed = !accept.contains("text/html") && *place != Place::Settings;
    let body = read(body).await?;
    let sent = Sent { method: &asked.method, uri: &asked.uri, headers: &asked.headers, body, packed };
    let (mut parts, body) = upstream.send(sent).await?;
    if *place == Place::Settings && parts.status.is_success() {
        let settings = whole(body).await?;
        let grant = operator_grants::of(&mut *caller.store().acquire().await?, caller.person().id).await?;
        let namespace = &caller.app().dispatcher().engine().settings().namespace;
        let told = offer::told(&settings, namespace, grant.is_some());
        parts.headers.remove(CONTENT_LENGTH);
        return Ok(Passed { parts, read: Read::Whole(told.unwrap_or_default()) });
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/html") && asked.method == Method::GET {
        let page = whole(body).await?;
        return Ok(Passed { parts, read: Read::Page(page) });
    }
    Ok(Passed { parts, read: Read::OnItsWay(body) })
}

/// An answer of the UI.
struct Passed {
    parts: Parts,
    read: Read,
}

/// Its body.
enum Read {
    /// Passed on as it comes.
    OnItsWay(Body),
    /// Read by us.
    Whole(Bytes),
    /// The same, and a page.
    Page(Bytes),
}

impl Passed {
    fn into_response(self, state: &AppState) -> Response {
        let mut headers = returned(&self.parts);
        let (body, page) = match self.read {
            Read::OnItsWay(body) => (bounded(body), None),
            Read::Whole(bytes) => (Body::from(bytes), None),
            Read::Page(bytes) => (Body::from(bytes.clone()), Some(bytes)),
        };
        if let Some(sign_in) = state.sign_in() {
            let page = page.as_deref().map(String::from_utf8_lossy);
            policy::protect(&mut headers, sign_in.public_url(), page.as_deref());
        }
        (self.parts.status, headers, axum::Extension(Foreign), body).into_response()
    }
}

fn configured(state: &AppState) -> Result<Upstream, Problem> {
    let missing = || {
        let detail = "this gateway does not know where the engine's own web UI is: set TEMPORAL_UI_URL";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "engine_ui_not_configured", detail)
    };
    state.engine_ui().map(|ui| ui.0.clone()).ok_or_else(missing)
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, MAX_READ).await.map_err(|_| {
        let detail = format!("a request to the engine has at most {MAX_READ} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    })
}

fn no_such_method() -> Response {
    let problem =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not know the method");
    let mut response = problem.into_response();
    response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
    response
}
