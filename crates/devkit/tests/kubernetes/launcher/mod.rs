//! The Kubernetes launcher in a real cluster: every ending told apart, nothing doubled, nothing left.

mod endings;
mod scene;
mod starting;
mod stopping;
