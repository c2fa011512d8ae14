//! `GET /api/v1/runs/{run}/attempts/{attempt}/prompt`

use axum::response::Response;
use domain::{
    agents::{PromptPiece, prompt_pieces},
    ids::RunId,
    people::ProjectRole,
    sentences,
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    of_attempt,
};
use crate::{auth::Caller, problem::Problem};

/// What an agent was told.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Prompt {
    /// One after the other they are the prompt, letter by letter.
    pieces: Vec<PromptPiece>,
}

/// What the agent saw: the exact prompt, with who wrote each piece
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/prompt", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number.")),
    responses((status = 200, description = "The prompt.", body = Prompt))
)]
pub(in crate::api) async fn read_prompt(
    caller: Caller,
    headers: HeaderMap,
    At((id, attempt)): At<(RunId, u32)>,
) -> Result<Response, Problem> {
    let attempt = of_attempt(&caller, id, attempt, ProjectRole::Read).await?;
    let prompt = attempt
        .prompt
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "prompt_missing", sentences::prompt_missing()))?;
    Ok(tagged(&headers, &Prompt { pieces: prompt_pieces(&prompt) }))
}
