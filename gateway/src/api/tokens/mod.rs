//! The caller's tokens for scripts.

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;
