//! The runner with the real Codex CLI and real git, against the scripted model.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, like the test itself")]

mod scripted_model;
