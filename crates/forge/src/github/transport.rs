//! Sending a request and reading the whole answer: time limits, size limits, redirects.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH, LINK, LOCATION, USER_AGENT},
};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use octocrab::{
    AuthState, OctoBody, Octocrab, OctocrabBuilder,
    service::middleware::{base_uri::BaseUriLayer, extra_headers::ExtraHeadersLayer},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{failure, route::Route};
use crate::{Clock, ForgeError, Outage, Secret};

const JSON: &str = "application/vnd.github+json";
const MAX_REDIRECTS: usize = 3;
const MAX_JSON_BYTES: usize = 16 << 20;

/// Of a log that is longer, the end is not looked for.
const MAX_LOG_BYTES: usize = 32 << 20;

/// How long the parts of a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Between two reads.
    pub read: Duration,
    /// Between two writes.
    pub write: Duration,
    /// For the whole request, redirects included.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), read: seconds(15), write: seconds(15), whole: seconds(30) }
    }
}

/// What a request came to, for those who count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How it was asked.
    pub method: Method,
    /// How it was answered, if it was.
    pub status: Option<u16>,
    /// How many requests are left in this hour, if the answer says so.
    pub remaining: Option<u32>,
    /// How long it took.
    pub took: Duration,
}

/// Is told of every request.
pub type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// A request.
pub(super) struct Call {
    method: Method,
    route: Route,
    accept: &'static str,
    body: Option<Value>,
    max_bytes: usize,
    /// The entity tag of the answer that the caller still has.
    known: Option<String>,
    /// Of a longer answer, keep its end; a redirect to another host is followed, without the credential.
    log: bool,
}

impl Call {
    pub(super) fn new(method: Method, route: Route) -> Self {
        Self { method, route, accept: JSON, body: None, max_bytes: MAX_JSON_BYTES, known: None, log: false }
    }

    pub(super) fn get(route: Route) -> Self {
        Self::new(Method::GET, route)
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Asks for something else than JSON, and no more than `max_bytes` of it.
    pub(super) fn accept(mut self, accept: &'static str, max_bytes: usize) -> Self {
        (self.accept, self.max_bytes) = (accept, max_bytes);
        self
    }

    /// Asks for a log, and for the last `max_bytes` of it. GitHub keeps logs elsewhere, behind addresses that are keys themselves.
    pub(super) fn end_of_log(mut self, max_bytes: usize) -> Self {
        (self.log, self.max_bytes) = (true, max_bytes);
        self
    }

    /// Asks for JSON of up to `max_bytes`.
    pub(super) fn up_to(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Asks only for what has changed since the answer with this entity tag: see [`Reply::unchanged`].
    pub(super) fn unless(mut self, known: Option<&str>) -> Self {
        self.known = known.map(str::to_owned);
        self
    }
}

/// A good answer.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether there was more than was asked for.
    pub(super) truncated: bool,
    /// Whether a redirect led to it.
    pub(super) moved: bool,
    /// Whether nothing has changed since the entity tag that was sent along; then there is no body.
    pub(super) unchanged: bool,
}

impl Reply {
    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        if self.truncated {
            return Err(ForgeError::Unexpected { detail: "the answer is too large".to_owned() });
        }
        serde_json::from_slice(&self.body).map_err(|error| ForgeError::Unexpected {
            detail: format!("the answer does not have the known form: {error}"),
        })
    }

    /// Whether a list goes on after this page.
    pub(super) fn has_next_page(&self) -> bool {
        self.next_link().is_some()
    }

    fn next_link(&self) -> Option<&str> {
        let links = self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        links.flat_map(|value| value.split(',')).find(|link| link.contains("rel=\"next\""))
    }

    /// The cursor of the page after this one.
    pub(super) fn next_cursor(&self) -> Option<String> {
        let (_, rest) = self.next_link()?.split_once('<')?;
        let url = url::Url::parse(rest.split_once('>')?.0).ok()?;
        url.query_pairs().find(|(key, _)| key == "cursor").map(|(_, cursor)| cursor.into_owned())
    }

    /// The entity tag of this answer.
    pub(super) fn etag(&self) -> Option<String> {
        self.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned)
    }
}

pub(super) struct Transport {
    client: Octocrab,
    base: Uri,
    clock: Clock,
    whole: Duration,
    pub(super) limit: SharedLimit,
    pub(super) observer: Option<Observer>,
}

