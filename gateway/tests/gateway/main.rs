//! The gateway over real HTTP and a real Postgres. The engine is a closed port: commands stay in the outbox, where the
//! tests look at them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod checkpoint;
mod claim;
mod events;
mod examples;
mod groups;
mod hooks;
mod limits;
mod model;
mod model_limits;
mod model_trouble;
mod outage;
mod runner;
mod setup_cache;
mod storm;
mod uploads;
mod verdicts;
mod webhooks;
mod world;
