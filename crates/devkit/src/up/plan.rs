//! Which roles run, and what each of them is told.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use domain::ids::EngineNamespace;

use super::{
    Keys, Ports, Role, UpError,
    addresses::{loopback, url},
    jobs_place::JobsPlace,
    people,
};
use crate::{
    file_error::FileError,
    layout::Layout,
    processes::{Program, private_folder, unprivileged_owner},
    services::{Postgres, Readiness, Temporal},
    tools::Tools,
};

/// The name of the local installation.
const INSTANCE: &str = "dev";
/// Names the engine's namespace.
const ENGINE_NAMESPACE: &str = "TEMPORAL_NAMESPACE";
/// The platform, as the stand-in knows it where people sign in.
const OAUTH_CLIENT_ID: &str = "local-codex-k8s";
/// The platform's database.
pub(super) const DATABASE: &str = "codex_k8s";

/// Where requests to the model go, and the key for it.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) upstream: String,
    key: String,
    /// Whether the scripted model is what answers there.
    pub(super) scripted: bool,
}

impl Model {
    /// A real endpoint, if the caller's environment names one or has a key; else the scripted model.
    pub(super) fn choose(ports: Ports, keys: &Keys) -> Self {
        let value = |name| env::var(name).ok().filter(|text: &String| !text.trim().is_empty());
        let (upstream, key) = (value("MODEL_UPSTREAM_URL"), value("OPENAI_API_KEY"));
        if upstream.is_none() && key.is_none() {
            return Self { upstream: url(ports.model()), key: keys.model_key.clone(), scripted: true };
        }
        Self {
            upstream: upstream.unwrap_or_else(|| "https://api.openai.com".to_owned()),
            // An endpoint on one's own machine often wants none, and the model gateway always sends one.
            key: key.unwrap_or_else(|| keys.model_key.clone()),
            scripted: false,
        }
    }
}

/// A role ready to be started.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) role: Role,
    pub(super) program: Program,
    pub(super) readiness: Readiness,
    /// What to say once it is ready.
    pub(super) place: String,
}

/// Everything that the plans of the roles are made from.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) layout: &'a Layout,
    pub(super) ports: Ports,
    pub(super) keys: &'a Keys,
    pub(super) tools: &'a Tools,
    pub(super) model: &'a Model,
    pub(super) jobs: &'a JobsPlace,
    pub(super) marker: &'a str,
    /// The built console; none where the tree has no `ui`.
    pub(super) console: Option<PathBuf>,
}

