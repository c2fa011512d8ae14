//! The tests, one file for each part of the platform.

mod bundle;
mod network;
mod smoke;