/// Until when the forge limits a credential's requests. Asking on before then, whichever client asks, can get the
/// credential banned: so all clients of one share one.
#[derive(Clone, Debug, Default)]
pub struct SharedLimit(Arc<Mutex<Option<DateTime<Utc>>>>);

impl SharedLimit {
    fn until(&self) -> Option<DateTime<Utc>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

impl Transport {
    pub(super) fn new(base_url: &str, clock: Clock, timeouts: Timeouts) -> Result<Self, ForgeError> {
        let base = base_uri(base_url)?;
        let agent = HeaderValue::from_static(concat!("codex-k8s/", env!("CARGO_PKG_VERSION")));

        // Named here, because the process may hold several providers and no default.
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(Arc::new(rustls::crypto::ring::default_provider()))
            .map_err(|error| setup(&format!("no root certificates: {error}")))?
            .https_or_http()
            .enable_http1()
            .build();
        let mut connector = TimeoutConnector::new(tls);
        connector.set_connect_timeout(Some(timeouts.connect));
        connector.set_read_timeout(Some(timeouts.read));
        connector.set_write_timeout(Some(timeouts.write));
        // The read limit runs on while a connection idles: one that has idled long would cut the next request short.
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(timeouts.read / 3)
            .build::<_, OctoBody>(connector);

        // octocrab's own stack would follow redirects of writes as reads, and name itself as the user agent.
        let built = OctocrabBuilder::new_empty()
            .with_service(http)
            .with_layer(&ExtraHeadersLayer::new(Arc::new(vec![(USER_AGENT, agent)])))
            .with_layer(&BaseUriLayer::new(base.clone()))
            .with_auth(AuthState::None)
            .build();
        let client = match built {
            Ok(client) => client,
            Err(never) => match never {},
        };
        let limit = SharedLimit::default();
        Ok(Self { client, base, clock, whole: timeouts.whole, limit, observer: None })
    }

    /// The time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Sends it with this token and reads the answer; anything but success is an error.
    pub(super) async fn call(&self, call: &Call, token: &Secret) -> Result<Reply, ForgeError> {
        self.refuse_while_limited()?;
        let result = match tokio::time::timeout(self.whole, self.follow(call, token)).await {
            Ok(result) => result,
            Err(_) => Err(ForgeError::Unavailable { outage: Outage::TimedOut, retry_at: None }),
        };
        if let Err(ForgeError::RateLimited { retry_at, .. }) = &result {
            self.limit.set(*retry_at);
        }
        result
    }

    /// What one request was told holds for all of them.
    fn refuse_while_limited(&self) -> Result<(), ForgeError> {
        match self.limit.until().filter(|until| *until > self.now()) {
            Some(retry_at) => Err(ForgeError::RateLimited { retry_at, secondary: true }),
            None => Ok(()),
        }
    }

    /// GitHub asks to repeat a redirected request word for word at the new place, whatever its method.
    async fn follow(&self, call: &Call, token: &Secret) -> Result<Reply, ForgeError> {
        let mut bearer = Some(bearer(token)?);
        let mut uri = call.route.uri()?;
        for hop in 0..=MAX_REDIRECTS {
            let (status, headers, body, truncated) = self.send(call, (&uri, bearer.as_ref()), token).await?;
            let unchanged = status == StatusCode::NOT_MODIFIED && call.known.is_some();
            if status.is_success() || unchanged {
                return Ok(Reply { headers, body, truncated, moved: hop > 0, unchanged });
            }
            if !status.is_redirection() {
                let body = token.redact(&String::from_utf8_lossy(&body));
                return Err(failure::from_answer(status, &headers, &body, self.now()));
            }
            uri = match self.redirect_target(&headers)? {
                Target::Here(path) => path,
                Target::Elsewhere(there) if call.log => {
                    bearer = None;
                    there
                }
                Target::Elsewhere(_) => {
                    return Err(ForgeError::Unexpected { detail: "redirected to another host".to_owned() });
                }
            };
        }
        Err(ForgeError::Unexpected { detail: format!("redirected more than {MAX_REDIRECTS} times") })
    }

