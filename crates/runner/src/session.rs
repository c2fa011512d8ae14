//! What the runner works with once it has claimed its attempt: a secret that is in its memory and nowhere else.

use std::fmt;

use domain::job_tokens;

/// The session token; shows itself to nobody.
#[derive(Clone)]
pub(crate) struct Session(String);

impl Session {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(job_tokens::session_token(rand::random()))
    }

    /// Opens the runner endpoint. The runner's alone.
    pub(crate) fn token(&self) -> &str {
        &self.0
    }

    /// Opens the way out through the egress proxy. Everything in the Job has it.
    pub(crate) fn egress_token(&self) -> String {
        job_tokens::egress_token(&self.0)
    }

    /// Opens the model gateway. Codex has it.
    pub(crate) fn model_token(&self) -> String {
        job_tokens::model_token(&self.0)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(…)")
    }
}
