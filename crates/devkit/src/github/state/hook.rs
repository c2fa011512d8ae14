//! Webhook registrations and the log of what was sent.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A webhook of a repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hook {
    /// Numeric id, sent as `X-GitHub-Hook-ID`.
    pub id: u64,
    /// Where deliveries go.
    pub url: String,
    /// `json` or `form`.
    pub content_type: String,
    /// The secret that signs.
    pub secret: Option<String>,
    /// `0` or `1`, kept as given.
    pub insecure_ssl: String,
    /// Event names, or `*`.
    pub events: Vec<String>,
    /// Whether events are delivered.
    pub active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Outcome of the newest delivery: code, word and message.
    pub last_response: Option<(u16, String)>,
}

impl Hook {
    /// Does this hook want that event?
    pub(crate) fn wants(&self, event: &str) -> bool {
        event == "ping" || self.active && self.events.iter().any(|name| name == "*" || name == event)
    }
}

/// One attempt to deliver one event to one hook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Numeric id of this attempt.
    pub id: u64,
    /// The hook.
    pub hook: u64,
    /// The repository.
    pub repository: u64,
    /// `X-GitHub-Delivery`: the same for a redelivery.
    pub guid: String,
    /// Event name.
    pub event: String,
    /// Action inside the event.
    pub action: Option<String>,
    /// The JSON that is signed and sent.
    pub payload: String,
    /// Asked for by hand after the first attempt.
    pub redelivery: bool,
    /// When the attempt ended; none while it waits to be sent.
    pub delivered_at: Option<DateTime<Utc>>,
    /// How long the attempt took, in seconds.
    pub duration: f64,
    /// Word for the outcome, for instance `OK`.
    pub status: String,
    /// Status code that came back, or the one GitHub notes for a failure to connect.
    pub status_code: u16,
    /// Headers sent.
    pub request_headers: BTreeMap<String, String>,
    /// Headers that came back.
    pub response_headers: BTreeMap<String, String>,
    /// Body that came back.
    pub response_body: String,
}