impl Plan<'_> {
    /// What starts after the schema, in that order.
    pub(super) fn own_roles(&self, database_url: &str) -> Result<Vec<Planned>, UpError> {
        let mut planned = Vec::new();
        for role in self.roles() {
            if role == Role::Worker {
                // It asks the gateway, and Jobs are told of it by the worker.
                planned.extend(self.egress_proxy()?);
            }
            planned.push(self.own(role, database_url));
        }
        Ok(planned)
    }

    /// The roles that are this program itself, in the order in which they start.
    fn roles(&self) -> Vec<Role> {
        let mut roles = vec![Role::Forge];
        if self.model.scripted {
            roles.push(Role::Model);
        }
        roles.extend([Role::ModelGateway, Role::Gateway, Role::Worker]);
        roles
    }

    /// The way out of Jobs, where they are in a cluster.
    fn egress_proxy(&self) -> Result<Option<Planned>, UpError> {
        let role = Role::EgressProxy;
        let Some(proxy) = self.jobs.egress_proxy(self.ports, self.data(role.name())) else { return Ok(None) };
        // Squid does not run as root.
        let owner = unprivileged_owner();
        private_folder(&proxy.folder, owner).map_err(FileError::of("prepare", &proxy.folder))?;
        // A new build may have replaced our file; a file can be linked, the process's own can only be copied.
        let ours = env::current_exe().ok().filter(|file| file.is_file());
        proxy.set_up(&self.layout.tree, ours.as_deref().unwrap_or(Path::new("/proc/self/exe")), None)?;
        Ok(Some(Planned {
            role,
            program: Program {
                name: role.name().to_owned(),
                file: Some(proxy.program()),
                arguments: proxy.arguments(),
                environment: proxy.environment(&url(self.ports.gateway())),
                log: self.log(role),
                folder: proxy.folder.clone(),
                owner,
                stop_signal: nix::sys::signal::Signal::SIGINT,
                marker: self.marker.to_owned(),
            },
            readiness: Readiness::Port(proxy.address),
            place: format!("http://{}, for pods; {}", proxy.address, proxy.access_log().display()),
        }))
    }

    /// The database.
    pub(super) fn postgres(&self, postgres: &Postgres) -> Planned {
        Planned {
            role: Role::Postgres,
            program: postgres.program(self.log(Role::Postgres), self.marker),
            readiness: postgres.readiness(),
            place: format!("port {}", self.ports.postgres()),
        }
    }

    /// The engine.
    pub(super) fn temporal(&self) -> Planned {
        let folder = self.data("temporal");
        let temporal = Temporal {
            command: self.tools.temporal.clone(),
            database: Some(folder.join("temporal.db")),
            folder,
            port: self.ports.temporal(),
            http_port: self.ports.temporal_http(),
            ui_port: Some(self.ports.temporal_ui()),
            namespace: engine_namespace(),
        };
        Planned {
            role: Role::Temporal,
            program: temporal.program(self.log(Role::Temporal), self.marker),
            readiness: temporal.readiness(),
            place: format!("port {}, web UI {}", self.ports.temporal(), url(self.ports.temporal_ui())),
        }
    }

    /// A role that is this program itself, told what it is by its argument and its environment.
    fn own(&self, role: Role, database_url: &str) -> Planned {
        let (readiness, place) = match self.port(role) {
            Some(port) => (Readiness::Port(loopback(port)), url(port)),
            None => {
                (Readiness::Http(format!("{}/readyz", url(self.ports.worker_ops()))), "polling for work".to_owned())
            }
        };
        Planned {
            role,
            program: Program {
                name: role.name().to_owned(),
                file: None,
                arguments: vec!["role".into(), role.name().into()],
                environment: self.environment(role, database_url),
                log: self.log(role),
                folder: self.data(""),
                owner: None,
                stop_signal: nix::sys::signal::Signal::SIGTERM,
                marker: self.marker.to_owned(),
            },
            readiness,
            place,
        }
    }

    /// Folders that must be there before anything starts.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        ["temporal", "forge", "blobs", "mirrors", "jobs", "secrets"].into_iter().map(|name| self.data(name)).collect()
    }

    fn port(&self, role: Role) -> Option<u16> {
        match role {
            Role::Forge => Some(self.ports.forge()),
            Role::Model => Some(self.ports.model()),
            Role::Gateway => Some(self.ports.gateway()),
            Role::ModelGateway => Some(self.ports.model_gateway()),
            Role::Postgres | Role::Temporal | Role::Worker | Role::EgressProxy => None,
        }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.layout.platform_data().join(name)
    }

    fn log(&self, role: Role) -> PathBuf {
        self.layout.logs().join(format!("{}.log", role.name()))
    }

    /// What a role finds in its environment. Each secret is given only to the roles that need it.
    fn environment(&self, role: Role, database_url: &str) -> Vec<(String, OsString)> {
        let ports = self.ports;
        let mut list = Variables::default();
        list.text("CODEX_K8S_INSTANCE", INSTANCE);
        list.text("LOG_FORMAT", "text");
        list.text("GATEWAY_URL", url(ports.gateway()));
        list.text("MODEL_GATEWAY_URL", url(ports.model_gateway()));
        list.text("FORGE_URL", url(ports.forge()));
        list.text("TEMPORAL_ADDRESS", format!("127.0.0.1:{}", ports.temporal()));
        if matches!(role, Role::Gateway | Role::Worker | Role::ModelGateway) {
            // A collector of the developer's own, and how to reach it.
            let given = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
            list.0.extend(given.filter(|(name, _)| name.starts_with("OTEL_")));
        }
        // What a developer sets for the role itself goes on to it.
        let own = own_settings(role);
        list.0.extend(own.iter().filter_map(|name| Some(((*name).to_owned(), env::var_os(name)?))));
        match role {
            Role::Postgres | Role::Temporal | Role::EgressProxy => {}
            Role::Forge => {
                list.text("FORGE_BIND", loopback(ports.forge()).to_string());
                list.path("FORGE_DATA_DIR", self.data("forge"));
                list.path("FORGE_TOKENS_FILE", self.keys.forge_tokens_file.clone());
                list.text("WEBHOOK_SECRET", &self.keys.webhook_secret);
                list.text("OAUTH_CLIENT_ID", OAUTH_CLIENT_ID);
                list.path("OAUTH_CLIENT_SECRET_FILE", self.keys.oauth_secret_file.clone());
                list.text("OAUTH_CALLBACK", format!("{}/auth/callback", url(ports.gateway())));
            }
            Role::Model => {
                list.text("MODEL_BIND", loopback(ports.model()).to_string());
                list.text("MODEL_KEY", &self.model.key);
            }
            Role::Gateway => {
                list.text("GATEWAY_BIND", loopback(ports.gateway()).to_string());
                list.text("METRICS_BIND", loopback(ports.gateway_ops()).to_string());
                list.text("DATABASE_URL", database_url);
                list.text("TEMPORAL_UI_URL", url(ports.temporal_ui()));
                list.text("WEBHOOK_SECRET", &self.keys.webhook_secret);
                list.path("GATEWAY_KEY_FILE", self.keys.gateway_key_file.clone());
                list.path("SEALING_PUBLIC_KEY_FILE", self.keys.sealing_public_key_file.clone());
                list.path("BLOB_DIR", self.data("blobs"));
                list.text("OAUTH_CLIENT_ID", OAUTH_CLIENT_ID);
                list.path("OAUTH_CLIENT_SECRET_FILE", self.keys.oauth_secret_file.clone());
                list.text("OAUTH_URL", url(ports.forge()));
                list.text("OAUTH_API_URL", url(ports.forge()));
                list.text("PUBLIC_URL", url(ports.gateway()));
                list.text("OWNER_EMAIL", people::OWNER.email);
                if let Some(console) = &self.console {
                    list.path("CONSOLE_DIR", console.clone());
                }
            }
            Role::Worker => {
                list.text("METRICS_BIND", loopback(ports.worker_ops()).to_string());
                list.text("DATABASE_URL", database_url);
                list.path("SEALING_PRIVATE_KEY_FILE", self.keys.sealing_private_key_file.clone());
                list.path("RUN_TOKEN_KEY_FILE", self.keys.run_token_key_file.clone());
                list.path("BLOB_DIR", self.data("blobs"));
                list.path("MIRROR_DIR", self.data("mirrors"));
                list.path("JOBS_DIR", self.data("jobs"));
                list.path("CODEX_K8S_CODEX", self.tools.codex.clone());
                // Later ones win: Jobs in a cluster have other addresses for the same roles.
                list.0.extend(self.jobs.settings(ports));
            }
            Role::ModelGateway => {
                list.text("MODEL_GATEWAY_BIND", loopback(ports.model_gateway()).to_string());
                list.text("METRICS_BIND", loopback(ports.model_gateway_ops()).to_string());
                list.text("DATABASE_URL", database_url);
                list.text("MODEL_UPSTREAM_URL", &self.model.upstream);
                list.text("OPENAI_API_KEY", &self.model.key);
                list.path("BLOB_DIR", self.data("blobs"));
            }
        }
        list.0
    }
}

