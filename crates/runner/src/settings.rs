//! What the runner is told by its environment.

use std::{ffi::OsString, fmt, path::PathBuf};

use url::Url;

pub(crate) const GATEWAY_URL: &str = "CODEX_K8S_GATEWAY_URL";
pub(crate) const MODEL_URL: &str = "CODEX_K8S_MODEL_URL";
const TOKEN_FILE: &str = "CODEX_K8S_TOKEN_FILE";
const POD_UID: &str = "CODEX_K8S_POD_UID";
const WORK_DIR: &str = "CODEX_K8S_WORK_DIR";
const CODEX: &str = "CODEX_K8S_CODEX";
const TOOLS: &str = "CODEX_K8S_TOOLS";
const EGRESS_PROXY: &str = "CODEX_K8S_EGRESS_PROXY";
const REQUEST_RETRIES: &str = "CODEX_K8S_MODEL_REQUEST_RETRIES";
const STREAM_RETRIES: &str = "CODEX_K8S_MODEL_STREAM_RETRIES";

/// What the runner must know before it can ask for its job.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's base address.
    pub gateway_url: Url,
    /// The model gateway's base address; Codex uses `<it>/v1`.
    pub model_url: Url,
    /// Claims the attempt, once.
    pub token: LaunchToken,
    /// Who claims it: the UID of the pod, or this process where there is no pod.
    pub claimant: String,
    /// Holds all state of the job. Empty or absent at the start.
    pub work_dir: PathBuf,
    /// The Codex binary itself, not its Node wrapper.
    pub codex: PathBuf,
    /// The bundle that the pod brought along: git, Codex and what they need. None: what the machine has is used.
    pub tools: Option<PathBuf>,
    /// The egress proxy; none: programs go out directly, or not at all.
    pub egress_proxy: Option<Url>,
    /// How often Codex repeats a request that was refused before it was answered; such a request costs nothing.
    pub request_retries: u8,
    /// How often Codex repeats a request whose answer broke off. The model gateway counts each of them.
    pub stream_retries: u8,
}

/// The launch token; shows itself to nobody.
#[derive(Clone)]
pub struct LaunchToken(String);

/// The settings are not usable.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is absent.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable is no text.
    #[error("{0} is not valid UTF-8")]
    NotText(&'static str),
    /// A variable is no http address.
    #[error("{name} must be an http or https address")]
    NotAnAddress {
        /// The variable.
        name: &'static str,
    },
    /// A variable is no small number.
    #[error("{name} must be a number from 0 to 100")]
    NotANumber {
        /// The variable.
        name: &'static str,
    },
    /// A variable names no host and port.
    #[error("{name} must be host:port")]
    NotAPlace {
        /// The variable.
        name: &'static str,
    },
    /// A variable is no number of seconds.
    #[error("{name} must be a number of seconds")]
    NotSeconds {
        /// The variable.
        name: &'static str,
    },
    /// The token file cannot be read or is empty.
    #[error("the token file {} cannot be used", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Settings {
    /// Reads the environment and the token file.
    ///
    /// # Errors
    /// If something is missing or malformed; the error names the variable.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(std::env::var_os)
    }

    fn from_lookup(lookup: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let required = |name| required(&lookup, name);
        let token_file = PathBuf::from(required(TOKEN_FILE)?);
        Ok(Self {
            gateway_url: address(GATEWAY_URL, required(GATEWAY_URL)?)?,
            model_url: address(MODEL_URL, required(MODEL_URL)?)?,
            token: LaunchToken::take(token_file)?,
            claimant: claimant(lookup(POD_UID))?,
            work_dir: PathBuf::from(required(WORK_DIR)?),
            codex: PathBuf::from(required(CODEX)?),
            tools: lookup(TOOLS).filter(|value| !value.is_empty()).map(PathBuf::from),
            egress_proxy: match lookup(EGRESS_PROXY).filter(|value| !value.is_empty()) {
                Some(value) => Some(address(EGRESS_PROXY, value)?),
                None => None,
            },
            request_retries: number(REQUEST_RETRIES, lookup(REQUEST_RETRIES), 4)?,
            stream_retries: number(STREAM_RETRIES, lookup(STREAM_RETRIES), 5)?,
        })
    }
}

