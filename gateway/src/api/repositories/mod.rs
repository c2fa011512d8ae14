//! Connected repositories: how they fare, attaching another one, renewing its webhook's secret, detaching it.

pub(super) mod attach;
pub(super) mod check;
pub(super) mod detach;
pub(super) mod list;
pub(super) mod rotate;

use axum::response::Response;
use domain::{
    ids::{ConnectionId, RepositoryId},
    people::ProjectRole,
    sentences, workflow_id,
};
use http::StatusCode;
use rand::rngs::StdRng;
use serde::Serialize;
use store::{
    StoreError,
    repositories::{self, Repository},
};
use url::Url;
use utoipa::ToSchema;

use super::idempotency::Writing;
use crate::{
    auth::Caller,
    connecting::{Asking, ConnectError, ConnectKeys},
    problem::{Chain, Problem},
};

/// A connection that has begun: read it until it is over.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct BegunConnection {
    connection: ConnectionId,
}

/// A repository, if the caller may do this with it.
pub(super) async fn found(caller: &Caller, id: RepositoryId, needed: ProjectRole) -> Result<Repository, Problem> {
    let repository = match repositories::get(&mut *caller.store().acquire().await?, id).await {
        Err(StoreError::Missing { .. }) => return Err(no_repository()),
        found => found?,
    };
    caller.in_project(repository.project, needed, no_repository).await?;
    Ok(repository)
}

fn no_repository() -> Problem {
    let detail = sentences::repository_not_found();
    Problem::new(StatusCode::NOT_FOUND, "repository_not_found", detail)
}

/// What asking for something to be done to a connection needs.
fn asking<'a>(caller: &'a Caller, rng: &'a mut StdRng) -> Asking<'a, StdRng> {
    Asking { instance: caller.app().instance(), rng, now: caller.now() }
}

/// The keys that secrets are sealed with, and where the forge reaches us.
///
/// # Errors
/// 503 if this gateway has none.
fn sealing(caller: &Caller) -> Result<(ConnectKeys, &Url), Problem> {
    let (Some(sealing), Some(sign_in)) = (caller.app().sealing(), caller.app().sign_in()) else {
        let detail = sentences::sealing_not_configured();
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sealing_not_configured", detail));
    };
    Ok((ConnectKeys { gateway: caller.app().key().clone(), sealing: sealing.clone() }, sign_in.public_url()))
}

/// Commits what was asked with its audit, and has the workflow started at once.
///
/// # Errors
/// 503 if the database does not answer.
async fn begun(caller: &Caller, writing: Writing, connection: ConnectionId) -> Result<Response, Problem> {
    let response = writing.answer(caller, StatusCode::ACCEPTED, &BegunConnection { connection }, None).await?;
    caller.app().dispatcher().spawn(workflow_id::connect_repository(caller.app().instance(), connection));
    Ok(response)
}

fn refused(error: ConnectError) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match error {
        ConnectError::UnderWay(name, _) => conflict("connection_busy", sentences::repository_busy(name)),
        ConnectError::NotConnected(name) => {
            Problem::new(StatusCode::NOT_FOUND, "repository_not_found", sentences::repository_not_connected_now(name))
        }
        ConnectError::NoCredential(name) => conflict("no_credential", sentences::repository_without_credential(name)),
        ConnectError::NoHook(name) => conflict("no_hook", sentences::repository_without_hook(name)),
        ConnectError::PlatformSecret(name) => conflict("platform_secret", sentences::platform_secret(name)),
        ConnectError::Detached(name) => conflict("repository_detached", sentences::repository_is_detached(name)),
        ConnectError::ProjectDeleted(slug) => conflict("project_deleted", sentences::project_deleted_named(slug)),
        ConnectError::Store(error) => error.into(),
        error @ (ConnectError::PublicUrl
        | ConnectError::Seal(_)
        | ConnectError::HookSecret(_)
        | ConnectError::Sealed(_)) => {
            tracing::error!(error = %Chain(&error), "a secret could not be sealed or opened");
            Problem::internal()
        }
    }
}
