//! A gateway that plays the runner protocol and remembers what it was told.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use domain::{
    job::{JobReport, JobSpec, LogAck, LogBatch, LogChunk, LogStream},
    job_tokens::{ClaimRequest, model_token},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The runner says nothing that takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the runner said, and how the gateway is to answer.
#[derive(Clone, Default)]
pub(crate) struct Told {
    /// Who has claimed the attempt.
    pub(crate) claim: Option<ClaimRequest>,
    pub(crate) chunks: BTreeMap<u64, LogChunk>,
    /// Numbers of the checkpoints, and the newest.
    pub(crate) checkpoints: Vec<u64>,
    pub(crate) kept: Option<KeptWork>,
    pub(crate) result: Option<Vec<u8>>,
    /// What set-up left behind, here or in an earlier run.
    pub(crate) kept_setup: Option<Vec<u8>>,
    pub(crate) report: Option<JobReport>,
    /// The answer to the next heartbeat.
    pub(crate) cancel: bool,
    /// Every call is answered like this.
    pub(crate) refuse_all: Option<StatusCode>,
}

/// A checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptWork {
    pub(crate) thread_id: Option<String>,
    pub(crate) thread: Vec<u8>,
    pub(crate) work: Vec<u8>,
}

#[derive(serde::Deserialize)]
struct Announced {
    seq: u64,
    thread_id: Option<String>,
    #[serde(default)]
    thread_bytes: usize,
}

impl Told {
    pub(crate) fn text(&self, stream: LogStream) -> String {
        self.chunks.values().filter(|chunk| chunk.stream == stream).map(|chunk| chunk.text.as_str()).collect()
    }
}

struct Shared {
    spec: JobSpec,
    workspace: Vec<u8>,
    token: String,
    /// Is told the model token of the session.
    claimed: Box<dyn Fn(String) + Send + Sync>,
    continued: Mutex<Option<KeptWork>>,
    told: watch::Sender<Told>,
}

pub(crate) struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Mutex<JoinHandle<()>>,
}

