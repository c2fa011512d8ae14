//! The model gateway as a process of its own: to be killed, looked into, or measured.

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context, ensure};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use super::{PATIENCE, until};

/// A model gateway in front of the scripted model.
pub struct ModelGatewayProcess {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl ModelGatewayProcess {
    /// Starts it with this program, which is the devkit's; what it writes goes to a file in the folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(
        program: &Path,
        folder: &Path,
        database_url: &str,
        upstream: &str,
        key: &str,
    ) -> anyhow::Result<Self> {
        let prices = folder.join("prices.toml");
        std::fs::write(&prices, super::MODEL_PRICES)?;
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let log = std::fs::File::create(folder.join("model-gateway.log"))?;
        let mut command = Command::new(program);
        command
            .args(["role", "model-gateway"])
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("MODEL_GATEWAY_BIND", address.to_string())
            .env("MODEL_UPSTREAM_URL", upstream)
            .env("MODEL_PRICES_FILE", &prices)
            .env("OPENAI_API_KEY", key)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().context("start the model gateway")?;
        let up = until(PATIENCE, async || {
            ensure!(child.try_wait()?.is_none(), "the model gateway ended; see its log in {}", folder.display());
            Ok(TcpStream::connect(address).await.is_ok().then_some(()))
        });
        up.await?.context("the model gateway does not come up")?;
        Ok(Self { address, child })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When the system does not let us.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
