//! What has changed, while it changes.

pub(super) mod follow;
