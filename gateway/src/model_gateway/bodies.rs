//! What agent and model said to each other, kept where the project wants that: without secrets, for as long as the run's log.

use bytes::{Bytes, BytesMut};
use serde_json::json;
use store::{blobs::BlobKey, model_calls::ModelCallId};

use super::ModelGateway;
use crate::{problem::Chain, runner_endpoint::RunnerAuth};

/// The most that is kept of an answer; the memory that a call takes must not grow with its answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// What was said in one call.
pub(super) struct Recorder {
    request: Bytes,
    answer: BytesMut,
    passed: u64,
}

impl Recorder {
    /// One of a call with this body.
    pub(super) fn new(request: Bytes) -> Self {
        Self { request, answer: BytesMut::new(), passed: 0 }
    }

    /// Some of the answer passes by.
    pub(super) fn saw(&mut self, bytes: &[u8]) {
        self.passed += bytes.len() as u64;
        let room = MAX_ANSWER - self.answer.len();
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Keeps it; none if it could not be kept, which is no reason for anything else to fail.
    pub(super) async fn keep(self, gateway: &ModelGateway, at: RunnerAuth, id: ModelCallId) -> Option<BlobKey> {
        let RunnerAuth(run, attempt) = at;
        let Some(blobs) = &gateway.blobs else {
            tracing::warn!(%run, "the project wants model calls recorded, but there is no BLOB_DIR to keep them in");
            return None;
        };
        let redacted = tokio::task::spawn_blocking(move || self.redacted()).await;
        let text = match redacted {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => {
                tracing::error!(%run, error = %Chain(&error), "a model call is not recorded");
                return None;
            }
            Err(error) => {
                tracing::error!(%run, %error, "a model call is not recorded");
                return None;
            }
        };
        let key = BlobKey::model_call(run, attempt, id.0);
        match blobs.put(&key, text.into()).await {
            Ok(()) => Some(key),
            Err(error) => {
                tracing::warn!(%run, error = %Chain(&error), "a model call could not be recorded");
                None
            }
        }
    }

    fn redacted(&self) -> Result<String, secret_scan::RulesError> {
        let request = secret_scan::redact(&String::from_utf8_lossy(&self.request))?;
        let answer = secret_scan::redact(&String::from_utf8_lossy(&self.answer))?;
        let dropped = self.passed - self.answer.len() as u64;
        Ok(json!({ "request": request, "answer": answer, "dropped_answer_bytes": dropped }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_long_answer_is_kept_and_no_secret() {
        let token = format!("ghp_{}", "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY2zA4");
        let mut recorder = Recorder::new(format!("my token is {token} .").into());
        recorder.saw(format!("so it is {token} .\n").as_bytes());
        for _ in 0..40 {
            recorder.saw(&[b'x'; 64 * 1024]);
        }
        assert_eq!(recorder.answer.len(), MAX_ANSWER);
        let kept = recorder.redacted().unwrap();
        assert!(
            !kept.contains(&token) && kept.contains("my token is [removed] .") && kept.contains("so it is [removed] .")
        );
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        assert!(kept["dropped_answer_bytes"].as_u64().unwrap() > 1_000_000);
    }
}
