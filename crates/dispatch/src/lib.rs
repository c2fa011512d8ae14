//! Carries engine commands from the outbox to Temporal, in order per workflow.
//!
//! Used by the gateway, which stores commands with the deliveries that cause them, and by the worker, which wakes the run
//! that a free slot goes to.

mod closed;
pub mod dispatcher;
pub mod engine;
mod histories;
mod place;
pub mod schedules;
mod server;
mod terminations;

pub use dispatcher::{AGENT_RUN, Clock, DispatchError, Dispatcher};
pub use engine::{Engine, EngineError, EngineSettings};
pub use place::EnginePlace;
pub use schedules::{Schedule, When};
pub use terminations::Termination;
