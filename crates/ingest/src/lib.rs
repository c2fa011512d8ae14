//! Judges an event and records it with everything that follows, in one transaction.
//!
//! How an event came here does not matter: the gateway records what a webhook brought, the worker what it went and found.
//! Whoever records knows that the event is the forge's own; nothing in here asks again.

pub mod by_hand;
pub mod connections;
pub mod deletions;
pub mod replay;
pub mod slot_grants;

mod effects;
mod go_on;
mod group;
mod look_up;
mod record;

pub use self::{
    go_on::{GoneOn, go_on},
    group::{GroupError, Grouped, record_group},
    record::{Arrival, Recorded, foresee, record, record_within},
};
