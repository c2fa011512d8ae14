//! The runner with the real Codex CLI and real git, against the scripted model.
//!
//! The gateway is played by the test: it speaks the runner protocol and keeps what it was told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails by panicking, like the test itself"
)]

mod cancel;
mod changes;
mod checkpoints;
mod codex;
mod failures;
mod gateway;
mod isolation;
mod job;
mod output;
mod scripted_model;
mod set_up;
mod workspace;
