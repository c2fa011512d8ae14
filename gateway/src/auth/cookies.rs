//! The cookies of sign-in: their names, how they are set and how they are read.

use std::time::Duration;

use domain::ids::Instance;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use sha2::{Digest, Sha256};
use url::Url;

use super::settings::is_loopback;

/// Which cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The access token; goes to every address.
    Access,
    /// The refresh token; goes to the addresses of sign-in alone.
    Refresh,
    /// What a sign-in that is under way is bound to.
    State,
}

/// The cookies of this platform.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    /// Cookies don't know ports: the names tell platforms on one host apart.
    tag: String,
    secure: bool,
}

impl Cookies {
    /// The cookies of the platform at this address.
    pub(crate) fn new(instance: &Instance, public_url: &Url) -> Self {
        let digest = Sha256::digest(format!("{instance} {}", public_url.origin().ascii_serialization()));
        Self { tag: hex::encode(&digest[..4]), secure: !is_loopback(public_url) }
    }

    /// The name of a cookie. Browsers take those with a prefix only from this very host, over TLS.
    pub(crate) fn name(&self, kind: Kind) -> String {
        let (prefix, word) = match kind {
            Kind::Access => ("__Host-", "access"),
            Kind::Refresh => ("__Secure-", "refresh"),
            Kind::State => ("__Secure-", "sign-in"),
        };
        format!("{}codexk8s-{}-{word}", if self.secure { prefix } else { "" }, self.tag)
    }

    /// The value of a cookie in a request.
    pub(crate) fn read<'a>(&self, kind: Kind, headers: &'a HeaderMap) -> Option<&'a str> {
        let name = self.name(kind);
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.flat_map(|line| line.split(';')).find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name && !value.is_empty()).then_some(value)
        })
    }

    /// Sets a cookie for so long.
    pub(crate) fn set(&self, headers: &mut HeaderMap, kind: Kind, value: &str, life: Duration) {
        // Values are base64url and dots: they always fit a header.
        if let Ok(mut value) = HeaderValue::from_str(&self.line(kind, value, life.as_secs())) {
            value.set_sensitive(true);
            headers.append(SET_COOKIE, value);
        }
    }

    /// Removes a cookie.
    pub(crate) fn clear(&self, headers: &mut HeaderMap, kind: Kind) {
        if let Ok(value) = HeaderValue::from_str(&self.line(kind, "", 0)) {
            headers.append(SET_COOKIE, value);
        }
    }

    fn line(&self, kind: Kind, value: &str, seconds: u64) -> String {
        // The forge leads the browser back from another site: a strict cookie would not come along then.
        let (path, same_site) = match kind {
            Kind::Access => ("/", "Strict"),
            Kind::Refresh => ("/auth", "Strict"),
            Kind::State => ("/auth", "Lax"),
        };
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}", self.name(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(url: &str) -> Cookies {
        Cookies::new(&"dev".parse().unwrap(), &url.parse().unwrap())
    }

    fn set(cookies: &Cookies, kind: Kind) -> String {
        let mut headers = HeaderMap::new();
        cookies.set(&mut headers, kind, "v", Duration::from_secs(60));
        headers[SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn cookies_are_for_this_host_and_no_script() {
        let public = cookies("https://codex.example");
        for (kind, prefix, rest) in [
            (Kind::Access, "__Host-codexk8s-", "-access=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"),
            (
                Kind::Refresh,
                "__Secure-codexk8s-",
                "-refresh=v; Path=/auth; Max-Age=60; HttpOnly; SameSite=Strict; Secure",
            ),
            (Kind::State, "__Secure-codexk8s-", "-sign-in=v; Path=/auth; Max-Age=60; HttpOnly; SameSite=Lax; Secure"),
        ] {
            let line = set(&public, kind);
            assert!(line.starts_with(prefix) && line.ends_with(rest), "{line}");
        }
        let local = set(&cookies("http://127.0.0.1:8080"), Kind::Access);
        assert!(local.starts_with("codexk8s-") && !local.contains("Secure"), "{local}");
    }

    #[test]
    fn another_port_of_the_host_has_other_names() {
        let [one, two] = ["http://127.0.0.1:8080", "http://127.0.0.1:8081"].map(cookies);
        assert_ne!(one.name(Kind::Access), two.name(Kind::Access));
        let headers: HeaderMap =
            [(COOKIE, format!("a=b; {}=mine", one.name(Kind::Access)).parse().unwrap())].into_iter().collect();
        assert_eq!(one.read(Kind::Access, &headers), Some("mine"));
        assert_eq!(two.read(Kind::Access, &headers), None);
    }
}
