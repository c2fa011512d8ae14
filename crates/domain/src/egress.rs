//! The way out of a Job: which hosts its programs may reach through the egress proxy.
//!
//! Judged is the name that a program asks for. Where that name leads, and that it does not lead into our own network, is looked
//! at by the proxy, which alone resolves it.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

text_enum! {
    /// Why a program is not let out.
    EgressRefusal {
        /// The host is not on the project's list.
        NotListed = "not_listed",
        /// An address was asked for instead of a name: a list can't say whose it is.
        Address = "address",
        /// The port is neither that of HTTPS nor that of HTTP.
        Port = "port",
        /// The name leads into a private network.
        Private = "private",
    }
}

/// Hosts that every project may reach, unless the platform's settings name others: registries of packages, with the hosts that
/// they hand the packages out from, and GitHub for what is public there.
pub const DEFAULT_HOSTS: &[&str] = &[
    // npm, Yarn
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    // PyPI
    "pypi.org",
    "files.pythonhosted.org",
    // crates.io, Rust itself
    "crates.io",
    "index.crates.io",
    "static.crates.io",
    "static.rust-lang.org",
    // Go
    "proxy.golang.org",
    "sum.golang.org",
    // Java
    "repo.maven.apache.org",
    "repo1.maven.org",
    "plugins.gradle.org",
    "services.gradle.org",
    // Ruby, PHP, .NET
    "rubygems.org",
    "index.rubygems.org",
    "packagist.org",
    "repo.packagist.org",
    "api.nuget.org",
    // Debian, Ubuntu, Alpine
    "deb.debian.org",
    "security.debian.org",
    "archive.ubuntu.com",
    "security.ubuntu.com",
    "ports.ubuntu.com",
    "dl-cdn.alpinelinux.org",
    // GitHub, read without a credential
    "github.com",
    "codeload.github.com",
    "raw.githubusercontent.com",
    "objects.githubusercontent.com",
    "release-assets.githubusercontent.com",
];

/// Longest name that DNS knows.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host of a list: `example.com` for itself alone, `*.example.com` for every name below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    /// Without `*.`, in lower case.
    name: String,
    /// Whether names below it are meant, and not itself.
    below: bool,
}

/// The text is no host of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no host: write a name such as `example.com`, or `*.example.com` for every name below it; no address, no port"
)]
pub struct InvalidHost(pub String);

impl HostPattern {
    fn fits(&self, host: &str) -> bool {
        if self.below {
            host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.name
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(text.to_owned());
        let (below, name) = match text.strip_prefix("*.") {
            // Below a whole top-level domain is everything.
            Some(name) if !name.contains('.') => return Err(invalid()),
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = normal(name).filter(|name| !is_address(name)).ok_or_else(invalid)?;
        Ok(Self { name, below })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidHost;

    fn try_from(text: String) -> Result<Self, InvalidHost> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

/// Hosts separated by commas or spaces, as the platform's settings name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostList(pub Vec<HostPattern>);

impl Default for HostList {
    fn default() -> Self {
        Self(DEFAULT_HOSTS.iter().filter_map(|host| host.parse().ok()).collect())
    }
}

impl FromStr for HostList {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let hosts = text.split([',', ' ', '\n']).map(str::trim).filter(|host| !host.is_empty());
        hosts.map(HostPattern::from_str).collect::<Result<_, _>>().map(Self)
    }
}

/// A host as a program asked for it, in the one form in which it is compared, recorded and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedHost {
    text: String,
    /// Whether it can be a name at all.
    is_name: bool,
}

impl AskedHost {
    /// Takes what was asked for; what can be no name is kept as far as it can be shown.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Some(text) = normal(bare) {
            return Self { text, is_name: true };
        }
        let shown = bare.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '`' | '|' | '<' | '>'));
        Self { text: shown.take(MAX_NAME).collect::<String>().to_ascii_lowercase(), is_name: false }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whether a program may go there.
