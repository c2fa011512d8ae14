//! GitHub's side of a sign-in: a code becomes a token, the token tells the account. The token is not kept.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use domain::people::Email;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use role::SecretText;
use serde::{Deserialize, de::DeserializeOwned};
use url::{Url, form_urlencoded};

use super::SignInSettings;
use crate::outgoing::{Outgoing, OutgoingError, client};

/// One question to GitHub, its answer included.
const LIMIT: Duration = Duration::from_secs(10);

/// People sign in one after another.
const KEPT_CONNECTIONS: usize = 4;

/// No answer that we ask for is larger.
const MAX_ANSWER: usize = 256 * 1024;

/// GitHub did not tell what a sign-in needs.
#[derive(Debug, thiserror::Error)]
pub enum ForgeTrouble {
    /// It says no: the code is used up, wrong or not ours.
    #[error("GitHub refused the sign-in: {0}")]
    Refused(String),
    /// It can't be reached, or answers something that is no answer.
    #[error("GitHub can't be asked: {0}")]
    Unavailable(String),
}

/// An account, as GitHub tells it to whoever signed in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ForgeAccount {
    pub(super) id: i64,
    pub(super) login: String,
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

/// Asks GitHub about people who sign in.
pub(super) struct OAuthClient {
    http: Outgoing,
    id: String,
    secret: SecretText,
    oauth_url: String,
    api_url: String,
}

impl OAuthClient {
    pub(super) fn new(settings: &SignInSettings) -> Result<Self, OutgoingError> {
        let base = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            http: client(&[&settings.oauth_url, &settings.api_url], KEPT_CONNECTIONS)?,
            id: settings.client_id.clone(),
            secret: settings.client_secret.clone(),
            oauth_url: base(&settings.oauth_url),
            api_url: base(&settings.api_url),
        })
    }

    /// Where a browser is sent to sign in.
    pub(super) fn authorize_url(&self, redirect: &str, state: &str, challenge: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", "read:user user:email")
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("allow_signup", "false")
            .finish();
        format!("{}/login/oauth/authorize?{query}", self.oauth_url)
    }

    /// Gives the code for a token.
    ///
    /// # Errors
    /// [`ForgeTrouble`]
    pub(super) async fn exchange(
        &self,
        code: &str,
        redirect: &str,
        verifier: &str,
    ) -> Result<SecretText, ForgeTrouble> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.id)
            .append_pair("client_secret", self.secret.expose())
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect)
            .append_pair("code_verifier", verifier)
            .finish();
        let mut request = request(Method::POST, &format!("{}/login/oauth/access_token", self.oauth_url), form.into())?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        // What is wrong comes with status 200, too.
        let granted: Granted = self.ask(request).await?;
        match (granted.access_token, granted.error) {
            (Some(token), None) => Ok(SecretText::new(token)),
            (_, Some(error)) => Err(ForgeTrouble::Refused(word(&error))),
            (None, None) => Err(ForgeTrouble::Unavailable("it answered neither a token nor an error".into())),
        }
    }

    /// The account of a token.
    ///
    /// # Errors
    /// [`ForgeTrouble`]
    pub(super) async fn account(&self, token: &SecretText) -> Result<ForgeAccount, ForgeTrouble> {
        self.ask(self.authorised("/user", token)?).await
    }

    /// The primary address of a token's account, if it is verified.
    ///
    /// # Errors
    /// [`ForgeTrouble`]
    pub(super) async fn primary_email(&self, token: &SecretText) -> Result<Option<Email>, ForgeTrouble> {
        let addresses: Vec<Address> = self.ask(self.authorised("/user/emails?per_page=100", token)?).await?;
        let primary = addresses.into_iter().find(|address| address.primary && address.verified);
        Ok(primary.and_then(|address| address.email.parse().ok()))
    }

    fn authorised(&self, path: &str, token: &SecretText) -> Result<Request<Body>, ForgeTrouble> {
        let mut request = request(Method::GET, &format!("{}{path}", self.api_url), Body::empty())?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| ForgeTrouble::Unavailable("its token fits no header".into()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        Ok(request)
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, ForgeTrouble> {
        let asked = async {
            let answer = self.http.request(request).await.map_err(|error| unavailable(&error))?;
            let status = answer.status();
            let body =
                to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await.map_err(|error| unavailable(&error))?;
            match status {
                // What can't be read is not repeated: a token may stand in it.
                StatusCode::OK => serde_json::from_slice(&body)
                    .map_err(|_| ForgeTrouble::Unavailable("its answer can't be read".into())),
                // The scope was not granted, or the token was taken back meanwhile.
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                    Err(ForgeTrouble::Refused(format!("status {}", status.as_u16())))
                }
                other => Err(ForgeTrouble::Unavailable(format!("status {}", other.as_u16()))),
            }
        };
        tokio::time::timeout(LIMIT, asked)
            .await
            .unwrap_or_else(|_| Err(ForgeTrouble::Unavailable("no answer in time".into())))
    }
}

fn request(method: Method, url: &str, body: Body) -> Result<Request<Body>, ForgeTrouble> {
    let uri: Uri = url.parse().map_err(|error| unavailable(&error))?;
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("codex-k8s"));
    Ok(request)
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> ForgeTrouble {
    ForgeTrouble::Unavailable(crate::problem::Chain(error).to_string())
}

/// An error's word is shown to people and logged: nothing else that may stand there is.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect()
}
