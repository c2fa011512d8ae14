//! Signing in with GitHub: applications, and the codes on their way.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An e-mail address of an account, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub email: String,
    /// Whether GitHub writes to it.
    pub primary: bool,
    /// Whether its owner has shown that it is theirs.
    pub verified: bool,
}

impl Address {
    /// A primary address.
    #[must_use]
    pub fn primary(email: impl Into<String>, verified: bool) -> Self {
        Self { email: email.into(), primary: true, verified }
    }
}

/// An application that people sign in to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OAuthApp {
    pub(crate) secret: String,
    /// The one address that people are sent back to.
    pub(crate) callback: String,
}

/// A code that waits to be given for a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) user: u64,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    /// S256 of the verifier that must come with it.
    pub(crate) challenge: Option<String>,
    pub(crate) made_at: DateTime<Utc>,
}
