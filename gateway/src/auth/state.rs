//! What binds a sign-in to the browser that began it.
//!
//! The cookie holds a random text, the time, and where the person wanted to go. `state` and the PKCE verifier are made from it, so
//! nothing is stored for sign-ins that are never completed, and an answer meant for another browser does not fit.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::secret::{derived, random};

/// A sign-in is to be completed within the life of GitHub's code.
pub(super) const SIGN_IN_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Longest address to go back to.
const MAX_RETURN: usize = 500;

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    secret: String,
    began: DateTime<Utc>,
    return_to: String,
}

impl Pending {
    /// A new one.
    pub(super) fn begin(return_to: Option<&str>, now: DateTime<Utc>) -> Self {
        let return_to = return_to.filter(|path| is_local(path)).unwrap_or("/").to_owned();
        Self { secret: random(), began: now, return_to }
    }

    /// Reads the cookie; none if it is broken or too old.
    pub(super) fn read(cookie: &str, now: DateTime<Utc>) -> Option<Self> {
        let mut parts = cookie.split('.');
        let (secret, began, return_to) = (parts.next()?, parts.next()?, parts.next()?);
        let began = DateTime::from_timestamp(began.parse().ok()?, 0)?;
        let return_to = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(return_to).ok()?).ok()?;
        let fits = parts.next().is_none() && began <= now && now < began + SIGN_IN_LIFE && is_local(&return_to);
        fits.then(|| Self { secret: secret.to_owned(), began, return_to })
    }

    /// The cookie.
    pub(super) fn cookie(&self) -> String {
        format!("{}.{}.{}", self.secret, self.began.timestamp(), BASE64_URL_SAFE_NO_PAD.encode(&self.return_to))
    }

    /// What GitHub is to send back.
    pub(super) fn state(&self) -> String {
        derived("state", &self.cookie())
    }

    /// Whether this came back.
    pub(super) fn is_answered_by(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// What shows GitHub that the code goes to whoever began.
    pub(super) fn verifier(&self) -> String {
        derived("verifier", &self.cookie())
    }

    /// Its S256 form, shown at the beginning.
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    /// When its answer would be too old anyway.
    pub(super) fn ends_at(&self) -> DateTime<Utc> {
        self.began + SIGN_IN_LIFE
    }

    /// Where the person wanted to go.
    pub(super) fn return_to(&self) -> &str {
        &self.return_to
    }
}

/// An address on this very host: browsers read `//` and `/\` as another one.
pub(super) fn is_local(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && path.len() <= MAX_RETURN
        && path.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_read_back_within_its_time() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let pending = Pending::begin(Some("/runs?state=failed"), now);
        let read = |cookie: &str, secs| Pending::read(cookie, now + TimeDelta::seconds(secs));
        assert_eq!(read(&pending.cookie(), 599), Some(pending.clone()));
        assert_eq!(read(&pending.cookie(), 600), None);
        assert_eq!(read(&pending.cookie(), -1), None);
        assert_eq!(read(&format!("{}.x", pending.cookie()), 0), None);
        assert_eq!(read("a.b", 0), None);
        assert!(pending.is_answered_by(&pending.state()));
        assert!(!pending.is_answered_by(&Pending::begin(None, now).state()));
        assert_ne!(pending.state(), pending.verifier());
    }

    #[test]
    fn nobody_is_led_to_another_host() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for wrong in ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/a\nb", "/ä"] {
            assert_eq!(Pending::begin(Some(wrong), now).return_to(), "/", "{wrong}");
        }
        let forged = format!("x.{}.{}", now.timestamp(), BASE64_URL_SAFE_NO_PAD.encode("//evil.example"));
        assert_eq!(Pending::read(&forged, now), None);
    }
}
