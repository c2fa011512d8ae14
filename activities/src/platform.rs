//! What the activities have at hand.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use chrono::{DateTime, Utc};
use dispatch::Dispatcher;
use domain::{hook_log::WebhookMode, services_yaml::PlatformBudgets, told_settings::ToldSettings};
use store::{Store, blobs::Blobs};
use telemetry::Telemetry;
use url::Url;

use jobs::JobLauncher;

use crate::{
    agent_waits::AgentWaits, forge_access::ForgeAccess, mirrors::Mirrors, reconcile::Retention, run_token::RunTokenKey,
    turns::Turns, workspaces::Workspaces,
};

/// Everything outside that an activity may touch.
pub struct Platform {
    /// The database.
    pub store: Store,
    /// Bundles, logs, histories.
    pub blobs: Blobs,
    /// Carries signals to waiting workflows.
    pub dispatcher: Arc<Dispatcher>,
    /// Starts Jobs.
    pub launcher: Arc<dyn JobLauncher>,
    /// Opens credentials and speaks with the forge.
    pub forge: ForgeAccess,
    /// Turns at what one alone may write.
    pub turns: Turns,
    /// Makes launch tokens.
    pub run_token_key: RunTokenKey,
    /// Mirrors of repositories.
    pub mirrors: Mirrors,
    /// What is packed of them for agents.
    pub workspaces: Workspaces,
    /// Addresses and folders.
    pub places: Places,
    /// How the forge's events reach us.
    pub webhooks: WebhookMode,
    /// For how long what is kept for a time only is kept.
    pub retention: Retention,
    /// What model calls may use up.
    pub budgets: PlatformBudgets,
    /// What people are told of the settings.
    pub told: ToldSettings,
    /// The clock.
    pub clock: forge::Clock,
    /// Whether work is polled for.
    pub polls: Arc<AtomicBool>,
    /// Until when agents wait for the model API.
    pub(crate) agent_waits: AgentWaits,
    /// Counts what happens.
    pub telemetry: Arc<Telemetry>,
}

/// Addresses and folders.
#[derive(Clone, Debug)]
pub struct Places {
    /// The gateway as Jobs reach it.
    pub gateway_url: Url,
    /// The model gateway as Jobs reach it.
    pub model_url: Url,
    /// Room for files on their way.
    pub scratch: PathBuf,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Platform {
    /// The time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}
