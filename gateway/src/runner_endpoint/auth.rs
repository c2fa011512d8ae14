//! Who asks: an attempt, by its run token. A handler without this extractor has no data.

use axum::extract::FromRequestParts;
use domain::{
    ids::{Attempt, RunId},
    job_tokens::{hash_of_model_token, hash_of_run_token},
};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use store::{Store, attempts};

use crate::{app::AppState, problem::Problem, requests::note};

/// The attempt whose token came with the request. It has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerAuth(pub RunId, pub Attempt);

impl RunnerAuth {
    /// Finds the attempt of a run token.
    ///
    /// # Errors
    /// 401 if the token is missing, unknown, or that of an attempt that has ended; 503 if the database does not answer.
    pub(crate) async fn of(store: &Store, headers: &HeaderMap) -> Result<Self, Problem> {
        Self::by(store, hash_of_run_token(bearer(headers, "run")?)).await
    }

    /// Finds the attempt of a model token, which opens nothing but the model gateway.
    ///
    /// # Errors
    /// As for a run token.
    pub(crate) async fn of_model_token(store: &Store, headers: &HeaderMap) -> Result<Self, Problem> {
        Self::by(store, hash_of_model_token(bearer(headers, "model")?)).await
    }

    async fn by(store: &Store, hash: [u8; 32]) -> Result<Self, Problem> {
        let found = attempts::by_token_hash(&mut *store.acquire().await?, &hash).await?;
        let (run, attempt) = found.ok_or_else(|| {
            Problem::unauthorised("token_unknown", "the token is unknown here, or its attempt has ended")
        })?;
        note("run", run);
        note("attempt", attempt);
        Ok(Self(run, attempt))
    }
}

impl FromRequestParts<AppState> for RunnerAuth {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        Self::of(state.store(), &parts.headers).await
    }
}

fn bearer<'a>(headers: &'a HeaderMap, which: &str) -> Result<&'a str, Problem> {
    bearer_token(headers)
        .ok_or_else(|| Problem::unauthorised("token_missing", format!("send the {which} token as a bearer token")))
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
