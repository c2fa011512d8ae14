//! An API server in memory that does what its script says: keeps what is applied, lists, watches; and fails on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body, core::response::reason};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::JobRef;

/// How a call is answered once, in place of what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this status.
    Status(u16),
    /// The history that a watch asks for is gone.
    Gone,
    /// The connection breaks.
    Broken,
}

/// An answer, or as much of it as there is by now.
pub type Stream = UnsyncBoxBody<Bytes, Infallible>;

struct Watch {
    path: String,
    sender: mpsc::UnboundedSender<Bytes>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    written: Vec<String>,
    reads: Vec<String>,
    version: u64,
    script: Vec<(String, VecDeque<Answer>)>,
    watches: Vec<Watch>,
    /// What watches were or should have been told: version, address, line.
    history: Vec<(u64, String, Bytes)>,
    away: bool,
    deaf: bool,
    stubborn: bool,
}

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub struct Server(Arc<Mutex<State>>);

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// The next calls whose address contains `part` are answered so.
    pub fn next(&self, part: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state().script.push((part.to_owned(), answers.into_iter().collect()));
    }

    /// Whether it can't be reached at all.
    pub fn away(&self, away: bool) {
        self.state().away = away;
    }

    /// Whether watches tell nothing, though they are open.
    pub fn deaf(&self, deaf: bool) {
        self.state().deaf = deaf;
    }

    /// Whether pods go only when they are made to.
    pub fn stubborn(&self, stubborn: bool) {
        self.state().stubborn = stubborn;
    }

    /// Ends all watches.
    pub fn cut_watches(&self) {
        self.state().watches.clear();
    }

    /// Watches that somebody listens to.
    #[must_use]
    pub fn open_watches(&self) -> usize {
        self.state().watches.iter().filter(|watch| !watch.sender.is_closed()).count()
    }

    /// What was written, in order.
    #[must_use]
    pub fn written(&self) -> Vec<String> {
        self.state().written.clone()
    }

    /// Reads so far, but for the opening of watches.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.state().reads.len()
    }

    /// Those of addresses that end so.
    #[must_use]
    pub fn reads_of(&self, end: &str) -> usize {
        self.state().reads.iter().filter(|path| path.ends_with(end)).count()
    }

    /// How many objects there are whose address contains `part`.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.state().objects.keys().filter(|path| path.contains(part)).count()
    }

    /// The first object whose address contains `part`.
    #[must_use]
    pub fn object(&self, part: &str) -> Option<Value> {
        self.state().objects.iter().find(|(path, _)| path.contains(part)).map(|(_, object)| object.clone())
    }

    /// Puts a Job's pod there, or changes it; nothing without the Job.
    pub fn pod(&self, of: &JobRef, uid: &str, status: &Value) {
        let mut state = self.state();
        let suffix = format!("/jobs/{}", of.name());
        let job = state.objects.iter().find(|(path, _)| path.ends_with(&suffix));
        let Some((path, job)) = job else { return };
        let mut parts = path.split('/').skip_while(|part| *part != "namespaces");
        let namespace = parts.nth(1).unwrap_or_default().to_owned();
        let at = |pointer: &str| job.pointer(pointer).cloned().unwrap_or_default();
        let mut metadata = at("/spec/template/metadata");
        set(&mut metadata, "name", json!(format!("{}-pod", of.name())));
        set(&mut metadata, "uid", json!(uid));
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": at("/spec/template/spec"), "status": status,
        });
        state.put(&format!("/api/v1/namespaces/{namespace}/pods/{}-pod", of.name()), pod);
    }

    /// Answers a call; for those who serve it over HTTP.
    ///
    /// # Errors
    /// When the connection is to break.
    pub async fn answer<B>(&self, request: Request<B>) -> Result<Response<Stream>, std::io::Error>
    where
        B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        let scripted = {
            let mut state = self.state();
            if state.away { Some(Answer::Broken) } else { state.scripted(&format!("{path}?{query}")) }
        };
        match scripted {
            Some(Answer::Broken) => return Err(std::io::Error::other("connection refused")),
            Some(Answer::Status(code)) => return Ok(status(code)),
            Some(Answer::Gone) => return Ok(gone()),
            None => {}
        }
        let mut state = self.state();
        Ok(match parts.method {
            Method::GET if query.contains("watch=true") => state.watch(&path, &query),
            Method::GET => state.read(&path, &query),
            Method::PATCH => state.apply(&path, &body),
            Method::DELETE => state.delete(&path, &body),
            _ => status(405),
        })
    }
}

