//! Squid's external ACL: the gateway says whether a run may reach a host.

use std::{borrow::Cow, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::job_tokens::TokenKind;
use reqwest::StatusCode;
use role::{ConfigErrors, Environment, LogFormat, Reader};
use serde::{Deserialize, Serialize};
use tokio::io::{BufReader, stdin, stdout};
use url::Url;

use crate::helper::{HelperError, Verdict, answer_all};

/// A program waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// The fourth field of a question about a host whose name leads into a private network: it is recorded, not asked.
const PRIVATE: &str = "private";

/// Where the gateway is.
#[derive(Clone, Debug)]
pub struct AdmitSettings {
    gateway_url: Url,
    log_format: LogFormat,
}

impl AdmitSettings {
    /// Reads the settings from the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_env() -> Result<Self, ConfigErrors> {
        Self::read(&Environment::of_process())
    }

    /// Reads the settings from given variables.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let gateway_url = reader.required("GATEWAY_URL", "give the gateway's address, such as http://gateway:8080");
        let log_format = reader.or("LOG_FORMAT", LogFormat::default(), "write `json` or `text`");
        reader.finish(gateway_url.map(|gateway_url| Self { gateway_url, log_format }))
    }
}

#[derive(Serialize)]
struct Question<'a> {
    host: &'a str,
    port: u16,
    private: bool,
}

#[derive(Deserialize)]
struct Answer {
    allowed: bool,
    #[serde(default)]
    detail: String,
}

/// Asks the gateway.
#[derive(Clone)]
struct Gateway {
    http: reqwest::Client,
    url: String,
}

/// Answers squid until it closes its end. A line is the `Proxy-Authorization` header, the host, the port, and `private` or `-`.
///
/// # Errors
/// When the pipes break.
pub async fn admit(settings: AdmitSettings) -> Result<(), HelperError> {
    // On standard error, which squid puts into its own log.
    role::logging::start(settings.log_format);
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(HelperError::Client)?;
    let url = format!("{}/runner/v1/egress", settings.gateway_url.as_str().trim_end_matches('/'));
    let gateway = Gateway { http, url };
    answer_all(BufReader::new(stdin()), stdout(), move |fields| {
        let gateway = gateway.clone();
        async move { gateway.judge(&fields).await }
    })
    .await
}

impl Gateway {
    async fn judge(&self, fields: &[String]) -> Verdict {
        let [authorization, host, port, rest @ ..] = fields else {
            return Verdict::Broken("the egress proxy asks otherwise than its configuration should have it");
        };
        let Some(token) = egress_token(authorization) else {
            return Verdict::FitsNot(Cow::Borrowed("sign in with the egress token of the run as the password"));
        };
        let Ok(port) = port.parse() else { return Verdict::FitsNot(Cow::Borrowed("there is no such port")) };
        let private = rest.first().is_some_and(|field| field == PRIVATE);
        let asked = self.http.post(&self.url).bearer_auth(token).json(&Question { host, port, private }).send().await;
        match asked {
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(%error, "the gateway does not answer; nobody is let out");
                Verdict::Broken("the gateway does not answer")
            }
            Ok(answer) if answer.status().is_success() => match answer.json::<Answer>().await {
                // Whether it was recorded is what the question was about.
                Ok(_) if private => Verdict::Fits,
                Ok(Answer { allowed: true, .. }) => Verdict::Fits,
                Ok(Answer { detail, .. }) => Verdict::FitsNot(Cow::Owned(detail)),
                Err(_) => Verdict::Broken("the gateway's answer can't be read"),
            },
            Ok(answer) if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Verdict::FitsNot(Cow::Borrowed("the egress token is not one of a run that is at work"))
            }
            Ok(answer) => {
                tracing::warn!(status = %answer.status(), "the gateway can't say who may go out; nobody is let out");
                Verdict::Broken("the gateway can't answer")
            }
        }
    }
}

/// The password of `Basic …`, if it is an egress token.
fn egress_token(authorization: &str) -> Option<String> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (_, token) = text.split_once(':')?;
    let fits = scheme.eq_ignore_ascii_case("basic") && TokenKind::of(token) == Some(TokenKind::Egress);
    fits.then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_password() {
        let token = domain::job_tokens::egress_token("s");
        let header = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert_eq!(egress_token(&header(&format!("run-1:{token}"))), Some(token.clone()));
        for other in
            [header("run-1:x"), header(&token), format!("Bearer {token}"), token, "Basic %".to_owned(), "-".to_owned()]
        {
            assert_eq!(egress_token(&other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_gateway_that_is_away_lets_nobody_out() {
        let gateway = Gateway { http: reqwest::Client::new(), url: "http://127.0.0.1:1/runner/v1/egress".to_owned() };
        let header =
            format!("Basic {}", BASE64_STANDARD.encode(format!("r:{}", domain::job_tokens::egress_token("s"))));
        let line = |last: &str| [header.clone(), "example.com".to_owned(), "443".to_owned(), last.to_owned()];
        for last in ["-", PRIVATE] {
            assert_eq!(gateway.judge(&line(last)).await, Verdict::Broken("the gateway does not answer"));
        }
        assert!(matches!(gateway.judge(&line("-")[..2]).await, Verdict::Broken(_)));
    }
}
