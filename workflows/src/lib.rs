//! Durable workflows: decisions only, and the declarations of the activities they call.
//!
//! This crate can't do I/O even by mistake: it depends on the vocabulary and on Temporal's authoring crates alone. What a
//! workflow wants done it asks of an activity declared in [`steps`], [`connect_steps`] or [`delete_project`]; the `activities` crate implements the declarations.
//! Messages in here lie in histories for as long as those are kept: add fields with `#[serde(default)]`, never rename.

pub mod agent_run;
pub mod connect_repository;
pub mod connect_steps;
pub mod delete_project;
pub mod messages;
pub mod options;
pub mod ownership;
pub mod reconcile;
pub mod scheduled_start;
pub mod steps;

mod failure;
mod timer;

pub use agent_run::AgentRun;
pub use connect_repository::ConnectRepository;
pub use delete_project::DeleteProject;
pub use reconcile::Reconcile;
pub use scheduled_start::ScheduledStart;
