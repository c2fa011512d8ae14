//! Addresses for a cluster of the devkit's own: clusters of several trees can run beside each other.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

/// How many clusters can run beside each other.
const PLACES: u8 = 16;
/// The first of the ports; each place has the next [`PORTS`].
const FIRST_PORT: u16 = 17_400;
const PORTS: u16 = 10;

/// One set of addresses: bridge, network and ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u8);

impl Place {
    /// The first one that nobody uses.
    pub(super) fn free() -> Option<Self> {
        (0..PLACES).map(Self).find(|place| !place.is_taken())
    }

    /// What the scripts are told.
    pub(super) fn settings(self, node: &str) -> Vec<(&'static str, String)> {
        let names = [
            "K8S_API_PORT",
            "K8S_ETCD_PORT",
            "K8S_ETCD_PEER_PORT",
            "K8S_KCM_PORT",
            "K8S_SCHED_PORT",
            "K8S_KUBELET_PORT",
            "K8S_PROXY_PORT",
            "K8S_REG_PORT",
            "K8S_REG_HTTP_PORT",
        ];
        let mut list: Vec<_> =
            names.into_iter().zip(self.ports()).map(|(name, port)| (name, port.to_string())).collect();
        list.push(("K8S_NODE", node.to_owned()));
        list.push(("K8S_BRIDGE", self.bridge()));
        list.push(("K8S_SUBNET", format!("10.244.{}.0/24", self.third())));
        list.push(("K8S_NODE_IP", self.address().to_string()));
        list
    }

    fn address(self) -> IpAddr {
        Ipv4Addr::new(10, 244, self.third(), 1).into()
    }

    fn third(self) -> u8 {
        100 + self.0
    }

    fn bridge(self) -> String {
        format!("ckbr{}", self.0)
    }

    fn ports(self) -> impl Iterator<Item = u16> {
        let first = FIRST_PORT + PORTS * u16::from(self.0);
        first..first + PORTS
    }

    fn is_taken(self) -> bool {
        Path::new("/sys/class/net").join(self.bridge()).exists()
            || self.ports().any(|port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_places_share_an_address() {
        let mut seen = BTreeSet::new();
        for place in (0..PLACES).map(Place) {
            for (name, value) in place.settings("node") {
                assert!(name == "K8S_NODE" || seen.insert(value.clone()), "{name} {value} twice");
            }
        }
    }

    #[test]
    fn a_place_with_a_used_port_is_passed_over() {
        let place = Place::free().unwrap();
        let port = place.ports().last().unwrap();
        let _listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        assert!(place.is_taken());
        assert_ne!(Place::free(), Some(place));
    }
}
