//! Lets pods reach what listens on loopback: at the same port, on the address by which pods know this machine.
//!
//! That address is the cluster's bridge, which no other machine reaches; the roles themselves stay on loopback.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::addresses::loopback;

/// The open ports; dropping it closes them.
#[derive(Debug)]
pub(super) struct Relay {
    tasks: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Opens each of `ports` on `address` and passes what comes in on to the same port of loopback.
    pub(super) async fn open(address: IpAddr, ports: &[u16]) -> io::Result<Self> {
        let mut relay = Self { tasks: Vec::new() };
        for port in ports {
            let listener = TcpListener::bind(SocketAddr::new(address, *port)).await?;
            relay.tasks.push(tokio::spawn(pass_on(listener, loopback(*port))));
        }
        Ok(relay)
    }

    /// Opens one more port on `address`, which takes connections and says nothing. An agent's pod that reaches it is not held back by any
    /// policy yet.
    pub(super) async fn open_canary(&mut self, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        self.tasks.push(tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        }));
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn pass_on(listener: TcpListener, to: SocketAddr) {
    loop {
        let Ok((mut from_pod, _)) = listener.accept().await else {
            // Out of files, say: trying again at once would only use up the processor.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(async move {
            // A role that is being started again refuses; the pod sees its connection closed and tries again.
            let Ok(mut role) = TcpStream::connect(to).await else { return };
            let _ = copy_bidirectional(&mut from_pod, &mut role).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_listens_on_loopback_is_reached_by_the_other_address() {
        let role = TcpListener::bind(loopback(0)).await.unwrap();
        let port = role.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = role.accept().await.unwrap();
            let mut question = [0; 4];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(&question).await.unwrap();
        });
        let other: IpAddr = [127, 0, 0, 2].into();
        let mut relay = Relay::open(other, &[port]).await.unwrap();
        let mut stream = TcpStream::connect((other, port)).await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "ping");

        let canary = TcpListener::bind((other, 0)).await.unwrap().local_addr().unwrap();
        relay.open_canary(canary).await.unwrap();
        TcpStream::connect(canary).await.unwrap();
        drop(relay);
        tokio::task::yield_now().await;
        assert!(TcpStream::connect((other, port)).await.is_err());
    }
}
