//! Connected repositories: how they fare, attaching another one, renewing its webhook's secret, detaching it.

pub(super) mod attach;
pub(super) mod check;
pub(super) mod detach;
pub(super) mod list;
pub(super) mod rotate;

use axum::Json;
use domain::{
    ids::{ConnectionId, RepositoryId},
    people::ProjectRole,
    workflow_id,
};
use http::StatusCode;
use rand::rngs::StdRng;
use serde::Serialize;
use store::{
    StoreError, Transaction,
    repositories::{self, Repository},
};
use url::Url;
use utoipa::ToSchema;

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
    let detail = "there is no such repository, or you are no member of its project";
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
        let detail =
            "this gateway can't seal secrets for the worker: set SEALING_PUBLIC_KEY_FILE, or use `codex-k8s repo`";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sealing_not_configured", detail));
    };
    Ok((ConnectKeys { gateway: caller.app().key().clone(), sealing: sealing.clone() }, sign_in.public_url()))
}

/// Commits what was asked with its audit, and has the workflow started at once.
///
/// # Errors
/// 503 if the database does not answer.
async fn begun(
    caller: &Caller,
    tx: Transaction,
    connection: ConnectionId,
) -> Result<(StatusCode, Json<BegunConnection>), Problem> {
    tx.commit().await.map_err(StoreError::from)?;
    caller.app().dispatcher().spawn(workflow_id::connect_repository(caller.app().instance(), connection));
    Ok((StatusCode::ACCEPTED, Json(BegunConnection { connection })))
}

fn refused(error: ConnectError) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match error {
        ConnectError::UnderWay(name, _) => {
            conflict("connection_busy", format!("something is being done to {name} already: wait for its end"))
        }
        ConnectError::NotConnected(name) => {
            Problem::new(StatusCode::NOT_FOUND, "repository_not_found", format!("{name} is not connected"))
        }
        ConnectError::NoCredential(name) => {
            conflict("no_credential", format!("{name} has no credential: attach it again with one"))
        }
        ConnectError::NoHook(name) => {
            conflict("no_hook", format!("{name} has no webhook of its own: attach it again, and one is made"))
        }
        ConnectError::PlatformSecret(name) => {
            conflict("platform_secret", format!("the webhook of {name} signs with the platform's own secret"))
        }
        ConnectError::Detached(name) => conflict("repository_detached", format!("{name} is detached")),
        ConnectError::ProjectDeleted(slug) => conflict("project_deleted", format!("project {slug} was deleted")),
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
