//! The platform as its users see it: a label becomes a pull request, and whatever else can happen on the way.

mod agents;
mod budget;
mod cancel;
mod connecting;
mod continue_run;
mod crash;
mod deleting;
mod happy_path;
mod in_engine;
mod looking_back;
mod lost;
mod metrics;
mod missed_deliveries;
mod namespaces;
mod operators;
mod ordering;
mod outage;
mod outcomes;
mod plain_client;
mod queue;
mod readiness;
mod reconcilers;
mod refusals;
mod repeated;
mod replay;
mod replay_memory;
mod retry;
mod revise;
mod schedules;
mod secrecy;
mod set_up;
mod settings;
mod shown;
mod slots;
mod slow_forge;
mod staff;
mod stale_starts;
mod terminal;
mod traces;
mod turns;
mod uploads;
mod webhooks;

use std::path::PathBuf;

use devkit::harness::{Hosting, Identity, Options, Platform};
use domain::{hook_log::WebhookMode, ids::EngineNamespace, services_yaml::PlatformBudgets};

/// A platform whose project has that many slots.
async fn platform_with(slots: u32) -> anyhow::Result<Platform> {
    start(slots, Hosting::InProcess).await
}

/// A platform that is a GitHub App.
async fn platform_as_app(slots: u32) -> anyhow::Result<Platform> {
    with(Options { slots, identity: Identity::App, ..defaults() }).await
}

async fn start(slots: u32, hosting: Hosting) -> anyhow::Result<Platform> {
    with(Options { slots, hosting, ..defaults() }).await
}

async fn with(options: Options) -> anyhow::Result<Platform> {
    Platform::start(options).await
}

/// One slot, everything in this process, no trouble.
fn defaults() -> Options {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_dev"));
    Options {
        program,
        slots: 1,
        hosting: Hosting::InProcess,
        tamper: None,
        webhooks: WebhookMode::Push,
        namespace: EngineNamespace::default(),
        identity: Identity::Person,
        otlp_endpoint: None,
        cluster: None,
        binary: None,
        egress_proxy: None,
        budgets: PlatformBudgets::default(),
    }
}

/// Says, past the test runner's capture, that a test did nothing and why.
fn skipped(test: &str, why: &str) {
    use std::io::Write as _;
    // Nobody to tell is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}
