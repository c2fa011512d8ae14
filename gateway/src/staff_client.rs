//! Asks the staff API with a token for scripts. What the console does, this can do too.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, to_bytes};
use bytes::Bytes;
use futures::StreamExt;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use role::SecretText;
use serde_json::Value;
use url::Url;

use crate::outgoing::{Outgoing, OutgoingError, client};

/// One question, its answer included.
const LIMIT: Duration = Duration::from_secs(30);

/// No answer is larger.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// A question had no good answer.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// Nobody answered, or not in time.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// What went wrong, as a sentence.
        reason: String,
    },
    /// The gateway says no.
    #[error("{detail} ({code}, request {request_id})")]
    Refused {
        /// The status.
        status: u16,
        /// Its stable word.
        code: String,
        /// Its sentence.
        detail: String,
        /// Names the line of the gateway's log.
        request_id: String,
    },
}

/// Asks one gateway in the name of one token.
pub struct StaffClient {
    http: Outgoing,
    base: String,
    authorization: HeaderValue,
}

/// The token can't be one.
#[derive(Debug, thiserror::Error)]
pub enum StaffClientError {
    /// It holds what no token holds.
    #[error("this is no token: copy it once more from your profile")]
    NoToken,
    /// TLS can't be set up.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
}

impl StaffClient {
    /// A client of the gateway at this address.
    ///
    /// # Errors
    /// [`StaffClientError`]
    pub fn new(gateway: &Url, token: &SecretText) -> Result<Self, StaffClientError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose().trim()))
            .map_err(|_| StaffClientError::NoToken)?;
        authorization.set_sensitive(true);
        let base = gateway.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http: client(&[gateway], 1)?, base, authorization })
    }

    /// Reads what is at this path of the API, such as `/api/v1/runs?limit=1`.
    ///
    /// # Errors
    /// [`StaffError`]
    pub async fn get(&self, path: &str) -> Result<Value, StaffError> {
        self.ask(Method::GET, path, Body::empty(), None).await
    }

    /// Sends a write. With the same key, the same write is done once, however often it is sent.
    ///
    /// # Errors
    /// [`StaffError`]
    pub async fn post(&self, path: &str, body: &Value, key: &str) -> Result<Value, StaffError> {
        self.ask(Method::POST, path, Body::from(body.to_string()), Some(key)).await
    }

    /// Reads what is at this path as it comes, however long it is.
    ///
    /// # Errors
    /// [`StaffError`]
    pub async fn stream(&self, path: &str) -> Result<Streamed, StaffError> {
        let response = self.in_time(self.send(Method::GET, path, Body::empty(), None)).await?;
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            let said = self.in_time(self.whole(parts.status, body)).await;
            return Err(said.err().unwrap_or_else(|| refused(parts.status, &Value::Null)));
        }
        Ok(Streamed { url: self.base.clone(), pieces: body.into_data_stream() })
    }

    async fn ask(&self, method: Method, path: &str, body: Body, key: Option<&str>) -> Result<Value, StaffError> {
        let answered = async {
            let (parts, body) = self.send(method, path, body, key).await?.into_parts();
            self.whole(parts.status, body).await
        };
        self.in_time(answered).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
        key: Option<&str>,
    ) -> Result<Response<Body>, StaffError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json");
        if let Some(key) = key {
            request = request.header(CONTENT_TYPE, "application/json").header("idempotency-key", key);
        }
        let request = request.body(body).map_err(|error| unreachable(&self.base, error.to_string()))?;
        let response = self.http.request(request).await.map_err(|error| unreachable(&self.base, chain(&error)))?;
        Ok(response.map(Body::new))
    }

    async fn whole(&self, status: StatusCode, body: Body) -> Result<Value, StaffError> {
        let bytes = to_bytes(body, MAX_ANSWER).await.map_err(|error| unreachable(&self.base, chain(&error)))?;
        let said: Option<Value> = serde_json::from_slice(&bytes).ok();
        match said {
            Some(answer) if status.is_success() => Ok(answer),
            said => Err(refused(status, &said.unwrap_or_default())),
        }
    }

    async fn in_time<T>(&self, answered: impl Future<Output = Result<T, StaffError>>) -> Result<T, StaffError> {
        let late = |_| unreachable(&self.base, format!("no answer within {} s", LIMIT.as_secs()));
        tokio::time::timeout(LIMIT, answered).await.map_err(late)?
    }
}

/// An answer on its way.
pub struct Streamed {
    url: String,
    pieces: BodyDataStream,
}

impl Streamed {
    /// The next piece of it; none at the end.
    ///
    /// # Errors
    /// It breaks off, or falls silent.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StaffError> {
        match tokio::time::timeout(LIMIT, self.pieces.next()).await {
            Ok(piece) => piece.transpose().map_err(|error| unreachable(&self.url, chain(&error))),
            Err(_) => Err(unreachable(&self.url, format!("nothing more came within {} s", LIMIT.as_secs()))),
        }
    }
}

fn unreachable(url: &str, reason: String) -> StaffError {
    StaffError::Unreachable { url: url.to_owned(), reason }
}

fn refused(status: StatusCode, said: &Value) -> StaffError {
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    StaffError::Refused {
        status: status.as_u16(),
        code: text("code").unwrap_or_else(|| "no_problem_told".to_owned()),
        detail: text("detail").unwrap_or_else(|| format!("something answered that is no gateway ({status})")),
        request_id: text("request_id").unwrap_or_else(|| "unknown".to_owned()),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    crate::problem::Chain(error).to_string()
}
