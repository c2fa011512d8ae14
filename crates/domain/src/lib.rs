//! The vocabulary of codex-k8s: ids, states, trigger rules, `services.yaml`, policies.
//!
//! Everything here is pure: no I/O, no clock, no randomness of its own.

pub mod agents;
pub mod commands;
pub mod connection;
pub mod egress;
pub mod event;
pub mod failure;
pub mod forge_text;
pub mod hook_log;
pub mod ids;
pub mod intent;
pub mod job;
pub mod job_ending;
pub mod job_tokens;
pub mod log_lines;
pub mod model;
pub mod pauses;
pub mod people;
pub mod policy;
pub mod reconciler;
pub mod rights;
pub mod run;
pub mod run_limits;
pub mod sentences;
pub mod services_yaml;
pub mod text_enum;
pub mod told_settings;
pub mod triggers;
pub mod workflow_id;
