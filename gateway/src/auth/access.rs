//! Access tokens: short-lived, signed, and good for nothing without the rows that they name.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{Instance, PersonId, SessionId},
    sentences,
};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use store::Store;

use super::keys::{KnownKeys, Signer};
use crate::problem::Problem;

/// How long an access token lives.
pub const ACCESS_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Longest token that is looked at; ours have a few hundred characters.
const MAX_TOKEN: usize = 2_000;

/// Who is signed in, as a token says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) person: PersonId,
    pub(crate) session: SessionId,
    /// When the token dies.
    pub(crate) until: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: PersonId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Signs a token.
///
/// # Errors
/// The key signs nothing: a mistake of ours.
pub(crate) fn issue(
    signer: &Signer,
    instance: &Instance,
    (person, session): (PersonId, SessionId),
    now: DateTime<Utc>,
) -> Result<(String, DateTime<Utc>), jsonwebtoken::errors::Error> {
    let until = now + ACCESS_LIFE;
    let claims = Claims {
        iss: issuer(instance),
        aud: audience(instance),
        sub: person,
        sid: session,
        iat: now.timestamp(),
        exp: until.timestamp(),
    };
    let header = Header { kid: Some(signer.kid.clone()), ..Header::new(Algorithm::EdDSA) };
    Ok((encode(&header, &claims, &signer.key)?, until))
}

/// Checks a token. What is wrong with it is told to the log and not to the caller; the token itself to neither.
///
/// # Errors
/// 401; 503 if the database does not answer.
pub(crate) async fn check(
    token: &str,
    instance: &Instance,
    (store, keys): (&Store, &KnownKeys),
    now: DateTime<Utc>,
) -> Result<SignedIn, Problem> {
    let invalid = |why: &str| {
        tracing::info!(why, "an access token was refused");
        Problem::unauthorised("token_invalid", sentences::sign_in_not_valid())
    };
    if token.len() > MAX_TOKEN {
        return Err(invalid("too long"));
    }
    let header = decode_header(token).map_err(|_| invalid("no header that can be read"))?;
    if header.alg != Algorithm::EdDSA {
        return Err(invalid("another algorithm"));
    }
    let kid = header.kid.ok_or_else(|| invalid("no key id"))?;
    let key = keys.find(store, &kid, now).await?.ok_or_else(|| invalid("unknown key"))?;
    let mut wanted = Validation::new(Algorithm::EdDSA);
    wanted.set_audience(&[audience(instance)]);
    wanted.set_issuer(&[issuer(instance)]);
    wanted.set_required_spec_claims(&["aud", "iss", "sub", "exp"]);
    // Looked at below, by the clock that everything else goes by.
    wanted.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &wanted).map_err(|_| invalid("signature or claims do not fit"))?.claims;
    let until = DateTime::from_timestamp(claims.exp, 0).ok_or_else(|| invalid("no time"))?;
    if until <= now {
        return Err(Problem::unauthorised("token_expired", sentences::sign_in_to_refresh()));
    }
    if until > now + ACCESS_LIFE * 2 {
        return Err(invalid("lives too long"));
    }
    Ok(SignedIn { person: claims.sub, session: claims.sid, until })
}

fn issuer(instance: &Instance) -> String {
    format!("codex-k8s:{instance}")
}

fn audience(instance: &Instance) -> String {
    format!("codex-k8s:{instance}:staff")
}
