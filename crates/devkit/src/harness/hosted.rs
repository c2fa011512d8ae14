//! Roles as processes of their own, so that a test can kill them without a word.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use dispatch::EnginePlace;
use domain::{hook_log::WebhookMode, ids::EngineNamespace};
use forge::seal::OpeningKeys;
use gateway::hook_secrets::GatewayKey;
use tokio::process::{Child, Command};

use super::{jobs_place::JobsPlace, parts, wait::until};
use crate::services::Temporal;

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The gateway.
    Gateway,
    /// The worker.
    Worker,
    /// The Temporal server.
    Temporal,
}

impl Victim {
    /// Every one, in the order in which default runs of the tests take turns.
    pub const ALL: [Self; 3] = [Self::Worker, Self::Gateway, Self::Temporal];
}

/// Gateway, worker and Temporal as processes.
pub(super) struct Hosted {
    program: PathBuf,
    binary: Option<PathBuf>,
    folder: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    of_gateway: Vec<(&'static str, OsString)>,
    of_worker: Vec<(&'static str, OsString)>,
    gateway: SocketAddr,
    /// Where the worker says whether it polls.
    worker: SocketAddr,
    temporal: Temporal,
    running: Vec<(Victim, Child)>,
}

/// What the processes are told.
pub(super) struct Told<'a> {
    pub(super) program: &'a Path,
    pub(super) instance: &'a str,
    pub(super) database_url: &'a str,
    pub(super) forge_url: &'a str,
    pub(super) model_gateway_url: &'a str,
    pub(super) folder: &'a Path,
    pub(super) keys: &'a OpeningKeys,
    pub(super) gateway_key: &'a GatewayKey,
    pub(super) codex: &'a Path,
    pub(super) webhooks: WebhookMode,
    pub(super) namespace: &'a EngineNamespace,
    pub(super) binary: Option<&'a Path>,
    pub(super) jobs: &'a JobsPlace,
}

impl Hosted {
    /// Starts all three.
    pub(super) async fn start(told: &Told<'_>) -> anyhow::Result<Self> {
        let (gateway, worker) = (free_address(told.jobs.host)?, free_address(Ipv4Addr::LOCALHOST.into())?);
        let temporal = Temporal {
            command: std::env::var_os("CODEX_K8S_TEMPORAL")
                .context("CODEX_K8S_TEMPORAL is not set: run it through \"cargo dev test\"")?
                .into(),
            database: Some(told.folder.join("temporal.db")),
            folder: told.folder.to_owned(),
            port: free_address(Ipv4Addr::LOCALHOST.into())?.port(),
            http_port: free_address(Ipv4Addr::LOCALHOST.into())?.port(),
            ui_port: None,
            namespace: told.namespace.clone(),
        };
        let key_file = |name: &str, text: &str| -> anyhow::Result<OsString> {
            let path = told.folder.join(name);
            crate::private_file::write(&path, text.as_bytes())?;
            Ok(path.into_os_string())
        };
        let folder = |name: &str| told.folder.join(name).into_os_string();
        let mut environment = vec![
            ("CODEX_K8S_INSTANCE", told.instance.into()),
            ("LOG_FORMAT", "text".into()),
            ("DATABASE_URL", told.database_url.into()),
            ("TEMPORAL_ADDRESS", temporal.address().to_string().into()),
            ("TEMPORAL_NAMESPACE", told.namespace.as_str().into()),
            ("FORGE_URL", told.forge_url.into()),
            ("GATEWAY_URL", format!("http://{gateway}").into()),
            ("GATEWAY_BIND", gateway.to_string().into()),
            ("MODEL_GATEWAY_URL", told.model_gateway_url.into()),
            ("BLOB_DIR", folder("blobs")),
            ("MIRROR_DIR", folder("mirrors")),
            ("JOBS_DIR", folder("jobs")),
            ("CODEX_K8S_CODEX", told.codex.into()),
            ("WEBHOOK_MODE", if told.webhooks == WebhookMode::Push { "push" } else { "pull" }.into()),
        ];
        // As in a cluster, each role has its own secrets alone.
        let of_gateway = vec![
            ("WEBHOOK_SECRET", parts::WEBHOOK_SECRET.into()),
            ("GATEWAY_KEY_FILE", key_file("gateway.key", &told.gateway_key.to_hex())?),
        ];
        let of_worker = vec![
            ("SEALING_PRIVATE_KEY_FILE", key_file("sealing.key", &told.keys.to_file_text())?),
            ("RUN_TOKEN_KEY_FILE", key_file("run-token.key", parts::RUN_TOKEN_KEY)?),
            ("METRICS_BIND", worker.to_string().into()),
        ];
        environment.extend(told.jobs.environment.iter().cloned());
        let mut hosted = Self {
            program: told.program.to_owned(),
            binary: told.binary.map(Path::to_owned),
            folder: told.folder.to_owned(),
            environment,
            of_gateway,
            of_worker,
            gateway,
            worker,
            temporal,
            running: Vec::new(),
        };
        for role in [Victim::Temporal, Victim::Gateway, Victim::Worker] {
            hosted.bring_up(role).await?;
        }
        Ok(hosted)
    }

