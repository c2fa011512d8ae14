//! `POST /runner/v1/claim`: the first process that shows the launch token gets the attempt, and the token is worthless to others.

use axum::{Json, extract::State};
use domain::job_tokens::{ClaimRequest, SessionHashes, TokenKind};
use http::StatusCode;
use store::{
    StoreError, attempts,
    tokens::{self, Claim, Claimed},
};

use super::auth::{LaunchAuth, tell_audit};
use crate::{app::AppState, problem::Problem};

/// The UID of a pod has 36.
const MAX_CLAIMANT: usize = 100;

const TAKEN: &str = "attempt_claimed";

pub(super) async fn post(
    LaunchAuth(run, attempt): LaunchAuth,
    State(state): State<AppState>,
    Json(request): Json<ClaimRequest>,
) -> Result<StatusCode, Problem> {
    let by = request.pod_uid.as_str();
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    if by.is_empty() || by.len() > MAX_CLAIMANT || !by.bytes().all(named) {
        let detail = "say in `pod_uid` who claims, in at most 100 letters, digits and `-_.:`";
        return Err(Problem::bad_request("claim_invalid", detail));
    }
    if TokenKind::of(&request.session) != Some(TokenKind::Session) {
        let detail = "make a session token of 256 random bits: `cxs_` and 64 hexadecimal digits";
        return Err(Problem::bad_request("claim_invalid", detail));
    }
    let claim = Claim { run, attempt, by, hashes: SessionHashes::of(&request.session), now: state.now() };
    let mut tx = state.store().begin().await?;
    let claimed = tokens::claim(&mut tx, claim).await?;
    if claimed != Claimed::Taken {
        attempts::heartbeat(&mut tx, run, attempt, claim.now).await?;
        tx.commit().await.map_err(StoreError::from)?;
        return Ok(StatusCode::NO_CONTENT);
    }
    drop(tx);
    tracing::warn!(%run, %attempt, by, "an attempt was to be claimed once more");
    tell_audit(state.store(), Some((run, attempt)), TAKEN, TokenKind::Launch).await;
    let detail = "another process has claimed this attempt; the launch token opens nothing any more";
    Err(Problem::new(StatusCode::CONFLICT, TAKEN, detail))
}
