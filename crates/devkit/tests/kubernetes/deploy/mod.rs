//! What is in `deploy/`, on a real API server: it is accepted, the accounts are held to what they may do, and packets go where they
//! should and nowhere else.

mod admission;
mod attempts;
mod caller;
mod egress;
pub(crate) mod installed;
mod jobs;
mod launched;
mod manifests;
mod network;
mod roles;
