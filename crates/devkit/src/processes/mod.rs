//! Starting and ending programs so that none outlives the command that started it.

mod launch;
mod program;
mod sweep;
mod user;
mod warden;

pub use launch::{LaunchOrder, launch};
pub use program::{ProcessError, Program, Running};
pub use sweep::{MARKER, end_marked, is_alive};
pub use user::{Owner, unprivileged_owner};
pub(crate) use user::{give, private_folder};
pub use warden::{Warden, WardenOrder, stand_guard};
