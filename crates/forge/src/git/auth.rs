//! The environment git runs in.

use std::{ffi::OsString, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;
use zeroize::Zeroizing;

use crate::Secret;

/// A credential for git over HTTP, bound to one server.
#[derive(Clone)]
pub struct GitAuth {
    token: Secret,
    /// `x-access-token:<token>`, encoded; as secret as the token.
    basic: Secret,
    scope: String,
}

/// The address is none that a credential can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a git credential needs an http(s) address")]
pub struct NoHttpAddress;

impl GitAuth {
    /// A token for the server of `remote`; it is sent to no other.
    ///
    /// # Errors
    /// If `remote` is no `http` or `https` URL.
    pub fn new(remote: &str, token: Secret) -> Result<Self, NoHttpAddress> {
        let url = Url::parse(remote).map_err(|_| NoHttpAddress)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(NoHttpAddress);
        }
        let scope = format!("{}/", url.origin().ascii_serialization());
        let pair = Zeroizing::new(format!("x-access-token:{}", token.expose()));
        Ok(Self { basic: Secret::new(STANDARD.encode(pair.as_bytes())), token, scope })
    }

    /// The variables that make git send the credential: configuration by environment, so that it is in no argument and on no disk.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        config_env(&[(format!("http.{}.extraHeader", self.scope), self.header())])
    }

    pub(super) fn config(&self) -> (String, String) {
        (format!("http.{}.extraHeader", self.scope), self.header())
    }

    fn header(&self) -> String {
        format!("Authorization: Basic {}", self.basic.expose())
    }

    /// `text` without the credential in any form.
    pub(super) fn redact(&self, text: &str) -> String {
        self.basic.redact(&self.token.redact(text))
    }
}

impl fmt::Debug for GitAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitAuth").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Settings given to git by `GIT_CONFIG_COUNT` and its fellows.
pub(super) fn config_env(settings: &[(String, String)]) -> Vec<(String, String)> {
    let mut env = vec![("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string())];
    for (place, (key, value)) in settings.iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{place}"), key.clone()));
        env.push((format!("GIT_CONFIG_VALUE_{place}"), value.clone()));
    }
    env
}

/// Settings for every call.
pub(super) fn hardened_settings() -> Vec<(String, String)> {
    let settings = [
        ("core.hooksPath", "/dev/null"),
        ("core.fsmonitor", "false"),
        ("core.quotePath", "false"),
        ("core.attributesFile", "/dev/null"),
        ("credential.helper", ""),
        ("fetch.recurseSubmodules", "false"),
        ("submodule.recurse", "false"),
        // Housekeeping belongs to the call, and must not live on after it.
        ("gc.autoDetach", "false"),
        ("maintenance.autoDetach", "false"),
        ("http.followRedirects", "initial"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "30"),
        ("init.defaultBranch", "main"),
        ("advice.detachedHead", "false"),
    ];
    settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What of our own environment git needs: where programs are, and how to reach the network.
const PASSED_ON: [&str; 12] = [
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The whole environment of a call without a credential; nothing else of ours is passed on.
#[must_use]
pub fn hardened_env() -> Vec<(OsString, OsString)> {
    let fixed = [
        ("LC_ALL", "C"),
        // git and curl look here for files with credentials.
        ("HOME", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", "true"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
    ];
    let passed_on = PASSED_ON.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    fixed.into_iter().map(|(name, value)| (name.into(), value.into())).chain(passed_on).collect()
}

/// The protocols a call to this remote may use; `file` covers folders and bundles.
pub(super) fn allowed_protocols(remote: &str) -> &'static str {
    if remote.starts_with("https://") {
        "https"
    } else if remote.starts_with("http://") {
        // A server may send its visitors on to its secured address.
        "http:https"
    } else {
        "file"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_is_bound_to_the_server() {
        let auth = GitAuth::new("https://github.com/o/n.git", Secret::new("t0ken")).unwrap();
        let env = auth.env();
        let value = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("GIT_CONFIG_COUNT"), Some("1"));
        assert_eq!(value("GIT_CONFIG_KEY_0"), Some("http.https://github.com/.extraHeader"));
        assert_eq!(value("GIT_CONFIG_VALUE_0"), Some("Authorization: Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="));
        assert!(!format!("{auth:?}").contains("t0ken"));
    }

    #[test]
    fn both_forms_of_the_credential_are_redacted() {
        let auth = GitAuth::new("http://127.0.0.1:80/x", Secret::new("t0ken")).unwrap();
        assert_eq!(auth.redact("t0ken eC1hY2Nlc3MtdG9rZW46dDBrZW4="), "[secret] [secret]");
    }

    #[test]
    fn only_http_takes_a_credential() {
        for bad in ["/srv/repo.git", "file:///srv/repo.git", "ssh://git@host/x", ""] {
            assert!(GitAuth::new(bad, Secret::new("x")).is_err(), "{bad}");
        }
    }
}
