//! A way to a service that a test can cut and mend, as a network can.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::parts::any_port;

/// Passes connections on to an address, or breaks them all off.
pub struct Detour {
    /// Where the way begins.
    pub address: SocketAddr,
    state: Arc<Mutex<CancellationToken>>,
    task: JoinHandle<()>,
}

impl Detour {
    /// A way to `target`, open.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn to(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(any_port()).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(CancellationToken::new()));
        let current = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let cut = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(cut.run_until_cancelled_owned(async move {
                    let mut to = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut from, &mut to).await
                }));
            }
        });
        Ok(Self { address, state, task })
    }

    /// Breaks off what is under way, and everything that comes until it is mended.
    pub fn cut(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    /// Lets new connections through.
    pub fn mend(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = CancellationToken::new();
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}
