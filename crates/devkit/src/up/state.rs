//! `.dev/state.json`: where everything is, for people's programs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Keys, Ports, Role, UpError, addresses::url};
use crate::{file_error::FileError, private_file};

/// The file's content. The keys are a contract with other programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Webhooks and the runner endpoint.
    pub gateway_url: String,
    /// The staff console.
    pub console_url: String,
    /// `host:port` of the engine.
    pub temporal_address: String,
    /// The engine's web UI.
    pub temporal_ui_url: String,
    /// The platform's database.
    pub postgres_url: String,
    /// The stand-in's REST API and git.
    pub forge_url: String,
    /// Login to token.
    pub forge_tokens: BTreeMap<String, String>,
    /// Signs webhooks.
    pub webhook_secret: String,
    /// Where the model gateway sends requests.
    pub model_url: String,
    /// Role to the base of `/metrics`, `/healthz` and `/readyz`.
    #[serde(default)]
    pub ops_urls: BTreeMap<Role, String>,
    /// Opens the cluster in which Jobs run; absent where they are processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Role to process.
    pub pids: BTreeMap<Role, i32>,
    /// The process that supervises the roles.
    pub supervisor: i32,
    /// Whether everything was started.
    pub ready: bool,
}

impl State {
    pub(super) fn new(ports: Ports, keys: &Keys, postgres_url: String, model_url: String) -> Self {
        Self {
            gateway_url: url(ports.gateway()),
            console_url: url(ports.gateway()),
            temporal_address: format!("127.0.0.1:{}", ports.temporal()),
            temporal_ui_url: format!("{}/ops/temporal/", url(ports.temporal_ui())),
            postgres_url,
            forge_url: url(ports.forge()),
            forge_tokens: keys.forge_tokens.clone(),
            webhook_secret: keys.webhook_secret.clone(),
            model_url,
            ops_urls: [
                (Role::Gateway, url(ports.gateway_ops())),
                (Role::Worker, url(ports.worker_ops())),
                (Role::ModelGateway, url(ports.model_gateway_ops())),
            ]
            .into(),
            kubeconfig: None,
            pids: BTreeMap::new(),
            supervisor: i32::try_from(std::process::id()).unwrap_or_default(),
            ready: false,
        }
    }

    /// Reads the file, if there is one that can be understood.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), UpError> {
        Ok(private_file::write_json(path, self).map_err(FileError::of("write", path))?)
    }
}
