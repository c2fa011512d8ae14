//! Launch tokens: what a runner claims its attempt with. Worthless outside it, and once it is claimed.
//!
//! A token is derived from the worker's key and the attempt, so that a launch that runs twice hands out the same one. The
//! database holds its hash only.

use domain::{
    ids::{Attempt, RunId},
    job_tokens,
};
use forge::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The worker's key.
#[derive(Clone)]
pub struct RunTokenKey(Secret);

/// The text is no key.
#[derive(Debug, thiserror::Error)]
#[error("a run token key is 64 hexadecimal digits; make one with `openssl rand -hex 32`")]
pub struct InvalidKey;

impl RunTokenKey {
    /// Reads the key from the text of its file.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(Secret::new(text))) } else { Err(InvalidKey) }
    }

    /// The launch token of an attempt.
    ///
    /// # Panics
    /// Never: HMAC takes keys of every length.
    #[must_use]
    pub fn token(&self, run: RunId, attempt: Attempt) -> Secret {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes()) else {
            unreachable!("HMAC takes keys of every length")
        };
        mac.update(format!("run-token:{run}:{attempt}").as_bytes());
        Secret::new(job_tokens::launch_token(mac.finalize().into_bytes().into()))
    }
}

/// What the database keeps of a token.
#[must_use]
pub fn hash(token: &Secret) -> [u8; 32] {
    job_tokens::hash(token.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_attempt() {
        let key = RunTokenKey::parse(&"ab".repeat(32)).unwrap();
        let run: RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let first = key.token(run, Attempt(1));
        assert_eq!(first.expose(), key.token(run, Attempt(1)).expose());
        assert_ne!(first.expose(), key.token(run, Attempt(2)).expose());
        assert_ne!(hash(&first), hash(&key.token(run, Attempt(2))));
        assert!(RunTokenKey::parse("short").is_err());
    }
}
