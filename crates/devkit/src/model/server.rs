//! The HTTP server of the scripted model.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use domain::job::Usage;
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Place},
    fix,
    request::Request,
    scenario::{ScenarioError, Scenarios, Step},
};

/// A conversation carries the outputs of all its commands.
const MAX_BODY: usize = 64 << 20;

/// Requests under way have so long once it is asked to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// Requests remembered; a platform that is up for days must not grow.
const MAX_RECORDS: usize = 10_000;

/// How to start a [`ScriptedModel`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 picks a free one.
    pub bind: SocketAddr,
    /// The only key that is let in.
    pub api_key: String,
    /// More scenario files (`*.toml`), which win over built-in ones of the same name.
    pub scenario_dir: Option<PathBuf>,
}

/// The scripted model could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A scenario is not valid.
    #[error("the scenarios of the scripted model could not be loaded")]
    Scenario(#[from] ScenarioError),
    /// The address cannot be used.
    #[error("the scripted model cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// One request, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The scenario; none if the key was refused or no such scenario exists.
    pub scenario: Option<String>,
    /// How many tool outputs the conversation already held.
    pub step: usize,
    /// The newest message of the user.
    pub words: String,
    /// How many messages of the user the conversation holds: one that goes on in an old thread has those of before.
    pub messages: usize,
    /// The status of the answer; none for a request that never gets one.
    pub status: Option<u16>,
    /// Tokens reported; none if the answer reports none.
    pub usage: Option<Usage>,
}

/// A running scripted model. Dropping it stops the server.
#[derive(Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    api_key: Mutex<String>,
    scenarios: Scenarios,
    records: Mutex<VecDeque<RequestRecord>>,
    /// Words that let a held conversation go.
    let_go: watch::Sender<Vec<String>>,
    stop: CancellationToken,
}

