//! The idempotent side effects of the workflows, one file each, and the worker role.

mod activity_watch;
pub mod agent_versions;
pub mod beat;
pub mod config_refresh;
pub mod connect_steps;
pub mod failure;
pub mod forge_access;
mod job_story;
pub mod jobs_in;
pub mod lost_connections;
pub mod lost_runs;
mod model_budget;
pub mod owed_ends;
pub mod platform;
pub mod progress;
pub mod project_schedules;
pub mod reconcile;
pub mod reseal;
pub mod run_context;
pub mod run_steps;
pub mod run_token;
pub mod scheduled_start;
pub mod settings;
pub mod slot_grants;
mod sweeps;
pub mod worker;
pub mod write_intent;
