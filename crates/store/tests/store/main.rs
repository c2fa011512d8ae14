//! Tests of the store on real databases, one each.

#![allow(clippy::unwrap_used, reason = "a test fails where it is surprised")]

mod agent_versions;
mod attempts;
mod audit;
mod blobs;
mod checkpoints;
mod commands;
mod connections;
mod credentials;
mod deliveries;
mod gauges;
mod hook_logs;
mod job_ends;
mod log_archives;
mod memory;
mod model_calls;
mod outbox_order;
mod owners;
mod pacing;
mod plans;
mod project_deletions;
mod repositories;
mod retention;
mod runs;
mod schema;
mod slots;
mod steps;
mod tokens;
mod world;
