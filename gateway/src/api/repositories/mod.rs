//! Connected repositories: how they fare, and attaching another one.

pub(super) mod attach;
pub(super) mod check;
pub(super) mod list;

use domain::ids::ConnectionId;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    connecting::ConnectError,
    problem::{Chain, Problem},
};

/// A connection that has begun: read it until it is over.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct BegunConnection {
    connection: ConnectionId,
}

fn refused(error: ConnectError) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match error {
        ConnectError::UnderWay(name, _) => {
            conflict("attaching_already", format!("{name} is being attached already: wait for its end"))
        }
        ConnectError::NotConnected(name) => {
            Problem::new(StatusCode::NOT_FOUND, "repository_not_found", format!("{name} is not connected"))
        }
        ConnectError::NoCredential(name) => {
            conflict("no_credential", format!("{name} has no credential: attach it again with one"))
        }
        ConnectError::Store(error) => error.into(),
        error @ (ConnectError::PublicUrl | ConnectError::Seal(_) | ConnectError::HookSecret(_)) => {
            tracing::error!(error = %Chain(&error), "a credential could not be sealed");
            Problem::internal()
        }
    }
}