impl Gateway {
    /// `claimed` is told the model token of the session that claims the attempt with `token`.
    pub(crate) async fn start(
        spec: JobSpec,
        workspace: Vec<u8>,
        token: &str,
        claimed: impl Fn(String) + Send + Sync + 'static,
    ) -> Self {
        let (told, _) = watch::channel(Told::default());
        let (token, claimed) = (token.to_owned(), Box::new(claimed));
        let shared = Arc::new(Shared { spec, workspace, token, claimed, continued: Mutex::default(), told });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Mutex::new(serve(listener, &shared));
        Self { address, shared, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn told(&self) -> Told {
        self.shared.told.borrow().clone()
    }

    pub(crate) async fn wait_for(&self, condition: impl FnMut(&Told) -> bool) -> Told {
        let mut told = self.shared.told.subscribe();
        let wait = tokio::time::timeout(PATIENCE, told.wait_for(condition));
        wait.await.expect("the runner says it in time").unwrap().clone()
    }

    pub(crate) fn keep_setup(&self, archive: Option<Vec<u8>>) {
        self.shared.told.send_modify(|told| told.kept_setup = archive);
    }

    /// What the job goes on from.
    pub(crate) fn go_on_from(&self, kept: Option<KeptWork>) {
        *self.shared.continued.lock().unwrap() = kept;
    }

    pub(crate) fn cancel(&self) {
        self.shared.told.send_modify(|told| told.cancel = true);
    }

    pub(crate) fn refuse_all(&self, status: StatusCode) {
        self.shared.told.send_modify(|told| told.refuse_all = Some(status));
    }

    /// Goes away: new connections are refused by the system, those that are open get no good answer.
    pub(crate) async fn leave(&self) {
        self.refuse_all(StatusCode::SERVICE_UNAVAILABLE);
        let server = std::mem::replace(&mut *self.server.lock().unwrap(), tokio::spawn(async {}));
        server.abort();
        let _ = server.await;
    }

    pub(crate) async fn come_back(&self) {
        self.shared.told.send_modify(|told| told.refuse_all = None);
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.server.lock().unwrap() = serve(listener, &self.shared);
    }
}

fn serve(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let router = Router::new()
        .route("/runner/v1/claim", post(claim))
        .route("/runner/v1/job", get(async |State(shared): State<Arc<Shared>>| Json(shared.spec.clone())))
        .route("/runner/v1/workspace", get(async |State(shared): State<Arc<Shared>>| shared.workspace.clone()))
        .route("/runner/v1/setup-cache", get(kept_setup).put(keep_setup).head(nothing_yet))
        .route("/runner/v1/checkpoint", put(checkpoint).head(nothing_yet))
        .route(
            "/runner/v1/checkpoint/work",
            get(async |State(shared): State<Arc<Shared>>| part(&shared, |kept| kept.work)),
        )
        .route(
            "/runner/v1/checkpoint/thread",
            get(async |State(shared): State<Arc<Shared>>| part(&shared, |kept| kept.thread)),
        )
        .route("/runner/v1/logs", post(logs))
        .route("/runner/v1/result", put(result).head(nothing_yet))
        .route("/runner/v1/report", post(report))
        .layer(from_fn_with_state(Arc::clone(shared), guard))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(shared));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let refuse_all = shared.told.borrow().refuse_all;
    if let Some(status) = refuse_all {
        return (status, [(header::CONNECTION, "close")]).into_response();
    }
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes().to_owned());
    let wanted = match request.uri().path() {
        "/runner/v1/claim" => Some(shared.token.clone()),
        _ => shared.told.borrow().claim.as_ref().map(|claim| claim.session.clone()),
    };
    if wanted.is_none() || given != wanted.map(|token| format!("Bearer {token}").into_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

async fn claim(State(shared): State<Arc<Shared>>, Json(claim): Json<ClaimRequest>) -> StatusCode {
    let mut first = false;
    let mut same = false;
    shared.told.send_modify(|told| {
        first = told.claim.is_none();
        same = told.claim.get_or_insert_with(|| claim.clone()) == &claim;
    });
    if first {
        (shared.claimed)(model_token(&claim.session));
    }
    if same { StatusCode::NO_CONTENT } else { StatusCode::CONFLICT }
}

async fn logs(State(shared): State<Arc<Shared>>, Json(batch): Json<LogBatch>) -> Json<LogAck> {
    shared.told.send_modify(|told| {
        for chunk in batch.chunks {
            let first = told.chunks.entry(chunk.seq).or_insert_with(|| chunk.clone());
            assert_eq!(*first, chunk, "a repeated chunk is the same");
        }
    });
    Json(LogAck { cancel: shared.told.borrow().cancel })
}

/// Of no upload has anything come yet.
async fn nothing_yet() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [("upload-offset", "0")])
}

async fn kept_setup(State(shared): State<Arc<Shared>>) -> Response {
    match shared.told.borrow().kept_setup.clone() {
        Some(archive) => archive.into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn keep_setup(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.told.send_modify(|told| told.kept_setup = Some(body.to_vec()));
    StatusCode::NO_CONTENT
}

async fn checkpoint(State(shared): State<Arc<Shared>>, Query(about): Query<Announced>, body: Bytes) -> StatusCode {
    let (thread, work) = body.split_at(about.thread_bytes);
    let kept = KeptWork { thread_id: about.thread_id, thread: thread.to_vec(), work: work.to_vec() };
    shared.told.send_modify(|told| {
        told.checkpoints.push(about.seq);
        told.kept = Some(kept);
    });
    StatusCode::NO_CONTENT
}

fn part(shared: &Shared, of: impl FnOnce(KeptWork) -> Vec<u8>) -> Response {
    match shared.continued.lock().unwrap().clone().map(of).filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => bytes.into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn result(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.told.send_modify(|told| told.result = Some(body.to_vec()));
    StatusCode::NO_CONTENT
}

async fn report(State(shared): State<Arc<Shared>>, Json(report): Json<JobReport>) -> StatusCode {
    shared.told.send_modify(|told| {
        told.report.get_or_insert(report);
    });
    StatusCode::NO_CONTENT
}
