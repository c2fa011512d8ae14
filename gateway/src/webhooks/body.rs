//! Reading a body without trusting its sender: bounded for itself and bounded over all requests together.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// The forge sends nothing larger.
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Bytes of bodies held in memory over all requests, unless the settings say otherwise.
pub const DEFAULT_BUFFER_BYTES: usize = 64 * 1024 * 1024;

/// Room reserved for a body before its first bytes are there: a promise of 25 MB alone must cost nothing.
const FIRST_RESERVE: usize = 64 * 1024;

/// The memory that bodies may take, over all requests.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    room: Arc<Semaphore>,
    most: usize,
}

/// A whole body, and the memory it was given; both are let go together.
#[derive(Debug)]
pub struct BufferedBody {
    /// The raw bytes.
    pub bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self::with_limit(bytes, MAX_BODY_BYTES)
    }

    /// A budget of so many bytes for bodies of at most `most` each.
    #[must_use]
    pub fn with_limit(bytes: usize, most: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))), most }
    }

    /// Bytes that are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.room.available_permits()
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| too_large(self.most))?;
        self.room
            .clone()
            .try_acquire_many_owned(bytes)
            .map_err(|_| Problem::unavailable("busy", "too many bytes are under way; try again in a moment", 5))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// 413 as soon as it is too large; 503 if the budget is used up; 400 if the sender breaks off.
    pub async fn read(&self, body: Body) -> Result<BufferedBody, Problem> {
        let mut held: Option<OwnedSemaphorePermit> = None;
        let mut bytes = BytesMut::with_capacity(FIRST_RESERVE);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                tracing::debug!(%error, "the sender broke off");
                Problem::bad_request("body_incomplete", "the body ended before its announced length")
            })?;
            if bytes.len() + chunk.len() > self.most {
                return Err(too_large(self.most));
            }
            let more = self.take(chunk.len())?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(BufferedBody { bytes: bytes.freeze(), _held: held })
    }
}

/// 413 if a body is announced that is too large. Nothing of it is read.
pub(super) fn refuse_announced(headers: &HeaderMap) -> Result<(), Problem> {
    let length: Option<u64> = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES as u64) { Err(too_large(MAX_BODY_BYTES)) } else { Ok(()) }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("the body has more than {most} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn streamed(chunks: Vec<&'static [u8]>) -> Body {
        Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)))
    }

    #[tokio::test]
    async fn memory_is_held_as_long_as_the_body() {
        let budget = BodyBudget::new(10);
        let first = budget.read(streamed(vec![b"123", b"456"])).await.unwrap();
        assert_eq!((&first.bytes[..], budget.free()), (&b"123456"[..], 4));
        let refused = budget.read(streamed(vec![b"123", b"45"])).await.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.retry_after, budget.free()), (503, Some(5), 4));
        drop(first);
        assert_eq!(budget.free(), 10);
    }

    #[test]
    fn an_announced_length_is_judged() {
        let mut headers = HeaderMap::new();
        assert_eq!(refuse_announced(&headers), Ok(()));
        headers.insert(CONTENT_LENGTH, MAX_BODY_BYTES.into());
        assert_eq!(refuse_announced(&headers), Ok(()));
        headers.insert(CONTENT_LENGTH, (MAX_BODY_BYTES + 1).into());
        assert_eq!(refuse_announced(&headers).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_without_length_is_cut_off_at_the_bound() {
        let megabyte: &'static [u8] = Box::leak(vec![0_u8; 1024 * 1024].into_boxed_slice());
        let budget = BodyBudget::new(DEFAULT_BUFFER_BYTES);
        let endless = Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(megabyte)));
        let refused = budget.read(endless).await.unwrap_err();
        assert_eq!((refused.status, budget.free()), (StatusCode::PAYLOAD_TOO_LARGE, DEFAULT_BUFFER_BYTES));
        let just_fits = budget.read(streamed(vec![megabyte; 25])).await.unwrap();
        assert_eq!(just_fits.bytes.len(), MAX_BODY_BYTES);
    }
}
