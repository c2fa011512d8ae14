//! The configuration that Codex gets: one provider, the model gateway, and no other way out.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{environment::Folders, settings::Settings};

/// The variable that carries the model token to Codex. Its commands don't inherit it.
pub(crate) const TOKEN_VARIABLE: &str = "CODEX_K8S_MODEL_TOKEN";
const PROVIDER: &str = "codex-k8s";
/// A stream in which nothing comes for so long is broken. The wait for the headers is not covered: the deadline is.
const STREAM_IDLE_MS: u32 = 300_000;

#[derive(Serialize)]
struct Config<'a> {
    model: &'a str,
    model_provider: &'static str,
    approval_policy: &'static str,
    /// The Job itself is the sandbox.
    sandbox_mode: &'static str,
    /// A login shell would replace the `PATH` of the project's own image.
    allow_login_shell: bool,
    check_for_update_on_startup: bool,
    web_search: &'static str,
    model_providers: BTreeMap<&'static str, Provider>,
    shell_environment_policy: ShellEnvironmentPolicy<'a>,
    features: Features,
    agents: Switch,
    analytics: Switch,
}

#[derive(Serialize)]
struct Provider {
    name: &'static str,
    base_url: String,
    wire_api: &'static str,
    env_key: &'static str,
    request_max_retries: u8,
    stream_max_retries: u8,
    stream_idle_timeout_ms: u32,
    supports_websockets: bool,
}

#[derive(Serialize)]
struct ShellEnvironmentPolicy<'a> {
    inherit: &'static str,
    /// The way out: Codex hands on nothing else but the core.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct Features {
    plugins: bool,
    apps: bool,
    goals: bool,
}

#[derive(Serialize)]
struct Switch {
    enabled: bool,
}

/// The text of `config.toml`.
pub(crate) fn config(settings: &Settings, folders: &Folders, model: &str) -> Result<String, toml::ser::Error> {
    let provider = Provider {
        name: "codex-k8s model gateway",
        base_url: format!("{}/v1", settings.model_url.as_str().trim_end_matches('/')),
        wire_api: "responses",
        env_key: TOKEN_VARIABLE,
        request_max_retries: settings.request_retries,
        stream_max_retries: settings.stream_retries,
        stream_idle_timeout_ms: STREAM_IDLE_MS,
        supports_websockets: false,
    };
    toml::to_string(&Config {
        model,
        model_provider: PROVIDER,
        approval_policy: "never",
        sandbox_mode: "danger-full-access",
        allow_login_shell: false,
        check_for_update_on_startup: false,
        web_search: "disabled",
        model_providers: BTreeMap::from([(PROVIDER, provider)]),
        shell_environment_policy: ShellEnvironmentPolicy {
            inherit: "core",
            set: folders.programs.way_out.iter().map(|(name, value)| (*name, value.as_str())).collect(),
        },
        features: Features { plugins: false, apps: false, goals: false },
        agents: Switch { enabled: false },
        analytics: Switch { enabled: false },
    })
}