impl State {
    fn scripted(&mut self, address: &str) -> Option<Answer> {
        let fitting = self.script.iter_mut().find(|(part, left)| address.contains(part.as_str()) && !left.is_empty());
        fitting.and_then(|(_, left)| left.pop_front())
    }

    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let known = self.objects.contains_key(path);
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        if let Some(metadata) = object.get_mut("metadata") {
            set(metadata, "resourceVersion", json!(self.version.to_string()));
            if !known && metadata.get("uid").is_none() {
                set(metadata, "uid", json!(format!("uid-{}", self.version)));
            }
            set(metadata, "creationTimestamp", json!(now));
        }
        self.objects.insert(path.to_owned(), object.clone());
        self.tell(path, if known { "MODIFIED" } else { "ADDED" }, &object);
        object
    }

    fn tell(&mut self, path: &str, kind: &str, object: &Value) {
        let line = Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
        self.history.push((self.version, path.to_owned(), line.clone()));
        if self.deaf {
            return;
        }
        self.watches.retain(|watch| !path.starts_with(&watch.path) || watch.sender.send(line.clone()).is_ok());
    }

    fn apply(&mut self, path: &str, body: &[u8]) -> Response<Stream> {
        if let Some(there) = self.objects.get(path) {
            return whole(200, there);
        }
        self.written.push(path.to_owned());
        let made = self.put(path, serde_json::from_slice(body).unwrap_or_default());
        whole(201, &made)
    }

    fn read(&mut self, path: &str, query: &str) -> Response<Stream> {
        self.reads.push(path.to_owned());
        if let Some(there) = self.objects.get(path) {
            return whole(200, there);
        }
        let lists = ["/jobs", "/pods", "/events", "/namespaces", "/networkpolicies"];
        let is_list = lists.iter().any(|kind| path.ends_with(kind));
        if !is_list {
            return status(404);
        }
        let below = format!("{path}/");
        let selector = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "labelSelector");
        let wanted: Vec<(&str, &str)> =
            selector.iter().flat_map(|(_, text)| text.split(',')).filter_map(|pair| pair.split_once('=')).collect();
        let selected = |object: &Value| {
            let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
            let has =
                |(key, value): &(&str, &str)| labels.and_then(|labels| labels.get(*key)?.as_str()) == Some(*value);
            wanted.iter().all(has)
        };
        // Thousands are there, of which one kind is asked for.
        let of_kind = self.objects.range(below.clone()..).take_while(|(place, _)| place.starts_with(&below));
        // What is in a namespace is below that namespace, and is none.
        let of_kind = of_kind.filter(|(place, _)| place.get(below.len()..).is_some_and(|name| !name.contains('/')));
        let listed = of_kind.filter(|(_, object)| selected(object));
        let items: Vec<&Value> = listed.map(|(_, object)| object).collect();
        let version = self.version.max(1).to_string();
        whole(200, &json!({"metadata": {"resourceVersion": version}, "items": items}))
    }

    /// Goes on where the last one was.
    fn watch(&mut self, path: &str, query: &str) -> Response<Stream> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let since = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
        let since: u64 = since.and_then(|version| version.parse().ok()).unwrap_or_default();
        let below = format!("{path}/");
        for (_, _, line) in
            self.history.iter().filter(|(version, place, _)| *version > since && place.starts_with(&below))
        {
            let _ = sender.send(line.clone());
        }
        self.watches.push(Watch { path: below, sender });
        let lines = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|line| (Ok::<_, Infallible>(Frame::data(line)), receiver))
        });
        Response::new(StreamBody::new(lines.boxed()).boxed_unsync())
    }

    fn delete(&mut self, path: &str, body: &[u8]) -> Response<Stream> {
        let options: Value = serde_json::from_slice(body).unwrap_or_default();
        let forced = options.get("gracePeriodSeconds") == Some(&json!(0));
        if self.stubborn && path.contains("/pods/") && !forced {
            return self.objects.get(path).map_or_else(|| status(404), |there| whole(200, there));
        }
        let Some(gone) = self.objects.remove(path) else { return status(404) };
        self.version += 1;
        self.tell(path, "DELETED", &gone);
        whole(200, &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }
}

fn whole(code: u16, value: &Value) -> Response<Stream> {
    let body = http_body_util::Full::new(Bytes::from(value.to_string())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

/// How a watch is told that it asks for too much of the past.
fn gone() -> Response<Stream> {
    let object = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410});
    whole(200, &json!({"type": "ERROR", "object": object}))
}

fn status(code: u16) -> Response<Stream> {
    let words = "as the script says";
    whole(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": words, "reason": word_of(code), "code": code,
        }),
    )
}

/// Kubernetes' own word for an answer: clients go by it.
const fn word_of(code: u16) -> &'static str {
    match code {
        400 => reason::BAD_REQUEST,
        401 => reason::UNAUTHORIZED,
        403 => reason::FORBIDDEN,
        404 => reason::NOT_FOUND,
        405 => reason::METHOD_NOT_ALLOWED,
        // Nothing is created here but by applying, which no name that is there already stands in the way of.
        409 => reason::CONFLICT,
        422 => reason::INVALID,
        429 => reason::TOO_MANY_REQUESTS,
        500 => reason::INTERNAL_ERROR,
        503 => reason::SERVICE_UNAVAILABLE,
        504 => reason::TIMEOUT,
        _ => reason::UNKNOWN,
    }
}
