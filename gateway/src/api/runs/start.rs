//! `POST /api/v1/runs`

use axum::response::Response;
use domain::{
    event::{Subject, SubjectKind},
    people::ProjectRole,
    sentences,
};
use http::{HeaderMap, StatusCode};
use ingest::by_hand::{self, Asker, Start};
use serde::{Deserialize, Serialize};
use store::repositories;
use utoipa::ToSchema;

use super::{
    super::{
        body::Sent,
        idempotency::{Begun, Wish},
    },
    account,
    cancel::Accepted,
    refused, wish_key,
};
use crate::{auth::Caller, problem::Problem};

/// Longest instructions.
const MAX_INSTRUCTIONS: usize = 10_000;

/// What an agent is to work on.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct StartRun {
    /// `owner/name`
    #[schema(example = "acme/greeter")]
    repository: String,
    /// Number of the issue or pull request.
    number: i64,
    /// An issue, unless a pull request is named.
    #[serde(default = "issue")]
    subject: SubjectKind,
    /// Name of the agent.
    #[schema(example = "dev")]
    agent: String,
    /// What the agent is told beyond the issue.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    instructions: String,
}

const fn issue() -> SubjectKind {
    SubjectKind::Issue
}

/// Have an agent work on an issue or pull request, as if its label were put on
#[utoipa::path(
    post, path = "/api/v1/runs", tag = "runs", request_body = StartRun,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "A run is accepted.", body = Accepted))
)]
pub(in crate::api) async fn start_run(
    caller: Caller,
    headers: HeaderMap,
    Sent(wanted): Sent<StartRun>,
) -> Result<Response, Problem> {
    let none = || no_repository(&wanted.repository);
    let (owner, name) = wanted.repository.split_once('/').ok_or_else(none)?;
    let found = repositories::find_by_name(&mut *caller.store().acquire().await?, owner, name).await?;
    let repository = found.ok_or_else(none)?;
    // Somebody else's repository looks like one that is not there.
    caller.in_project(repository.project, ProjectRole::Read, hidden).await.map_err(|problem| match problem.code {
        "repository_not_found" => none(),
        _ => problem,
    })?;
    caller.in_project(repository.project, ProjectRole::Write, hidden).await?;
    let by = account(&caller)?;
    if wanted.number < 1 {
        return Err(Problem::bad_request("number_invalid", sentences::number_invalid()));
    }
    let instructions = wanted.instructions.trim();
    if instructions.chars().count() > MAX_INSTRUCTIONS {
        let detail = sentences::instructions_too_long(MAX_INSTRUCTIONS);
        return Err(Problem::bad_request("instructions_invalid", detail));
    }
    let wish = Wish::read(&headers, "start_run", &wanted)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let subject = Subject { kind: wanted.subject, number: wanted.number };
    let key = wish_key(&caller, &headers, "start");
    let start = Start { repository: &repository, subject, agent: wanted.agent.trim(), instructions, key: &key };
    let asker = Asker { by: &by, reason: None, instance: caller.app().instance(), now: caller.now() };
    let followed = by_hand::start(writing.conn(), start, asker).await.map_err(refused)?;
    writing.answer(&caller, StatusCode::ACCEPTED, &Accepted { run: followed.run }, Some(followed)).await
}

fn no_repository(name: &str) -> Problem {
    let shown: String = name.chars().take(100).collect();
    let detail = sentences::repository_unknown_to_you(shown);
    Problem::new(StatusCode::NOT_FOUND, "repository_not_found", detail)
}

fn hidden() -> Problem {
    no_repository("this repository")
}
