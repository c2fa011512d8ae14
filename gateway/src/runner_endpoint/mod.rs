//! `/runner/v1/…`: what the program inside a Job asks and tells. The token decides which attempt it speaks for: the launch token
//! claims it, the egress token asks for the way out, everything else takes the session token.

mod auth;
mod checkpoint;
mod claim;
mod egress;
mod job;
mod logs;
mod report;
mod result;
mod setup_cache;
mod upload;
mod workspace;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post, put},
};

pub use self::auth::RunnerAuth;
use crate::app::AppState;

/// Who claims, and one token.
const MAX_CLAIM_BODY: usize = 4 * 1024;

/// A host and a port.
const MAX_EGRESS_BODY: usize = 4 * 1024;

/// Output comes in batches of at most this size.
const MAX_LOG_BODY: usize = 8 * 1024 * 1024;

/// A report holds the last words of the agent and of each check.
const MAX_REPORT_BODY: usize = 4 * 1024 * 1024;

pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/runner/v1/claim", post(claim::post).layer(DefaultBodyLimit::max(MAX_CLAIM_BODY)))
        .route("/runner/v1/egress", post(egress::post).layer(DefaultBodyLimit::max(MAX_EGRESS_BODY)))
        .route("/runner/v1/job", get(job::get))
        .route("/runner/v1/workspace", get(workspace::get))
        .route(
            "/runner/v1/setup-cache",
            get(setup_cache::get).head(setup_cache::head).put(setup_cache::put).layer(DefaultBodyLimit::disable()),
        )
        .route("/runner/v1/checkpoint", put(checkpoint::put).head(checkpoint::head).layer(DefaultBodyLimit::disable()))
        .route("/runner/v1/checkpoint/work", get(checkpoint::work))
        .route("/runner/v1/checkpoint/thread", get(checkpoint::thread))
        .route("/runner/v1/logs", post(logs::post).layer(DefaultBodyLimit::max(MAX_LOG_BODY)))
        .route("/runner/v1/result", put(result::put).head(result::head).layer(DefaultBodyLimit::disable()))
        .route("/runner/v1/report", post(report::post).layer(DefaultBodyLimit::max(MAX_REPORT_BODY)))
}
