//! The vocabulary of codex-k8s: ids, states, trigger rules, `services.yaml`, policies.
//!
//! Everything here is pure: no I/O, no clock, no randomness of its own.

pub mod ids;
pub mod job;
pub mod run;
pub mod workflow_id;