///
/// # Errors
/// Why it may not.
pub fn judge<'a>(
    host: &AskedHost,
    port: u16,
    mut lists: impl Iterator<Item = &'a HostPattern>,
) -> Result<(), EgressRefusal> {
    if is_address(host.as_str()) {
        return Err(EgressRefusal::Address);
    }
    if !host.is_name || !lists.any(|pattern| pattern.fits(host.as_str())) {
        return Err(EgressRefusal::NotListed);
    }
    if matches!(port, 80 | 443) { Ok(()) } else { Err(EgressRefusal::Port) }
}

/// What people read about a refusal: what is wrong, and what helps.
#[must_use]
pub fn sentence(host: &str, port: u16, refusal: EgressRefusal) -> String {
    match refusal {
        EgressRefusal::NotListed => {
            format!("`{host}` is not on this project's list; add it to `egress.allow` in `services.yaml`")
        }
        EgressRefusal::Address => format!("`{host}` is an address; programs may reach hosts by their names only"),
        EgressRefusal::Port => format!("port {port} of `{host}` can't be reached; only 80 and 443 can"),
        EgressRefusal::Private => format!("`{host}` leads into a private network; nothing there can be reached"),
    }
}

/// A DNS name in lower case and without the dot at its end; none if it is no such name.
fn normal(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= MAX_NAME && name.split('.').all(label)).then_some(name)
}

/// Also the forms that only some programs take for an address: a name whose last part is a number, `127.1` or `0x7f000001`.
fn is_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let number = last.strip_prefix("0x").map_or_else(
        || last.bytes().all(|b| b.is_ascii_digit()) && !last.is_empty(),
        |digits| digits.bytes().all(|b| b.is_ascii_hexdigit()),
    );
    number || host.contains(':') || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(host: &str, port: u16) -> Result<(), EgressRefusal> {
        let list: HostList = "example.com, *.example.org registry.npmjs.org".parse().unwrap();
        judge(&AskedHost::new(host), port, list.0.iter())
    }

    #[test]
    fn only_what_is_listed_is_let_out() {
        use EgressRefusal::{Address, NotListed, Port};
        for (host, port, expected) in [
            ("example.com", 443, Ok(())),
            ("EXAMPLE.com.", 80, Ok(())),
            ("a.example.org", 443, Ok(())),
            ("a.b.example.org", 443, Ok(())),
            ("example.org", 443, Err(NotListed)),
            (".example.org", 443, Err(NotListed)),
            ("evilexample.org", 443, Err(NotListed)),
            ("www.example.com", 443, Err(NotListed)),
            ("example.com.evil.net", 443, Err(NotListed)),
            ("example.com", 22, Err(Port)),
            ("evil.net", 22, Err(NotListed)),
            ("10.0.0.1", 443, Err(Address)),
            ("[::1]", 443, Err(Address)),
            ("fe80::1", 443, Err(Address)),
            ("127.1", 443, Err(Address)),
            ("2130706433", 443, Err(Address)),
            ("0x7f000001", 443, Err(Address)),
            ("0x7f.0.0.0x1", 443, Err(Address)),
            ("", 443, Err(NotListed)),
            ("ex ample.com", 443, Err(NotListed)),
            ("exämple.com", 443, Err(NotListed)),
        ] {
            assert_eq!(judged(host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn a_list_holds_names_alone() {
        for good in ["example.com", "*.example.com", "Example.COM", "a_b.example.com", "localhost"] {
            assert!(good.parse::<HostPattern>().is_ok(), "{good}");
        }
        for bad in
            ["", "*", "*.com", "10.0.0.1", "*.0.0.1", "::1", "example.com:443", "https://example.com", "a..b", "-a.com"]
        {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
        assert_eq!(HostList::default().0.len(), DEFAULT_HOSTS.len());
    }

    #[test]
    fn what_is_shown_is_harmless() {
        assert_eq!(AskedHost::new("a`|<b>\n").as_str(), "ab");
        assert_eq!(AskedHost::new(&"x".repeat(300)).as_str().len(), MAX_NAME);
        for refusal in EgressRefusal::ALL {
            assert!(sentence("example.com", 22, *refusal).contains("`example.com`"));
        }
    }
}
