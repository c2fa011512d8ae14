//! The caller themselves.

pub(super) mod change;
pub(super) mod read;
