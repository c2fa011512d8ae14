//! The runner's side of the runner endpoint.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    job::{JobReport, JobSpec, LogAck, LogBatch},
    job_tokens::ClaimRequest,
};
use futures::TryStreamExt as _;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::{io::AsyncWriteExt as _, time::Instant};
use url::Url;

use crate::{
    session::Session,
    settings::{LaunchToken, Settings},
    upload::{DIGEST, LENGTH, OFFSET, Source},
};

/// A request without a big body that takes longer is sent again.
const SHORT_CALL: Duration = Duration::from_secs(15);
/// A transfer in which nothing moves for so long is broken.
const TRANSFER_IDLE: Duration = Duration::from_secs(60);
/// Of what is larger it is first asked how much has come already.
const ASK_ABOVE: u64 = 1 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A call of the runner endpoint failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No answer, or a broken one.
    #[error("the gateway did not answer `{call}`")]
    NoAnswer {
        /// The path.
        call: &'static str,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// It cannot answer at the moment.
    #[error("the gateway answered {status} to `{call}`")]
    Busy {
        /// The path.
        call: &'static str,
        /// The status.
        status: StatusCode,
    },
    /// The token opens nothing (any more): the run has ended or belongs to another attempt.
    #[error("the gateway does not know this run any more: {status} to `{call}`")]
    Fenced {
        /// The path.
        call: &'static str,
        /// The status.
        status: StatusCode,
    },
    /// It refuses what was sent.
    #[error("the gateway refused `{call}` with {status}: {detail}")]
    Refused {
        /// The path.
        call: &'static str,
        /// The status.
        status: StatusCode,
        /// The gateway's own words.
        detail: String,
    },
    /// A file on our side.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
}

impl GatewayError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Busy { .. })
    }
}

/// The parts of a problem document that a person wants to read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

/// The work so far, on its way.
pub(crate) struct CheckpointUpload<'a> {
    /// Counts up from 1.
    pub(crate) seq: u64,
    /// Codex's thread and its file.
    pub(crate) thread: Option<(&'a str, Vec<u8>)>,
    /// The work tree.
    pub(crate) bundle: &'a Path,
}

/// Calls the runner endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    http: reqwest::Client,
    base: Url,
    launch_token: LaunchToken,
    claimant: String,
    session: Session,
}