    pub(super) fn gateway_url(&self) -> String {
        format!("http://{}", self.gateway)
    }

    pub(super) fn engine(&self) -> EnginePlace {
        EnginePlace { address: self.temporal.address().to_string(), namespace: self.temporal.namespace.clone() }
    }

    pub(super) fn pid(&self, role: Victim) -> Option<u32> {
        self.running.iter().find(|(running, _)| *running == role).and_then(|(_, child)| child.id())
    }

    /// Kills without a word.
    pub(super) async fn kill(&mut self, victim: Victim) -> anyhow::Result<()> {
        let place = self.running.iter().position(|(role, _)| *role == victim).context("it does not run")?;
        let (_, mut child) = self.running.swap_remove(place);
        Ok(child.kill().await?)
    }

    /// Ends them, politely.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        for role in [Victim::Worker, Victim::Gateway, Victim::Temporal] {
            let Some(place) = self.running.iter().position(|(running, _)| *running == role) else { continue };
            let (_, mut child) = self.running.swap_remove(place);
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(nix::unistd::Pid::from_raw);
            if let Some(pid) = pid {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            }
            if tokio::time::timeout(super::PATIENCE, child.wait()).await.is_err() {
                bail!("{role:?} does not stop");
            }
        }
        Ok(())
    }

    /// Starts what does not run, and waits until it is ready.
    pub(super) async fn bring_up(&mut self, role: Victim) -> anyhow::Result<()> {
        let mut child = self.command(role)?.spawn().with_context(|| format!("{role:?} can't be started"))?;
        let up = until(super::PATIENCE, async || {
            if let Some(status) = child.try_wait()? {
                bail!("{role:?} ended with {status}; see its log in {}", self.folder.display());
            }
            let up = match role {
                Victim::Worker => is_ready(self.worker).await,
                Victim::Gateway => TcpStream::connect(self.gateway).is_ok(),
                Victim::Temporal => TcpStream::connect(self.temporal.address()).is_ok(),
            };
            Ok(up.then_some(()))
        });
        up.await?.with_context(|| format!("{role:?} does not come up"))?;
        self.running.push((role, child));
        Ok(())
    }

    fn command(&self, role: Victim) -> anyhow::Result<Command> {
        let log_path = self.folder.join(format!("{role:?}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&log_path)?;
        let mut command = match role {
            Victim::Temporal => {
                let program = self.temporal.program(log_path, "harness");
                let mut command = Command::new(&self.temporal.command);
                command.args(&program.arguments);
                command
            }
            Victim::Gateway | Victim::Worker => {
                let mut command = Command::new(self.binary.as_ref().unwrap_or(&self.program));
                command.args(self.binary.is_none().then_some("role"));
                command.arg(if role == Victim::Gateway { "gateway" } else { "worker" });
                command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
                let own = if role == Victim::Gateway { &self.of_gateway } else { &self.of_worker };
                command.envs(self.environment.iter().chain(own).map(|(name, value)| (name, value)));
                command
            }
        };
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        Ok(command)
    }
}

/// An address that was free a moment ago.
fn free_address(host: IpAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind((host, 0))?.local_addr()
}

/// Whether a role says that it can work.
async fn is_ready(at: SocketAddr) -> bool {
    let asked = reqwest::get(format!("http://{at}/readyz")).await;
    asked.is_ok_and(|answer| answer.status().is_success())
}
