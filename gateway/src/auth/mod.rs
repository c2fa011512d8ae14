//! Who is asking: sign-in through GitHub, what keeps people signed in, and what they may do.
//!
//! [`Caller`] is the extractor of the staff API. The addresses in here are the only ones that take a refresh token.

mod access;
mod callback;
mod caller;
mod cookies;
mod github;
mod jwks;
mod keys;
mod limit;
mod login;
mod logout;
mod origin;
mod proxies;
mod refresh;
mod renew;
mod secret;
mod settings;
mod state;
mod upkeep;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::Instance;
use http::{HeaderMap, StatusCode, header::ACCEPT};
use url::Url;

pub use self::{
    access::ACCESS_LIFE,
    github::ForgeTrouble,
    keys::{KEY_LIFE, KeyTrouble, rotate},
    proxies::{InvalidRange, TrustedProxies},
    settings::{SignInSettings, SigningKeySettings},
};
pub(crate) use self::{
    caller::{ApiState, Caller, DoneTo, OnProject, Via, no_project},
    keys::KnownKeys,
    renew::is_guarded,
    secret::{api_token, hash},
};
use self::{cookies::Cookies, github::OAuthClient, limit::SignInLimit};
use crate::{app::AppState, outgoing::OutgoingError, problem::Problem};

/// A sign-in ends after so long, however much it is used.
const SESSION_LIFE: TimeDelta = TimeDelta::days(30);

/// A sign-in ends when it was not used for so long.
const SESSION_IDLE: TimeDelta = TimeDelta::days(7);

/// Two tabs may refresh at once: for so long after its use an old refresh token still gets a new one.
const REFRESH_GRACE: TimeDelta = TimeDelta::seconds(20);

/// Sign-in, as it is configured.
#[derive(Clone)]
pub struct SignIn(Arc<Inner>);

struct Inner {
    settings: SignInSettings,
    cookies: Cookies,
    client: OAuthClient,
    begun: SignInLimit,
    completed: SignInLimit,
}

impl SignIn {
    /// Gets ready to sign people in.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(instance: &Instance, settings: SignInSettings) -> Result<Self, OutgoingError> {
        let cookies = Cookies::new(instance, &settings.public_url);
        let client = OAuthClient::new(&settings)?;
        let (begun, completed) = (SignInLimit::default(), SignInLimit::default());
        Ok(Self(Arc::new(Inner { settings, cookies, client, begun, completed })))
    }

    fn settings(&self) -> &SignInSettings {
        &self.0.settings
    }

    fn cookies(&self) -> &Cookies {
        &self.0.cookies
    }

    fn client(&self) -> &OAuthClient {
        &self.0.client
    }

    /// Lets one more sign-in of whoever asks begin, or says when to come again.
    ///
    /// # Errors
    /// 429.
    fn admit_beginning(&self, peer: SocketAddr, headers: &HeaderMap, now: DateTime<Utc>) -> Result<(), Problem> {
        self.0.begun.admit(self.client_address(peer, headers), now)
    }

    /// Lets whoever asks come back from the forge once more, or says when to come again. Counted apart: who only ever comes back keeps
    /// nobody from beginning.
    ///
    /// # Errors
    /// 429.
    fn admit_completion(&self, peer: SocketAddr, headers: &HeaderMap, now: DateTime<Utc>) -> Result<(), Problem> {
        self.0.completed.admit(self.client_address(peer, headers), now)
    }

    fn client_address(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        self.settings().trusted_proxies.client(peer.ip(), headers)
    }

    /// Where browsers and the forge reach the gateway.
    pub(crate) fn public_url(&self) -> &Url {
        &self.0.settings.public_url
    }

    /// A repository's page on the forge.
    pub(crate) fn forge_page(&self, full_name: &str) -> String {
        format!("{}/{full_name}", self.0.settings.oauth_url.as_str().trim_end_matches('/'))
    }

    /// An address of ours as browsers see it.
    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.public_url().as_str().trim_end_matches('/'))
    }
}

/// The addresses of sign-in.
pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/auth/login", get(login::begin))
        .route("/auth/callback", get(callback::complete))
        .route("/auth/refresh", post(refresh::refresh))
        .route("/auth/renew", get(renew::renew))
        .route("/auth/logout", post(logout::leave))
        .route("/.well-known/jwks.json", get(jwks::keys))
}

/// Sign-in as it is configured.
///
/// # Errors
/// 503 if it is not.
fn configured(state: &AppState) -> Result<&SignIn, Problem> {
    state.sign_in().ok_or_else(|| {
        let detail = "sign-in is not configured here: set OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET_FILE and PUBLIC_URL";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sign_in_not_configured", detail)
    })
}

/// A problem on the way of a browser: a person is led back to the console, which shows it; a program gets it as it is.
fn shown(state: &AppState, headers: &HeaderMap, problem: Problem) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match state.sign_in() {
        Some(sign_in) if accepts.contains("text/html") => {
            tracing::info!(code = problem.code, "a sign-in was refused");
            Redirect::to(&sign_in.address(&format!("/sign-in?problem={}", problem.code))).into_response()
        }
        _ => problem.into_response(),
    }
}
