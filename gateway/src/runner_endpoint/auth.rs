//! Who asks: an attempt, by one of its tokens. A handler without one of these extractors has no data.
//!
//! A token that opens nothing is answered with what is wrong with it, and told to the audit; the token itself never is.

use axum::extract::FromRequestParts;
use domain::{
    ids::{Attempt, RunId},
    job_tokens::{self, TokenKind},
};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION, request::Parts};
use store::{
    Store, StoreError,
    tokens::{self, Owner, RefusedToken, Standing},
};

use crate::{
    app::AppState,
    problem::{Chain, Problem},
    requests::note,
};

/// The attempt whose session token came with the request. It has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerAuth(pub RunId, pub Attempt);

/// The attempt whose launch token came with the request; that may be all that can be said of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LaunchAuth(pub(super) RunId, pub(super) Attempt);

/// The attempt whose egress token came with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EgressAuth(pub(super) RunId, pub(super) Attempt);

impl RunnerAuth {
    /// Finds the attempt of a model token, which opens nothing but the model gateway.
    ///
    /// # Errors
    /// 401 if the token is missing, unknown, or worth nothing any more; 403 if it is one for another door; 503 if the database
    /// does not answer.
    pub(crate) async fn of_model_token(store: &Store, headers: &HeaderMap) -> Result<Self, Problem> {
        admit(store, headers, TokenKind::Model).await.map(|(run, attempt)| Self(run, attempt))
    }
}

impl FromRequestParts<AppState> for RunnerAuth {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        admit(state.store(), &parts.headers, TokenKind::Session).await.map(|(run, attempt)| Self(run, attempt))
    }
}

impl FromRequestParts<AppState> for LaunchAuth {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        admit(state.store(), &parts.headers, TokenKind::Launch).await.map(|(run, attempt)| Self(run, attempt))
    }
}

impl FromRequestParts<AppState> for EgressAuth {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        admit(state.store(), &parts.headers, TokenKind::Egress).await.map(|(run, attempt)| Self(run, attempt))
    }
}

async fn admit(store: &Store, headers: &HeaderMap, door: TokenKind) -> Result<(RunId, Attempt), Problem> {
    let token = bearer_token(headers)
        .ok_or_else(|| Problem::unauthorised("token_missing", format!("send the {} as a bearer token", door.name())))?;
    let kind = TokenKind::of(token);
    let mut conn = store.acquire().await?;
    let owner = match kind {
        Some(kind) => tokens::owner(&mut conn, kind, &job_tokens::hash(token)).await?,
        None => None,
    };
    drop(conn);
    if let Some(owner) = owner {
        note("run", owner.run);
        note("attempt", owner.attempt);
    }
    let problem = match (kind, owner) {
        (Some(kind), Some(owner)) if kind == door => match worthless(owner.standing) {
            None => return Ok((owner.run, owner.attempt)),
            Some(problem) => problem,
        },
        (Some(kind), Some(_)) => {
            let detail = format!("a {} opens nothing here; send the {}", kind.name(), door.name());
            Problem::new(StatusCode::FORBIDDEN, "token_misplaced", detail)
        }
        _ => Problem::unauthorised("token_unknown", "the token is unknown here; it may have been cut"),
    };
    tell_audit(store, owner.map(|owner: Owner| (owner.run, owner.attempt)), problem.code, door).await;
    Err(problem)
}

fn worthless(standing: Standing) -> Option<Problem> {
    let (code, detail) = match standing {
        Standing::Good => return None,
        Standing::Ended => ("attempt_ended", "the attempt of this token has ended"),
        Standing::Revoked => ("token_revoked", "the Job of this token was ended"),
        Standing::Expired => ("token_expired", "the attempt of this token is past its deadline"),
    };
    Some(Problem::unauthorised(code, detail))
}

/// What is answered does not depend on it.
pub(super) async fn tell_audit(store: &Store, of: Option<(RunId, Attempt)>, code: &'static str, door: TokenKind) {
    let refused = RefusedToken { of, code, door: door.name() };
    let told = async {
        let mut tx = store.begin().await?;
        tokens::note_refused(&mut tx, refused).await?;
        tx.commit().await.map_err(StoreError::from)
    };
    if let Err(error) = told.await {
        tracing::warn!(error = %Chain(&error), code, "the audit could not be told of a refused token");
    }
}

/// The token of `Authorization: Bearer …`.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_one() {
        let table = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
            ("abc", None),
        ];
        for (value, expected) in table {
            let headers: HeaderMap = [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
            assert_eq!(bearer_token(&headers), expected, "{value}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
