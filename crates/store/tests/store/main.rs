//! Tests of the store on real databases, one each.

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
