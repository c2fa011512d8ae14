//! What came in, and what became of it.

pub(super) mod list;
