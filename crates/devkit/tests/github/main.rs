//! The stand-in for GitHub, behaviour by behaviour, through a real HTTP client and real git.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test by panicking")]

mod access;
mod apps;
mod comments;
mod contents;
mod description;
mod git;
mod hooks;
mod issues;
mod knobs;
mod pages;
mod persistence;
mod pulls;
mod receiver;
mod reviews;
mod sign_in;
mod statuses;
mod world;
