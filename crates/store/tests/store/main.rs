//! Tests of the store on real databases, one each.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test fails where it is surprised, and tells one story"
)]

mod attempts;
mod audit;
mod blobs;
mod commands;
mod deliveries;
mod memory;
mod outbox_order;
mod pacing;
mod repositories;
mod runs;
mod schema;
mod slots;
mod steps;
mod world;
