//! The tests, one file for each part of the platform.

mod alone;
mod bundle;
mod deploy;
mod launcher;
mod network;
mod runs;
mod sandbox;
mod smoke;
mod up;
