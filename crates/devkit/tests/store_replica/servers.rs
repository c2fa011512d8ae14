//! A primary and its streaming replica, real ones.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;
use devkit::{
    harness::{PATIENCE, until},
    services::{Durability, Postgres},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

/// The database of the test.
pub(super) const DATABASE: &str = "codex_k8s";

/// A server that can be stopped and started again.
pub(super) struct Server {
    postgres: Postgres,
    log: PathBuf,
    child: Option<Child>,
}

impl Server {
    pub(super) fn url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// What a statement gives, as text.
    pub(super) async fn ask(&self, statement: &str) -> anyhow::Result<String> {
        Ok(self.postgres.run(DATABASE, &[statement]).await?.trim().to_owned())
    }

    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let program = self.postgres.program(self.log.clone(), "store-replica");
        let log = fs::OpenOptions::new().create(true).append(true).open(&program.log)?;
        let mut command = Command::new(program.file.context("the server has a program")?);
        command
            .args(&program.arguments)
            .envs(program.environment)
            .current_dir(&program.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if let Some(owner) = program.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        self.child = Some(command.spawn()?);
        let up = until(PATIENCE, async || Ok(self.postgres.run("postgres", &["select 1"]).await.ok()));
        up.await?
            .with_context(|| format!("it does not come up: {}", fs::read_to_string(&self.log).unwrap_or_default()))?;
        Ok(())
    }

    /// At once, without a word to anybody: what is connected is cut off.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        // What Postgres had not written yet is lost, as in a crash.
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGQUIT)?;
        }
        child.wait().await?;
        Ok(())
    }
}

/// Both, in a folder that goes with this value.
pub(super) struct Servers {
    pub(super) primary: Server,
    pub(super) replica: Server,
    folder: tempfile::TempDir,
}

/// One server that is as durable as in production, in a folder that goes with the other value.
pub(super) async fn durable() -> anyhow::Result<(Server, tempfile::TempDir)> {
    primary(Durability::Kept).await
}

async fn primary(durability: Durability) -> anyhow::Result<(Server, tempfile::TempDir)> {
    let bin = std::env::var("CODEX_K8S_POSTGRES_BIN")
        .context("CODEX_K8S_POSTGRES_BIN is not set: run it through \"cargo dev test\"")?;
    let folder = tempfile::Builder::new().prefix("codex-k8s-replica-").tempdir()?;
    // Postgres runs as a user of its own and has to come through here.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let (home, log) = (folder.path().join("primary"), folder.path().join("primary.log"));
    let postgres = Postgres::prepare(Path::new(&bin), &home, free_port()?, durability).await?;
    let mut primary = Server { postgres, log, child: None };
    primary.start().await?;
    primary.postgres.ensure_database(DATABASE).await?;
    Ok((primary, folder))
}

impl Servers {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (primary, folder) = primary(Durability::ThrowAway).await?;
        let (home, log) = (folder.path().join("replica"), folder.path().join("replica.log"));
        let postgres = primary.postgres.replicate(&home, free_port()?).await?;
        let mut replica = Server { postgres, log, child: None };
        replica.start().await?;
        Ok(Self { primary, replica, folder })
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.replica.stop().await?;
        self.primary.stop().await?;
        Ok(self.folder.close()?)
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.local_addr()?.port())
}
