//! The git command line, hardened: no prompts, no configuration of the machine or the user, no hooks, only the protocols a call
//! needs, the credential in the environment alone (never in arguments, URLs or files), a time limit, and the whole process group
//! killed when a call ends early.

mod auth;
mod error;
mod history;
mod mirror;
mod process;
mod rebase;
mod stale_locks;
mod transfer;

pub use auth::{GitAuth, hardened_env};
pub use error::{GitError, GitErrorClass};
pub use history::{Change, Commit, EntryKind, FileChange, LineCount, TreeEntry};
pub use process::Git;
pub use rebase::{Identity, Rebase, Rebased};
pub use transfer::{Push, Pushed};