#[derive(Default)]
struct Variables(Vec<(String, OsString)>);

impl Variables {
    fn text(&mut self, name: &str, value: impl AsRef<str>) {
        self.0.push((name.to_owned(), value.as_ref().into()));
    }

    fn path(&mut self, name: &str, value: PathBuf) {
        self.0.push((name.to_owned(), value.into_os_string()));
    }
}

/// The namespace that a developer has the roles work in. What is no name of one the roles refuse themselves.
fn engine_namespace() -> EngineNamespace {
    env::var(ENGINE_NAMESPACE).ok().and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// What a developer may set for a role by its own name.
const fn own_settings(role: Role) -> &'static [&'static str] {
    match role {
        Role::ModelGateway => &["MODEL_PROVIDERS_FILE", "MODEL_PRICES_FILE"],
        Role::Gateway => &[ENGINE_NAMESPACE],
        Role::Worker => &[
            ENGINE_NAMESPACE,
            "BUDGET_PER_RUN_USD",
            "BUDGET_PER_DAY_USD",
            "BUDGET_PER_MONTH_USD",
            "BUDGET_PER_RUN_TOKENS",
            "BUDGET_PER_DAY_TOKENS",
            "BUDGET_PER_MONTH_TOKENS",
            "BUDGET_MAX_PER_RUN_USD",
            "BUDGET_MAX_PER_DAY_USD",
            "BUDGET_MAX_PER_MONTH_USD",
            "BUDGET_MAX_PER_RUN_TOKENS",
            "BUDGET_MAX_PER_DAY_TOKENS",
            "BUDGET_MAX_PER_MONTH_TOKENS",
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(secret: &str) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout {
            tree: folder.path().to_owned(),
            cache: folder.path().to_owned(),
            instance: folder.path().to_owned(),
        };
        let keys = Keys::load_or_make(folder.path()).unwrap();
        let tools = Tools { temporal: "t".into(), postgres_bin: "p".into(), codex: "c".into() };
        let ports = Ports::from_base(super::super::DEFAULT_PORT_BASE).unwrap();
        let model = Model { upstream: url(ports.model()), key: keys.model_key.clone(), scripted: true };
        let plan = Plan {
            layout: &layout,
            ports,
            keys: &keys,
            tools: &tools,
            model: &model,
            jobs: &JobsPlace::Here,
            marker: "m",
            console: None,
        };
        plan.roles()
            .into_iter()
            .filter(|role| plan.environment(*role, "postgres://x").iter().any(|(name, _)| name == secret))
            .map(Role::name)
            .collect()
    }

    #[test]
    fn each_secret_reaches_only_the_roles_that_need_it() {
        assert_eq!(holders("OPENAI_API_KEY"), ["model-gateway"]);
        assert_eq!(holders("MODEL_KEY"), ["model"]);
        assert_eq!(holders("SEALING_PRIVATE_KEY_FILE"), ["worker"]);
        assert_eq!(holders("RUN_TOKEN_KEY_FILE"), ["worker"]);
        assert_eq!(holders("GATEWAY_KEY_FILE"), ["gateway"]);
        assert_eq!(holders("WEBHOOK_SECRET"), ["forge", "gateway"]);
        assert_eq!(holders("OAUTH_CLIENT_SECRET_FILE"), ["forge", "gateway"]);
        assert_eq!(holders("FORGE_TOKENS_FILE"), ["forge"]);
        assert_eq!(holders("DATABASE_URL"), ["model-gateway", "gateway", "worker"]);
    }
}