impl Gateway {
    pub(crate) fn new(settings: &Settings) -> Result<Self, GatewayError> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(TRANSFER_IDLE)
            .build()
            .map_err(GatewayError::Client)?;
        Ok(Self {
            http,
            base: settings.gateway_url.clone(),
            launch_token: settings.token.clone(),
            claimant: settings.claimant.clone(),
            session: Session::random(),
        })
    }

    /// Makes the attempt this runner's own. Nothing else is answered before; the same claim may be sent again.
    pub(crate) async fn claim(&self) -> Result<(), GatewayError> {
        let call = "runner/v1/claim";
        let claim = ClaimRequest { pod_uid: self.claimant.clone(), session: self.session.token().to_owned() };
        let request = self.http.post(self.url(call)).bearer_auth(self.launch_token.expose());
        send(call, request.timeout(SHORT_CALL).json(&claim)).await.map(drop)
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) async fn job(&self) -> Result<JobSpec, GatewayError> {
        let call = "runner/v1/job";
        let answer = send(call, self.call(Method::GET, call).timeout(SHORT_CALL)).await?;
        answer.json().await.map_err(|source| GatewayError::NoAnswer { call, source })
    }

    /// Writes the workspace bundle to a file.
    pub(crate) async fn workspace(&self, path: &Path) -> Result<(), GatewayError> {
        let call = "runner/v1/workspace";
        let answer = send(call, self.call(Method::GET, call)).await?;
        save(call, answer, path, u64::MAX).await
    }

    /// Writes what an earlier run's set-up left behind to a file, if it is there.
    pub(crate) async fn setup_cache(&self, path: &Path, most: u64) -> Result<bool, GatewayError> {
        let call = "runner/v1/setup-cache";
        let answer = send(call, self.call(Method::GET, call)).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(false);
        }
        save(call, answer, path, most).await.map(|()| true)
    }

    /// Has the gateway keep what set-up left behind.
    pub(crate) async fn keep_setup_cache(&self, path: &Path) -> Result<(), GatewayError> {
        self.put_file("runner/v1/setup-cache", path).await
    }

    /// Has the gateway keep the work so far.
    pub(crate) async fn keep_checkpoint(&self, upload: CheckpointUpload<'_>) -> Result<(), GatewayError> {
        let mut query = vec![("seq", upload.seq.to_string())];
        let mut head = Bytes::new();
        if let Some((id, bytes)) = upload.thread {
            query.extend([("thread_id", id.to_owned()), ("thread_bytes", bytes.len().to_string())]);
            head = bytes.into();
        }
        self.upload("runner/v1/checkpoint", &query, &Source { head, file: upload.bundle }).await
    }

    /// Writes a part of the kept work, `work` or `thread`, to a file, if it is there.
    pub(crate) async fn checkpoint(&self, part: &'static str, path: &Path, most: u64) -> Result<bool, GatewayError> {
        let call = "runner/v1/checkpoint";
        let answer = send(call, self.call(Method::GET, &format!("{call}/{part}"))).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(false);
        }
        save(call, answer, path, most).await.map(|()| true)
    }

    pub(crate) async fn logs(&self, batch: &LogBatch) -> Result<LogAck, GatewayError> {
        let call = "runner/v1/logs";
        let answer = send(call, self.call(Method::POST, call).timeout(SHORT_CALL).json(batch)).await?;
        answer.json().await.map_err(|source| GatewayError::NoAnswer { call, source })
    }

    /// Hands over the result bundle.
    pub(crate) async fn result(&self, path: &Path) -> Result<(), GatewayError> {
        self.put_file("runner/v1/result", path).await
    }

    async fn put_file(&self, call: &'static str, path: &Path) -> Result<(), GatewayError> {
        self.upload(call, &[], &Source { head: Bytes::new(), file: path }).await
    }

    /// Sends what the gateway has not got yet: called again after a failure, it goes on where that broke off.
    async fn upload(
        &self,
        call: &'static str,
        query: &[(&str, String)],
        source: &Source<'_>,
    ) -> Result<(), GatewayError> {
        let unusable = |error| GatewayError::File { path: source.file.to_owned(), source: error };
        let whole = source.whole().await.map_err(unusable)?;
        let described = |method| {
            self.call(method, call).query(query).header(LENGTH, whole.length).header(DIGEST, whole.digest.as_str())
        };
        let mut offset = 0;
        if whole.length > ASK_ABOVE {
            let answer = send(call, described(Method::HEAD).timeout(SHORT_CALL)).await?;
            let told = answer.headers().get(OFFSET).and_then(|value| value.to_str().ok()?.parse().ok());
            offset = told.unwrap_or(0).min(whole.length);
        }
        let body = source.rest(offset).await.map_err(unusable)?;
        let request = described(Method::PUT)
            .header(OFFSET, offset)
            .header("content-type", "application/octet-stream")
            .header("content-length", whole.length - offset)
            .body(reqwest::Body::wrap_stream(body));
        let status = send(call, request).await?.status();
        if status == StatusCode::ACCEPTED { Err(GatewayError::Busy { call, status }) } else { Ok(()) }
    }

    pub(crate) async fn report(&self, report: &JobReport) -> Result<(), GatewayError> {
        let call = "runner/v1/report";
        send(call, self.call(Method::POST, call).timeout(SHORT_CALL).json(report)).await.map(drop)
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(self.session.token())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base.as_str().trim_end_matches('/'))
    }
}

/// Repeats a call until it succeeds, cannot succeed, or the time is over.
pub(crate) async fn persist<T>(
    bound: Duration,
    call: impl AsyncFn() -> Result<T, GatewayError>,
) -> Result<T, GatewayError> {
    let end = Instant::now() + bound;
    let mut pause = Pause::default();
    loop {
        match call().await {
            Err(error) if error.may_pass() && Instant::now() < end => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a call of the gateway will be repeated");
                pause.wait().await;
            }
            outcome => return outcome,
        }
    }
}

/// The growing time between two tries.
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pause {
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Writes an answer's body to a file, at most so many bytes.
async fn save(call: &'static str, answer: Response, path: &Path, most: u64) -> Result<(), GatewayError> {
    let unusable = |source| GatewayError::File { path: path.to_owned(), source };
    let mut body = answer.bytes_stream();
    let mut file = tokio::fs::File::create(path).await.map_err(unusable)?;
    let mut left = most;
    while let Some(part) = body.try_next().await.map_err(|source| GatewayError::NoAnswer { call, source })? {
        left = left.checked_sub(part.len() as u64).ok_or_else(|| unusable(std::io::Error::other("it is too large")))?;
        file.write_all(&part).await.map_err(unusable)?;
    }
    file.flush().await.map_err(unusable)
}

async fn send(call: &'static str, request: RequestBuilder) -> Result<Response, GatewayError> {
    let answer = request.send().await.map_err(|source| GatewayError::NoAnswer { call, source })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
            GatewayError::Fenced { call, status }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => GatewayError::Busy { call, status },
        _ if status.is_server_error() => GatewayError::Busy { call, status },
        _ => {
            let problem: Problem = answer.json().await.unwrap_or_default();
            let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
            GatewayError::Refused { call, status, detail }
        }
    })
}