    async fn send(
        &self,
        call: &Call,
        (uri, bearer): (&Uri, Option<&HeaderValue>),
        token: &Secret,
    ) -> Result<(StatusCode, HeaderMap, Bytes, bool), ForgeError> {
        // Where there is a credential, only paths come here, so that it goes nowhere but to the base address.
        let mut builder = Request::builder().method(call.method.clone()).uri(uri).header(ACCEPT, call.accept);
        if let Some(bearer) = bearer {
            builder = builder.header(AUTHORIZATION, bearer);
        }
        if let Some(known) = &call.known {
            builder = builder.header(IF_NONE_MATCH, known);
        }
        let request = self
            .client
            .build_request(builder, call.body.as_ref())
            .map_err(|error| setup(&token.redact(&error.to_string())))?;
        let began = Instant::now();
        let answered = self.client.execute(request).await;
        self.tell(&call.method, answered.as_ref().ok().map(|answer| (answer.status(), answer.headers())), began);
        let response = answered.map_err(|error| transport_error(&error, token))?;
        let (parts, mut body) = response.into_parts();
        let mut read = Read { max_bytes: call.max_bytes, end: call.log, bytes: BytesMut::new(), seen: 0 };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| transport_error(&error, token))?;
            if let Ok(data) = frame.into_data()
                && !read.take(&data)
            {
                break;
            }
        }
        let truncated = read.seen > read.bytes.len();
        Ok((parts.status, parts.headers, read.bytes.freeze(), truncated))
    }

    fn tell(&self, method: &Method, answer: Option<(StatusCode, &HeaderMap)>, began: Instant) {
        let Some(observer) = &self.observer else { return };
        let remaining =
            answer.and_then(|(_, headers)| headers.get("x-ratelimit-remaining")?.to_str().ok()?.parse().ok());
        let status = answer.map(|(status, _)| status.as_u16());
        observer(&Exchange { method: method.clone(), status, remaining, took: began.elapsed() });
    }

    fn redirect_target(&self, headers: &HeaderMap) -> Result<Target, ForgeError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let target: Option<Uri> = location.and_then(|text| text.parse().ok());
        let Some(target) = target else {
            return Err(ForgeError::Unexpected { detail: "redirected to nowhere".to_owned() });
        };
        let same_place = target.authority().is_none()
            || (target.authority() == self.base.authority() && target.scheme() == self.base.scheme());
        match target.path_and_query() {
            // The credential is for this forge alone.
            Some(path) if same_place => Ok(Target::Here(Uri::from(path.clone()))),
            // Nothing goes in the clear that came encrypted.
            Some(_) if target.scheme() == self.base.scheme() => Ok(Target::Elsewhere(target)),
            _ => Err(ForgeError::Unexpected { detail: "redirected to another host".to_owned() }),
        }
    }
}

/// Where a redirect leads.
enum Target {
    /// To another path of the forge.
    Here(Uri),
    /// To another host, which must not see the credential.
    Elsewhere(Uri),
}

/// A body as it is read.
struct Read {
    max_bytes: usize,
    /// Whether its end is wanted rather than its beginning.
    end: bool,
    bytes: BytesMut,
    seen: usize,
}

impl Read {
    /// False if nothing more is wanted.
    fn take(&mut self, data: &[u8]) -> bool {
        self.seen += data.len();
        if self.end {
            self.bytes.extend_from_slice(data);
            let over = self.bytes.len().saturating_sub(self.max_bytes);
            self.bytes.advance(over);
            return self.seen < MAX_LOG_BYTES;
        }
        let room = self.max_bytes - self.bytes.len();
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
        data.len() <= room
    }
}

/// octocrab's texts name the address and the cause; the chain below says what really happened.
fn transport_error(error: &(dyn std::error::Error + 'static), token: &Secret) -> ForgeError {
    let mut timed_out = false;
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
        timed_out |=
            innermost.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut);
    }
    let outage = if timed_out { Outage::TimedOut } else { Outage::Transport(token.redact(&innermost.to_string())) };
    ForgeError::Unavailable { outage, retry_at: None }
}

/// The header that carries a token; fails for one that no header can carry.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, ForgeError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| setup("the token has characters that no header can carry"))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

fn base_uri(text: &str) -> Result<Uri, ForgeError> {
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| setup("the forge's address is no URL"))?;
    let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    if known_scheme && uri.authority().is_some_and(|authority| !authority.as_str().contains('@')) {
        Ok(uri)
    } else {
        Err(setup("the forge's address must be http(s)://host[:port][/path], without a user"))
    }
}

fn setup(detail: &str) -> ForgeError {
    ForgeError::Unexpected { detail: format!("request not sent: {detail}") }
}
