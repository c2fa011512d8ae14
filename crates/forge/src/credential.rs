//! What a sealed credential holds, once it is opened: one of two kinds.

use std::fmt;

use domain::connection::CredentialKind;
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::Secret;

/// An opened credential.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token that is used as it is.
    Token(Secret),
    /// A GitHub App.
    App(AppCredential),
}

/// A GitHub App: who it is, and the key that signs for it.
#[derive(Clone)]
pub struct AppCredential {
    /// The App's number, or its client id: GitHub takes both.
    pub app_id: String,
    /// The installation to act for; none: the one of the repository, looked up.
    pub installation_id: Option<u64>,
    private_key: Secret,
}

/// A text that is no credential. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No token.
    #[error("a token is one line of printable characters; this is something else")]
    NoToken,
    /// No App.
    #[error("what was sealed does not describe a GitHub App")]
    NoApp,
    /// No id.
    #[error("the id of a GitHub App is its number, or its client id")]
    NoAppId,
    /// No key.
    #[error(
        "the private key of a GitHub App is the .pem file that its settings page hands out; this is something else"
    )]
    NoPrivateKey,
}

/// The sealed form.
#[derive(Serialize, Deserialize)]
struct SealedApp {
    app_id: String,
    #[serde(default)]
    installation_id: Option<u64>,
    private_key: String,
}

impl Drop for SealedApp {
    fn drop(&mut self) {
        self.private_key.zeroize();
    }
}

impl Credential {
    /// A token, as it comes from a file: white space around it does not count.
    ///
    /// # Errors
    /// [`CredentialError::NoToken`]
    pub fn token(text: &str) -> Result<Self, CredentialError> {
        let text = text.trim();
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self::Token(Secret::new(text))) } else { Err(CredentialError::NoToken) }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Token(_) => CredentialKind::Token,
            Self::App(_) => CredentialKind::App,
        }
    }

    /// The text that is sealed.
    #[must_use]
    pub fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Token(token) => Zeroizing::new(token.expose().as_bytes().to_vec()),
            Self::App(app) => {
                let sealed = SealedApp {
                    app_id: app.app_id.clone(),
                    installation_id: app.installation_id,
                    private_key: app.private_key.expose().to_owned(),
                };
                // Texts and a number: nothing that JSON could refuse.
                Zeroizing::new(serde_json::to_vec(&sealed).unwrap_or_default())
            }
        }
    }

    /// Reads what was sealed.
    ///
    /// # Errors
    /// [`CredentialError`]
    pub fn from_plaintext(kind: CredentialKind, bytes: &[u8]) -> Result<Self, CredentialError> {
        match kind {
            CredentialKind::Token => Self::token(std::str::from_utf8(bytes).map_err(|_| CredentialError::NoToken)?),
            CredentialKind::App => {
                let sealed: SealedApp = serde_json::from_slice(bytes).map_err(|_| CredentialError::NoApp)?;
                AppCredential::new(&sealed.app_id, sealed.installation_id, &sealed.private_key).map(Self::App)
            }
        }
    }
}

impl AppCredential {
    /// Checks that the key is one.
    ///
    /// # Errors
    /// [`CredentialError::NoAppId`], [`CredentialError::NoPrivateKey`]
    pub fn new(app_id: &str, installation_id: Option<u64>, private_key: &str) -> Result<Self, CredentialError> {
        let app_id = app_id.trim();
        if app_id.is_empty() || !app_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(CredentialError::NoAppId);
        }
        let app = Self { app_id: app_id.to_owned(), installation_id, private_key: Secret::new(private_key.trim()) };
        app.signing_key().map(|_| app)
    }

    pub(crate) fn signing_key(&self) -> Result<EncodingKey, CredentialError> {
        EncodingKey::from_rsa_pem(self.private_key.expose().as_bytes()).map_err(|_| CredentialError::NoPrivateKey)
    }
}

impl fmt::Debug for AppCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCredential")
            .field("app_id", &self.app_id)
            .field("installation_id", &self.installation_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        let token = Credential::token(" github_pat_abc\n").unwrap();
        assert_eq!(token.to_plaintext().as_slice(), b"github_pat_abc");
        assert_eq!(token.kind(), CredentialKind::Token);
        for bad in ["", " \n", "two words", "umläut"] {
            assert_eq!(Credential::token(bad).unwrap_err(), CredentialError::NoToken, "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_app_is_refused_without_being_repeated() {
        let not_a_key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";
        let error = AppCredential::new("12", None, not_a_key).unwrap_err();
        assert_eq!(error, CredentialError::NoPrivateKey);
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(AppCredential::new("my app", None, not_a_key).unwrap_err(), CredentialError::NoAppId);
        assert_eq!(Credential::from_plaintext(CredentialKind::App, b"{}").unwrap_err(), CredentialError::NoApp);
    }
}
