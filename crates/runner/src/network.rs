//! Waits, before anything else runs in a pod, until its network policies are in force.
//!
//! A cluster puts policies into force a moment after a pod has its address; until then the pod reaches everything. So a destination
//! that no Job may reach, the *canary*, is tried until it can't be reached any more. That says something only while the pod has a
//! network at all: therefore gateway and model gateway must answer first, in the same round.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{net::TcpStream, time::Instant};
use url::Url;

use crate::settings::{GATEWAY_URL, MODEL_URL, SettingsError, address, required, text};

const CANARY: &str = "CODEX_K8S_CANARY";
const DEADLINE_SECS: &str = "CODEX_K8S_NETWORK_DEADLINE_SECS";

/// Kubernetes shows what is written here as the reason of the end.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// A connection that takes longer is one that is dropped on its way.
const TRY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(250);
const DEFAULT_DEADLINE_SECS: u64 = 120;

/// What is tried, and for how long.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// `host:port` of what a Job must not reach, and what would answer if it could.
    canary: String,
    gateway_url: Url,
    model_url: Url,
    deadline: Duration,
    termination_log: PathBuf,
}

/// The network is not as a Job needs it; the words are for the people who run the cluster.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The settings are not usable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
    /// The canary can be reached.
    #[error(
        "the network policies of this Job are not in force: {canary} can still be reached after {secs} s; see that the cluster's network plugin \
         enforces NetworkPolicy, and that the policies of this namespace are there"
    )]
    Open {
        /// What could be reached.
        canary: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// The canary's name means nothing.
    #[error(
        "{canary} can't be looked up after {secs} s; see that the Job may reach the cluster's DNS, or name the canary by its address"
    )]
    Unknown {
        /// What could not be looked up.
        canary: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// A part of the platform does not answer.
    #[error(
        "{address} does not answer from inside the Job after {secs} s ({cause}); see that it runs and that a NetworkPolicy lets Jobs reach it"
    )]
    Silent {
        /// What does not answer.
        address: Url,
        /// How long it was waited for.
        secs: u64,
        /// The last failure.
        cause: String,
    },
}

/// What stands in the way at the moment.
enum Obstacle {
    Open,
    Unknown,
    Silent(Url, String),
}

impl NetworkSettings {
    /// Reads the environment.
    ///
    /// # Errors
    /// If something is missing or malformed; the error names the variable.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(&|name| std::env::var_os(name))
    }

    fn from_lookup(lookup: &dyn Fn(&'static str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let canary = text(CANARY, required(lookup, CANARY)?)?;
        let port = canary.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
        if port.is_none_or(|port: u16| port == 0) {
            return Err(SettingsError::NotAPlace { name: CANARY });
        }
        let deadline = match lookup(DEADLINE_SECS).filter(|value| !value.is_empty()) {
            None => DEFAULT_DEADLINE_SECS,
            Some(value) => {
                text(DEADLINE_SECS, value)?.parse().map_err(|_| SettingsError::NotSeconds { name: DEADLINE_SECS })?
            }
        };
        Ok(Self {
            canary,
            gateway_url: address(GATEWAY_URL, required(lookup, GATEWAY_URL)?)?,
            model_url: address(MODEL_URL, required(lookup, MODEL_URL)?)?,
            deadline: Duration::from_secs(deadline),
            termination_log: PathBuf::from(TERMINATION_LOG),
        })
    }
}

/// Returns once gateway and model gateway answer and the canary does not.
///
/// # Errors
/// After the deadline: what is not as it must be, also as the pod's reason of ending.
pub async fn await_network(settings: &NetworkSettings) -> Result<(), NetworkError> {
    let ended = wait(settings).await;
    if let Err(error) = &ended {
        write_reason(&settings.termination_log, &error.to_string());
    }
    ended
}

