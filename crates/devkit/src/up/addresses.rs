//! The fixed ports of the local platform.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::UpError;

/// The first of the ports, unless told otherwise.
pub const DEFAULT_PORT_BASE: u16 = 7400;

const COUNT: u16 = 13;

/// One port for each address, counted up from a base.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// Takes the ports from `base` on.
    ///
    /// # Errors
    /// When there are not enough of them.
    pub fn from_base(base: u16) -> Result<Self, UpError> {
        if base == 0 || base.checked_add(COUNT).is_none() {
            return Err(UpError::PortBase { base, count: COUNT });
        }
        Ok(Self { base })
    }

    /// The gateway.
    pub fn gateway(self) -> u16 {
        self.base
    }

    /// The model gateway.
    pub fn model_gateway(self) -> u16 {
        self.base + 1
    }

    /// The stand-in for GitHub.
    pub fn forge(self) -> u16 {
        self.base + 2
    }

    /// The scripted model.
    pub fn model(self) -> u16 {
        self.base + 3
    }

    /// Postgres.
    pub fn postgres(self) -> u16 {
        self.base + 4
    }

    /// Temporal.
    pub fn temporal(self) -> u16 {
        self.base + 5
    }

    /// Temporal's web UI.
    pub fn temporal_ui(self) -> u16 {
        self.base + 6
    }

    /// Temporal's API over HTTP.
    pub fn temporal_http(self) -> u16 {
        self.base + 7
    }

    /// What the gateway shows to those who run the platform: metrics, health, readiness.
    pub fn gateway_ops(self) -> u16 {
        self.base + 8
    }

    /// The same of the worker.
    pub fn worker_ops(self) -> u16 {
        self.base + 9
    }

    /// The same of the model gateway.
    pub fn model_gateway_ops(self) -> u16 {
        self.base + 10
    }

    /// What pods of agents must not reach; it listens on the cluster's bridge alone.
    pub fn canary(self) -> u16 {
        self.base + 11
    }

    /// The way out of agents' pods; it listens on the cluster's bridge alone.
    pub fn egress_proxy(self) -> u16 {
        self.base + 12
    }

    /// Demands that nobody listens on any of them.
    ///
    /// # Errors
    /// With the first that is taken.
    pub fn demand_free(self) -> Result<(), UpError> {
        let wanted = [
            (self.gateway(), "the gateway"),
            (self.model_gateway(), "the model gateway"),
            (self.forge(), "the stand-in for GitHub"),
            (self.model(), "the scripted model"),
            (self.postgres(), "Postgres"),
            (self.temporal(), "Temporal"),
            (self.temporal_ui(), "Temporal's web UI"),
            (self.temporal_http(), "Temporal's HTTP API"),
            (self.gateway_ops(), "the gateway's metrics"),
            (self.worker_ops(), "the worker's metrics"),
            (self.model_gateway_ops(), "the model gateway's metrics"),
        ];
        for (port, role) in wanted {
            TcpListener::bind(loopback(port)).map_err(|_| UpError::PortTaken { port, role })?;
        }
        Ok(())
    }
}

/// An address on this machine only.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The same as a base URL.
pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_it_was_meant_for() {
        let taken = TcpListener::bind(loopback(0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Ports::from_base(port).unwrap().demand_free().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("port {port}, meant for the gateway")), "{text}");
    }

    #[test]
    fn ports_end_somewhere() {
        assert!(Ports::from_base(65_530).is_err());
        assert!(Ports::from_base(0).is_err());
        assert!(Ports::from_base(DEFAULT_PORT_BASE).is_ok());
    }
}
