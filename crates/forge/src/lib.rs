//! What codex-k8s asks of a code forge, and the GitHub adapter.
//!
//! * [`RepositoryProvider`] is the question list; [`github::GitHub`] answers it.
//! * [`git`] runs the git command line, hardened, with the credential in the environment only.
//! * [`seal`] closes credentials so that only the worker can open them.

pub mod credential;
pub mod error;
pub mod git;
pub mod github;
pub mod ids;
pub mod labels;
pub mod model;
pub mod provider;
pub mod seal;
pub mod secret;

pub use credential::{AppCredential, Credential, CredentialError};
pub use error::{ForgeError, Outage};
pub use ids::{
    AccountId, BranchName, CheckRunId, CommentId, CommitSha, DeliveryNumber, ForgeRepoId, HookNumber, IssueId,
    IssueNumber, PullNumber, ReviewId,
};
pub use model::{
    Account, Annotation, Comment, CommentSearch, CommitStatus, Diff, FailedCheck, Hook, HookDelivery, HookLog,
    HookSpec, Issue, ItemState, LogPage, NewPull, NewStatus, Permission, Pull, PullUpdate, RepoRef, Repository, Review,
    ReviewComment, StatusState,
};
pub use provider::RepositoryProvider;
pub use secret::Secret;

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// The clock, passed in so that waiting times can be tested.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The clock of the machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(Utc::now)
}
