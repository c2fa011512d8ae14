//! A record of requests and answers, for tests that hold both to GitHub's description.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query without its question mark.
    pub query: String,
    /// JSON body of the request, if it had one.
    pub request: Option<Value>,
    /// Status of the answer.
    pub status: u16,
    /// Content type of the answer.
    pub content_type: Option<String>,
    /// JSON body of the answer, if it had one.
    pub response: Option<Value>,
}

impl Exchange {
    /// Does the answer claim to be JSON?
    pub(crate) fn is_json(&self) -> bool {
        self.content_type.as_deref().is_none_or(|kind| kind.starts_with("application/json"))
    }
}

/// Keeps exchanges when a test asked for it; else keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Option<Mutex<Vec<Exchange>>>);

impl Recorder {
    pub(crate) fn new(on: bool) -> Self {
        Self(on.then(Mutex::default))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn add(&self, exchange: Exchange) {
        if let Some(kept) = &self.0 {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        }
    }

    /// All exchanges so far.
    pub(crate) fn all(&self) -> Vec<Exchange> {
        self.0.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}