impl LaunchToken {
    /// Wraps a token that was got in another way than by a file.
    #[must_use]
    pub const fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads the file and removes it if it can: what is mounted into a pod stays, and is worthless once the attempt is claimed.
    fn take(path: PathBuf) -> Result<Self, SettingsError> {
        let token = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(source) => return Err(SettingsError::Token { path, source }),
        };
        if token.is_empty() {
            return Err(SettingsError::Token { path, source: std::io::Error::other("it is empty") });
        }
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::debug!(path = %path.display(), %error, "the token file stays");
        }
        Ok(Self(token))
    }
}

impl fmt::Debug for LaunchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaunchToken(…)")
    }
}

pub(crate) fn required(
    lookup: &dyn Fn(&'static str) -> Option<OsString>,
    name: &'static str,
) -> Result<OsString, SettingsError> {
    lookup(name).filter(|value| !value.is_empty()).ok_or(SettingsError::Missing(name))
}

pub(crate) fn text(name: &'static str, value: OsString) -> Result<String, SettingsError> {
    value.into_string().map_err(|_| SettingsError::NotText(name))
}

pub(crate) fn address(name: &'static str, value: OsString) -> Result<Url, SettingsError> {
    Url::parse(&text(name, value)?)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or(SettingsError::NotAnAddress { name })
}

fn claimant(pod: Option<OsString>) -> Result<String, SettingsError> {
    match pod.filter(|uid| !uid.is_empty()) {
        Some(uid) => text(POD_UID, uid),
        None => Ok(format!("process-{}", std::process::id())),
    }
}

fn number(name: &'static str, value: Option<OsString>, default: u8) -> Result<u8, SettingsError> {
    let Some(value) = value else { return Ok(default) };
    text(name, value)?.parse().ok().filter(|number| *number <= 100).ok_or(SettingsError::NotANumber { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: &'static str, to: Option<&'static str>) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "secret-token\n").unwrap();
        Settings::from_lookup(|name| {
            if name == change {
                return to.map(OsString::from);
            }
            Some(match name {
                TOKEN_FILE => token.clone().into_os_string(),
                GATEWAY_URL | MODEL_URL => "http://127.0.0.1:1".into(),
                REQUEST_RETRIES => "0".into(),
                STREAM_RETRIES | TOOLS | EGRESS_PROXY => return None,
                POD_UID => "7d1c7a0e-0000-4000-8000-000000000001".into(),
                _ => "/some/where".into(),
            })
        })
    }

    #[test]
    fn complete_settings_are_read_and_hide_the_token() {
        let settings = settings("", None).unwrap();
        assert_eq!(settings.token.expose(), "secret-token");
        assert_eq!(settings.claimant, "7d1c7a0e-0000-4000-8000-000000000001");
        assert_eq!((settings.request_retries, settings.stream_retries), (0, 5));
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn the_token_file_is_gone_once_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "secret-token").unwrap();
        assert_eq!(LaunchToken::take(file.clone()).unwrap().expose(), "secret-token");
        assert!(!file.exists());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, to, message) in [
            (WORK_DIR, None, "CODEX_K8S_WORK_DIR is not set"),
            (CODEX, Some(""), "CODEX_K8S_CODEX is not set"),
            (GATEWAY_URL, Some("file:///x"), "CODEX_K8S_GATEWAY_URL must be an http or https address"),
            (MODEL_URL, Some("nonsense"), "CODEX_K8S_MODEL_URL must be an http or https address"),
            (EGRESS_PROXY, Some("proxy:3128"), "CODEX_K8S_EGRESS_PROXY must be an http or https address"),
            (REQUEST_RETRIES, Some("many"), "CODEX_K8S_MODEL_REQUEST_RETRIES must be a number from 0 to 100"),
            (TOKEN_FILE, Some("/does/not/exist"), "the token file /does/not/exist cannot be used"),
        ] {
            assert_eq!(settings(name, to).unwrap_err().to_string(), message);
        }
    }
}
