//! The tokens of a Job: one that starts it, and those that it works with.
//!
//! The *launch token* lies in a file of the Job and does one thing: it claims the attempt, once. Who claims it brings a *session
//! token* that it has just made and that is stored nowhere outside its memory: with it the runner fetches, reports and hands over.
//! Two more are made from the session token and do not lead back to it, or to each other: the *model token*, which Codex has, opens
//! the model gateway alone, and the *egress token*, which everything in the Job has, opens the way out to the hosts of the
//! project's list. The database holds hashes only.
//!
//! A token tells by its form which door it is for; it opens no other.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Hexadecimal digits behind the prefix: 256 bits.
const DIGITS: usize = 64;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Claims the attempt.
    Launch,
    /// Speaks for the attempt at the runner endpoint.
    Session,
    /// Asks the model.
    Model,
    /// Goes out through the egress proxy.
    Egress,
}

impl TokenKind {
    const ALL: [Self; 4] = [Self::Launch, Self::Session, Self::Model, Self::Egress];

    /// The kind of a token, by its form; none if it is no token of ours, or has been cut.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            token.strip_prefix(kind.prefix()).is_some_and(|digits| {
                digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        })
    }

    /// What a token of this kind is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch token",
            Self::Session => "session token",
            Self::Model => "model token",
            Self::Egress => "egress token",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Launch => "cxl_",
            Self::Session => "cxs_",
            Self::Model => "cmt_",
            Self::Egress => "cet_",
        }
    }

    fn token(self, secret: impl AsRef<[u8]>) -> String {
        format!("{}{}", self.prefix(), hex::encode(secret))
    }
}

/// The launch token of this secret.
#[must_use]
pub fn launch_token(secret: [u8; 32]) -> String {
    TokenKind::Launch.token(secret)
}

/// The session token of this secret, which must be random.
#[must_use]
pub fn session_token(secret: [u8; 32]) -> String {
    TokenKind::Session.token(secret)
}

/// The model token that goes with a session token.
#[must_use]
pub fn model_token(session_token: &str) -> String {
    TokenKind::Model.token(Sha256::digest(format!("model-token:{session_token}")))
}

/// The egress token that goes with a session token.
#[must_use]
pub fn egress_token(session_token: &str) -> String {
    TokenKind::Egress.token(Sha256::digest(format!("egress-token:{session_token}")))
}

/// What a runner says to claim its attempt, with the launch token. Sent over the runner endpoint alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Who claims: the UID of the pod, or the process where there are no pods.
    pub pod_uid: String,
    /// The session token that the runner has made.
    pub session: String,
}

impl fmt::Debug for ClaimRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimRequest").field("pod_uid", &self.pod_uid).finish_non_exhaustive()
    }
}

/// What the database keeps of a token.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// What the database keeps of a session token and of those made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionHashes {
    /// Of the session token.
    pub session: [u8; 32],
    /// Of its model token.
    pub model: [u8; 32],
    /// Of its egress token.
    pub egress: [u8; 32],
}

impl SessionHashes {
    /// The hashes of this session token.
    #[must_use]
    pub fn of(session_token: &str) -> Self {
        Self {
            session: hash(session_token),
            model: hash(&model_token(session_token)),
            egress: hash(&egress_token(session_token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_what_it_is_for_and_a_cut_one_is_none() {
        let session = session_token([7; 32]);
        let tokens = [
            (launch_token([7; 32]), TokenKind::Launch),
            (session.clone(), TokenKind::Session),
            (model_token(&session), TokenKind::Model),
            (egress_token(&session), TokenKind::Egress),
        ];
        for (token, kind) in &tokens {
            assert_eq!(TokenKind::of(token), Some(*kind), "{token}");
            assert_eq!(TokenKind::of(&token[..token.len() - 1]), None);
            assert_eq!(TokenKind::of(&token.to_uppercase()), None);
            assert_eq!(TokenKind::of(&format!("{token}0")), None);
        }
        assert_eq!(TokenKind::of(""), None);
    }

    #[test]
    fn no_token_passes_for_another() {
        let session = session_token([7; 32]);
        let hashes = SessionHashes::of(&session);
        let launch = hash(&launch_token([7; 32]));
        let all = [launch, hashes.session, hashes.model, hashes.egress];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(one));
        }
        assert_ne!(hashes, SessionHashes::of(&session_token([8; 32])));
    }
}
