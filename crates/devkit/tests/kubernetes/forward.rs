//! A port that leads to something that only this machine reaches.

use std::net::SocketAddr;

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Gone with this value.
pub(crate) struct Forward {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forward {
    /// From `at`, port 0 being any free one, to `host:port`.
    pub(crate) async fn open(at: SocketAddr, to: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((mut one, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let Ok(mut other) = TcpStream::connect(to).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}
