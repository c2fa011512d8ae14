//! Where the token of a request comes from: one that is used as it is, or one minted for a GitHub App.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{rights::Right, sentences};
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{
    route::Route,
    transport::{Call, Reply, Transport},
    wire::{WireApp, WireInstallation, WireInstallationToken},
};
use crate::{ForgeError, Secret, credential::AppCredential, ids::ForgeRepoId};

/// A token is handed out only while it is good for longer than this, so that what is begun with it can end.
const SPARE: TimeDelta = TimeDelta::minutes(5);

/// GitHub takes no signature that lives longer than ten minutes.
const SIGNATURE_LIFE: TimeDelta = TimeDelta::minutes(9);

/// Clocks differ: a signature of the near past is taken, one of the future is not.
const CLOCK_DRIFT: TimeDelta = TimeDelta::seconds(60);

/// The repository that the tokens of an App are cut to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Account or organisation.
    pub owner: String,
    /// Name of the repository.
    pub name: String,
    /// Its number, once it is known.
    pub forge_id: Option<ForgeRepoId>,
}

/// The tokens of one client.
pub(super) enum Tokens {
    /// One that is used as it is.
    Fixed(Secret),
    /// Those of an App's installation.
    Installation(Box<InstallationTokens>),
}

/// Tokens for one repository, minted one at a time and kept until shortly before their end.
pub(super) struct InstallationTokens {
    app: AppCredential,
    key: EncodingKey,
    scope: Scope,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    installation: Option<u64>,
    minted: Option<Minted>,
    /// Whether the installation turned out to grant no more than what is needed.
    only_needed: bool,
}

struct Minted {
    token: Secret,
    expires_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

impl Tokens {
    /// A token that is good for a while.
    pub(super) async fn current(&self, transport: &Transport) -> Result<Secret, ForgeError> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Installation(tokens) => tokens.current(transport).await,
        }
    }

    /// Another token than the one that was just refused; none if there is no other to be had.
    pub(super) async fn instead_of(
        &self,
        transport: &Transport,
        refused: &Secret,
    ) -> Result<Option<Secret>, ForgeError> {
        match self {
            Self::Fixed(_) => Ok(None),
            Self::Installation(tokens) => tokens.instead_of(transport, refused).await.map(Some),
        }
    }
}

impl InstallationTokens {
    pub(super) fn new(app: AppCredential, scope: Scope) -> Result<Self, ForgeError> {
        let key = app.signing_key().map_err(|error| ForgeError::AppUnusable { message: error.to_string() })?;
        let state = State { installation: app.installation_id, minted: None, only_needed: false };
        Ok(Self { app, key, scope, state: Mutex::new(state) })
    }

    async fn current(&self, transport: &Transport) -> Result<Secret, ForgeError> {
        let mut state = self.state.lock().await;
        let now = transport.now();
        match &state.minted {
            Some(minted) if minted.expires_at - SPARE > now => Ok(minted.token.clone()),
            _ => self.mint(transport, &mut state).await,
        }
    }

    async fn instead_of(&self, transport: &Transport, refused: &Secret) -> Result<Secret, ForgeError> {
        let mut state = self.state.lock().await;
        match &state.minted {
            // Somebody else was refused with it too, and has minted meanwhile.
            Some(minted) if minted.token.expose() != refused.expose() => Ok(minted.token.clone()),
            _ => self.mint(transport, &mut state).await,
        }
    }

    /// The lock is held meanwhile: whoever waits for it finds the new token.
    async fn mint(&self, transport: &Transport, state: &mut State) -> Result<Secret, ForgeError> {
        state.minted = None;
        let installation = match state.installation {
            Some(id) => id,
            None => self.installation(transport).await?.id,
        };
        state.installation = Some(installation);
        let route = Route::new(["app", "installations", &installation.to_string(), "access_tokens"])?;
        let mut body = json!({ "permissions": permissions(!state.only_needed) });
        match self.scope.forge_id {
            Some(id) => body["repository_ids"] = json!([id.get()]),
            None => body["repositories"] = json!([self.scope.name]),
        }
        let mut reply = self.call(transport, Call::new(Method::POST, route.clone()).body(body.clone())).await;
        if matches!(reply, Err(ForgeError::Validation { .. })) && !state.only_needed {
            // More was asked for than is granted.
            body["permissions"] = permissions(false);
            reply = self.call(transport, Call::new(Method::POST, route).body(body)).await;
            state.only_needed = reply.is_ok();
        }
        if matches!(reply, Err(ForgeError::NotFound)) {
            // It was installed anew, or taken out: look again next time.
            state.installation = self.app.installation_id;
        }
        let minted: WireInstallationToken = reply.map_err(|error| self.explain(error))?.json()?;
        let token = Secret::new(minted.token);
        state.minted = Some(Minted { token: token.clone(), expires_at: minted.expires_at });
        Ok(token)
    }

    /// The installation through which the App reaches the repository.
    pub(super) async fn installation(&self, transport: &Transport) -> Result<WireInstallation, ForgeError> {
        let route = Route::new(["repos", &self.scope.owner, &self.scope.name, "installation"])?;
        self.call(transport, Call::get(route)).await.map_err(|error| self.explain(error))?.json()
    }

    /// The App itself.
    pub(super) async fn app(&self, transport: &Transport) -> Result<WireApp, ForgeError> {
        self.call(transport, Call::get(Route::new(["app"])?)).await.map_err(|error| self.explain(error))?.json()
    }

    /// A request in the name of the App rather than of an installation.
    async fn call(&self, transport: &Transport, call: Call) -> Result<Reply, ForgeError> {
        transport.call(&call, &self.signature(transport.now())?).await
    }

    fn signature(&self, now: DateTime<Utc>) -> Result<Secret, ForgeError> {
        let claims = Claims {
            iat: (now - CLOCK_DRIFT).timestamp(),
            exp: (now + SIGNATURE_LIFE).timestamp(),
            iss: self.app.app_id.clone(),
        };
        let signed = encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        signed
            .map(Secret::new)
            .map_err(|_| ForgeError::AppUnusable { message: sentences::app_key_unusable().to_owned() })
    }

    /// What stands against the App, and what helps.
    fn explain(&self, error: ForgeError) -> ForgeError {
        let (app, Scope { owner, name, .. }) = (&self.app.app_id, &self.scope);
        let repository = format_args!("{owner}/{name}");
        let message = match error {
            ForgeError::Unauthorised => sentences::app_unauthorised(app),
            ForgeError::NotFound => sentences::app_not_installed(app, repository),
            ForgeError::Forbidden { message } => sentences::app_suspended(app, repository, message),
            ForgeError::Validation { message, .. } => sentences::app_lacks_rights(app, repository, message, repository),
            other => return other,
        };
        ForgeError::AppUnusable { message }
    }
}

/// What helps and is not needed: reading what failing check runs say, and the logs of workflows.
const HELPFUL: [&str; 2] = ["checks", "actions"];

/// No more than the platform uses: a token that leaks opens nothing else.
fn permissions(with_helpful: bool) -> Value {
    let needed = Right::ALL.iter().map(|right| {
        let level = if right.writes() { "write" } else { "read" };
        (right.as_str().to_owned(), level.into())
    });
    let helpful = HELPFUL.iter().filter(|_| with_helpful).map(|&name| (name.to_owned(), "read".into()));
    Value::Object(needed.chain(helpful).collect::<Map<_, _>>())
}