impl ScriptedModel {
    /// Starts to listen.
    ///
    /// Changes the key that is let in, for a caller whose key is known only once it has begun.
    pub fn lock(&self) -> impl Fn(String) + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move |key| *shared.api_key.lock().unwrap_or_else(PoisonError::into_inner) = key
    }

    /// # Errors
    /// If a scenario file is not valid or the address cannot be used.
    pub async fn start(options: Options) -> Result<Self, ModelError> {
        let scenarios = Scenarios::load(options.scenario_dir.as_deref())?;
        let bind_error = |source| ModelError::Bind { address: options.bind, source };
        let listener = TcpListener::bind(options.bind).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let shared = Arc::new(Shared {
            api_key: Mutex::new(options.api_key),
            scenarios,
            records: Mutex::default(),
            let_go: watch::Sender::default(),
            stop: CancellationToken::new(),
        });
        let router = Router::new()
            .route("/v1/responses", post(respond))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&shared));
        let stop = shared.stop.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "the scripted model ended");
            }
        });
        Ok(Self { address, shared, server: Some(server) })
    }

    /// The base address; the API lies under `<url>/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.records.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Lets every held conversation go in which somebody said these words, now or later.
    pub fn let_go(&self, words: &str) {
        self.shared.let_go.send_modify(|all| all.push(words.to_owned()));
    }

    /// Begins to stop: open requests end, no new ones are taken.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// Stops and waits for the end.
    pub async fn shutdown(mut self) {
        self.stop();
        let Some(server) = self.server.take() else { return };
        // Whoever calls it may not have noticed that its own client is gone.
        if let Ok(Err(error)) = tokio::time::timeout(LAST_REQUESTS, server).await {
            tracing::error!(%error, "the scripted model did not end well");
        }
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn record(&self, record: RequestRecord) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == MAX_RECORDS {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// How many requests of a scenario were refused so far.
    fn refused(&self, scenario: &str) -> usize {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let of_scenario = records.iter().filter(|record| record.scenario.as_deref() == Some(scenario));
        of_scenario.filter(|record| record.status.is_some_and(|status| status >= 400)).count()
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = self.api_key.lock().unwrap_or_else(PoisonError::into_inner);
        given.and_then(|value| value.strip_prefix("Bearer ")) == Some(key.as_str())
    }

    fn refuse(&self, mut record: RequestRecord, status: StatusCode, code: &str, message: &str) -> Response {
        record.status = Some(status.as_u16());
        self.record(record);
        (status, Json(answer::refusal(code, message))).into_response()
    }

    /// Waits until the conversation is let go, or the server is stopped.
    async fn hold(&self, said: &[String]) {
        let mut words = self.let_go.subscribe();
        let named = |all: &Vec<String>| all.iter().any(|words| said.iter().any(|text| text.contains(words)));
        tokio::select! {
            _ = words.wait_for(named) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits, unless the server is stopped in the meantime.
    async fn wait(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stop.cancelled()).await;
    }
}

async fn respond(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let request = Request::read(&body);
    let mut record = RequestRecord {
        scenario: None,
        step: request.outputs,
        words: request.said.first().cloned().unwrap_or_default(),
        messages: request.said.len(),
        status: None,
        usage: None,
    };
    if !shared.lets_in(&headers) {
        return shared.refuse(record, StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.");
    }
    let name = request.scenario.as_str();
    let Some(scenario) = shared.scenarios.get(name) else {
        let names: Vec<_> = shared.scenarios.names().collect();
        let message = format!("There is no scenario `{name}`. There are: {}.", names.join(", "));
        return shared.refuse(record, StatusCode::BAD_REQUEST, "unknown_scenario", &message);
    };
    record.scenario = Some(name.to_owned());
    let place = Place { scenario: name, step: request.outputs };
    let (item, delay_ms) = match scenario.step(request.outputs, shared.refused(name)) {
        Some(Step::Run { command, delay_ms, held }) => {
            if *held {
                shared.hold(&request.said).await;
            }
            (answer::shell_call(&place, request.shell, command), *delay_ms)
        }
        Some(Step::Fix { delay_ms }) => {
            (answer::shell_call(&place, request.shell, &fix::command(&request.seen)), *delay_ms)
        }
        Some(Step::Answer { text, delay_ms }) => {
            let number = request.line_comment.as_deref().unwrap_or("none");
            (answer::message(&place, &text.replace("{line comment}", number)), *delay_ms)
        }
        Some(Step::Fail { status, code, message, retry_after_secs, .. }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = shared.refuse(record, status, code, message);
            if let Some(seconds) = retry_after_secs {
                response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            }
            return response;
        }
        Some(&Step::Stream { pieces, piece_bytes, pause_ms }) => {
            record.status = Some(StatusCode::OK.as_u16());
            record.usage = Some(scenario.usage);
            shared.record(record);
            return streamed(&place, Told { pieces, piece_bytes, pause_ms, usage: scenario.usage });
        }
        Some(Step::Cut) => {
            record.status = Some(StatusCode::OK.as_u16());
            shared.record(record);
            return cut_stream(&place);
        }
        Some(Step::Stall) | None => {
            shared.record(record);
            shared.stop.cancelled().await;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    shared.wait(Duration::from_millis(delay_ms)).await;
    record.status = Some(StatusCode::OK.as_u16());
    record.usage = Some(scenario.usage);
    shared.record(record);
    event_stream(Body::from(answer::events(&place, &item, scenario.usage)))
}

/// A message that is told piece by piece.
#[derive(Clone, Copy)]
struct Told {
    pieces: u32,
    piece_bytes: usize,
    pause_ms: u64,
    usage: Usage,
}

fn streamed(place: &Place<'_>, told: Told) -> Response {
    let piece = Bytes::from(answer::delta(&"x".repeat(told.piece_bytes)));
    // Repeating all of a long answer in its last events would measure nothing but that.
    let item = answer::message(place, "Told piece by piece.");
    let (begin, end) = (answer::created(place), answer::ended(place, &item, told.usage));
    let pieces = stream::iter(0..told.pieces).then(move |_| {
        let piece = piece.clone();
        async move {
            if told.pause_ms > 0 {
                tokio::time::sleep(Duration::from_millis(told.pause_ms)).await;
            }
            piece
        }
    });
    let begin = stream::once(async { Bytes::from(begin) });
    let end = stream::once(async { Bytes::from(end) });
    event_stream(Body::from_stream(begin.chain(pieces).chain(end).map(Ok::<_, std::io::Error>)))
}

fn cut_stream(place: &Place<'_>) -> Response {
    let begin = stream::iter([Ok(Bytes::from(answer::created(place)))]);
    let cut = stream::once(async {
        // An error throws away what was not yet written to the connection: let the beginning leave first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    event_stream(Body::from_stream(begin.chain(cut)))
}

fn event_stream(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}
