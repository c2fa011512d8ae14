//! The Kubernetes launcher in a real cluster: every ending told apart, nothing doubled, nothing left.

mod endings;
pub(super) mod scene;
mod starting;
mod stopping;
