//! Who asks, where proxies stand before us: a proxy that is trusted says whom it saw, and nobody else is believed.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use http::HeaderMap;
use ipnet::IpNet;

/// This machine, and the ranges that no address of the internet is in: where an Ingress stands, and its addresses are not known
/// before. Whoever connects from the internet itself is in none of them.
const USUAL: &str = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7";

/// The addresses of proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// The text names no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no range of addresses")]
pub struct InvalidRange(String);

impl TrustedProxies {
    /// No proxy at all: a client is whoever connects.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }

    /// Who asks: whoever connects, or whom the proxies before us saw, from the one that is nearest to the first that is not trusted.
    /// What that one says itself may be invented.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        for value in headers.get_all("x-forwarded-for").iter().rev() {
            for seen in value.to_str().unwrap_or_default().rsplit(',') {
                // One that names nobody leaves us with the proxy that says so.
                let (true, Some(seen)) = (self.has(client), address(seen.trim())) else { return client };
                client = seen.to_canonical();
            }
        }
        client
    }
}

/// An address as proxies write it: some add the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|seen| seen.ip()))
}

impl Default for TrustedProxies {
    fn default() -> Self {
        USUAL.parse().unwrap_or_else(|_| Self::none())
    }
}

impl FromStr for TrustedProxies {
    type Err = InvalidRange;

    /// Ranges and addresses, separated by commas; `none` is none.
    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        if text.trim() == "none" {
            return Ok(Self::none());
        }
        let ranges = text.split(',').map(str::trim).map(|range| {
            let alone = || range.parse::<IpAddr>().map(IpNet::from);
            range.parse::<IpNet>().or_else(|_| alone()).map_err(|_| InvalidRange(range.to_owned()))
        });
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let ranges: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ranges.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &TrustedProxies, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        trusted.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let usual = TrustedProxies::default();
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.1.0.7", &[], "10.1.0.7"),
            ("10.1.0.7", &["198.51.100.1"], "198.51.100.1"),
            // What the client itself wrote stands before what the proxy saw.
            ("10.1.0.7", &["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.1.0.7", &["192.0.2.66, 10.0.0.2, 198.51.100.1"], "198.51.100.1"),
            ("10.1.0.7", &["192.0.2.66", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            // Everything between is our own: the farthest is who asks.
            ("127.0.0.1", &["172.16.0.3, 10.0.0.2"], "172.16.0.3"),
            ("10.1.0.7", &["198.51.100.1, unknown"], "10.1.0.7"),
            ("10.1.0.7", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.1.0.7", &[""], "10.1.0.7"),
            ("10.1.0.7", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.1.0.7", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.1.0.7", &["2001:db8::1, [fd00::2]"], "2001:db8::1"),
            // A socket for both families gives addresses of the old one in the form of the new one.
            ("::ffff:10.1.0.7", &["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            assert_eq!(client(&usual, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(client(&TrustedProxies::none(), "127.0.0.1", &["198.51.100.1"]), "127.0.0.1");
        let one: TrustedProxies = "198.51.100.7".parse().unwrap();
        assert_eq!(client(&one, "198.51.100.7", &["10.0.0.2, 10.0.0.3"]), "10.0.0.3");
    }

    #[test]
    fn ranges_are_read_and_shown() {
        let shown = |text: &str| text.parse::<TrustedProxies>().map(|read| read.to_string());
        assert_eq!(shown("10.0.0.0/8 , ::1,192.0.2.1"), Ok("10.0.0.0/8, ::1/128, 192.0.2.1/32".into()));
        assert_eq!(shown("none"), Ok("none".into()));
        assert_eq!(TrustedProxies::default().0.len(), USUAL.split(',').count());
        for bad in ["10.0.0.0/33", "10.0.0.0/8,", "proxy.example", "10.0.0.0/8 192.0.2.1"] {
            assert!(shown(bad).is_err(), "{bad}");
        }
        assert_eq!(shown("10.0.0.0/8,proxy").unwrap_err().to_string(), "`proxy` is no range of addresses");
    }
}
