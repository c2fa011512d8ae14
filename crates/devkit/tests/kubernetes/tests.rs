//! The tests, one file for each part of the platform.

mod bundle;
mod deploy;
mod network;
mod smoke;