async fn wait(settings: &NetworkSettings) -> Result<(), NetworkError> {
    let http = reqwest::Client::builder().no_proxy().timeout(TRY).build().map_err(NetworkError::Client)?;
    let end = Instant::now() + settings.deadline;
    loop {
        let Some(obstacle) = look(settings, &http).await else { return Ok(()) };
        if Instant::now() >= end {
            return Err(in_words(settings, obstacle));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(settings: &NetworkSettings, http: &reqwest::Client) -> Option<Obstacle> {
    for address in [&settings.gateway_url, &settings.model_url] {
        if let Err(cause) = answers(http, address).await {
            return Some(Obstacle::Silent(address.clone(), cause));
        }
    }
    // Apart from connecting: that a name is unknown is no sign of a policy.
    let places = match tokio::time::timeout(TRY, tokio::net::lookup_host(&settings.canary)).await {
        Ok(Ok(places)) => places.collect::<Vec<_>>(),
        Ok(Err(_)) | Err(_) => return Some(Obstacle::Unknown),
    };
    if places.is_empty() {
        return Some(Obstacle::Unknown);
    }
    let connected = tokio::time::timeout(TRY, TcpStream::connect(&places[..])).await;
    matches!(connected, Ok(Ok(_))).then_some(Obstacle::Open)
}

async fn answers(http: &reqwest::Client, base: &Url) -> Result<(), String> {
    let url = format!("{}/healthz", base.as_str().trim_end_matches('/'));
    match http.get(url).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answers {}", answer.status())),
        Err(error) if error.is_timeout() => Err(format!("nothing came within {} s", TRY.as_secs())),
        Err(error) if error.is_connect() => Err("no connection could be made".to_owned()),
        Err(_) => Err("the answer could not be read".to_owned()),
    }
}

fn in_words(settings: &NetworkSettings, obstacle: Obstacle) -> NetworkError {
    let (canary, secs) = (settings.canary.clone(), settings.deadline.as_secs());
    match obstacle {
        Obstacle::Open => NetworkError::Open { canary, secs },
        Obstacle::Unknown => NetworkError::Unknown { canary, secs },
        Obstacle::Silent(address, cause) => NetworkError::Silent { address, secs, cause },
    }
}

/// Only where the file is there: outside a pod there is none. Its words are on standard error, too.
fn write_reason(path: &Path, words: &str) {
    if let Ok(mut file) = std::fs::OpenOptions::new().write(true).truncate(true).open(path) {
        let _ = writeln!(file, "{words}");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Answers everything with this status.
    async fn healthy(status: &'static str) -> Url {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 2048]).await;
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{address}").parse().unwrap()
    }

    fn settings(canary: String, gateway_url: Url, model_url: Url, reason: &Path) -> NetworkSettings {
        let termination_log = reason.to_owned();
        NetworkSettings { canary, gateway_url, model_url, deadline: Duration::from_secs(1), termination_log }
    }

    #[tokio::test]
    async fn it_waits_until_the_canary_is_shut_off() {
        let (canary, address) = listen().await;
        let nowhere = Path::new("/does/not/exist");
        let mut settings = settings(address.to_string(), healthy("200 OK").await, healthy("200 OK").await, nowhere);
        settings.deadline = Duration::from_secs(30);
        let waiting = tokio::spawn(async move { await_network(&settings).await });
        // It has been there to look.
        canary.accept().await.unwrap();
        assert!(!waiting.is_finished());
        drop(canary);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_never_comes_right_is_said_in_words() {
        let (_canary, open) = listen().await;
        let (gone, shut) = listen().await;
        drop(gone);
        let (good, bad) = (healthy("200 OK").await, healthy("503 Not Now").await);
        let silent: Url = format!("http://{shut}").parse().unwrap();
        for (canary, gateway, model, words) in [
            (open.to_string(), &good, &good, format!("not in force: {open} can still be reached after 1 s")),
            (
                shut.to_string(),
                &silent,
                &good,
                format!("{silent} does not answer from inside the Job after 1 s (no connection"),
            ),
            (
                shut.to_string(),
                &good,
                &bad,
                format!("{bad} does not answer from inside the Job after 1 s (it answers 503"),
            ),
            ("no.such.host.invalid:1".to_owned(), &good, &good, "no.such.host.invalid:1 can't be looked up".to_owned()),
        ] {
            let reason = tempfile::NamedTempFile::new().unwrap();
            let settings = settings(canary, gateway.clone(), model.clone(), reason.path());
            let error = await_network(&settings).await.unwrap_err().to_string();
            assert!(error.contains(&words), "{error}");
            assert_eq!(std::fs::read_to_string(reason.path()).unwrap().trim_end(), error);
        }
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_named() {
        let read = |canary: &'static str, secs: &'static str| {
            let lookup = move |name| match name {
                CANARY => Some(canary.into()),
                DEADLINE_SECS => Some(secs.into()),
                _ => Some("http://127.0.0.1:1".into()),
            };
            NetworkSettings::from_lookup(&lookup).map(|settings| settings.deadline).map_err(|error| error.to_string())
        };
        assert_eq!(read("10.0.0.1:443", ""), Ok(Duration::from_secs(120)));
        assert_eq!(read("[fd00::1]:443", "7"), Ok(Duration::from_secs(7)));
        for odd in ["10.0.0.1", ":443", "a:b", "a:0"] {
            assert_eq!(read(odd, ""), Err("CODEX_K8S_CANARY must be host:port".to_owned()), "{odd}");
        }
        assert!(
            read("a:1", "soon").unwrap_err().contains("CODEX_K8S_NETWORK_DEADLINE_SECS must be a number of seconds")
        );
    }
}
