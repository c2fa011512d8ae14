//! Sign-in and the staff API: a running gateway over real HTTP and a real Postgres, and the stand-in for GitHub.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod agents;
mod api_tokens;
mod attention;
mod audit;
mod bad_input;
mod browser;
mod description;
mod engine;
mod engine_ui;
mod forged;
mod live;
mod log;
mod pauses;
mod people;
mod projects;
mod reading;
mod replays;
mod repositories;
mod rights;
mod runs;
mod sentences;
mod sessions;
mod sign_in;
mod staff_client;
mod world;
