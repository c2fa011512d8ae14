//! Everything HTTP: webhooks, sign-in, the staff API, the console's files, the runner endpoint, the model gateway.
//!
//! The gateway verifies, judges and stores; it never waits for the engine or the forge. What follows from a webhook lies
//! in the outbox of the same transaction and is delivered afterwards.

pub mod api;
pub mod app;
pub mod auth;
pub mod connecting;
pub mod console;
pub mod engine_ui;
pub mod gaps;
pub mod health;
pub mod hook_secrets;
pub mod model_gateway;
pub mod outgoing;
pub mod problem;
pub mod requests;
pub mod runner_endpoint;
pub mod settings;
pub mod staff_client;
pub mod webhooks;

mod engine_seen;
mod live;
mod serve;

pub use self::{
    app::{AppParts, AppState, outside_router, router, router_with_console, runner_router},
    console::Console,
    serve::serve,
    settings::GatewaySettings,
};
