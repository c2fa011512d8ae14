//! The domain as its users see it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test they serve")]

mod cancels;
mod echoes;
mod events;
mod payloads;
mod revisions;
mod services_yaml;
mod starts;
mod wire;
