//! What becomes of a sign-in: a code, once and for ten minutes, and then a token.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::github::{
    error::ApiError,
    forge::{Forge, View},
    state::{Code, OAuthApp, Token},
};

/// GitHub's codes live so long.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);

/// What an application asks a person for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) client_id: String,
    pub(super) redirect_uri: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) state: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
}

/// What an application gives for a token.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Offered {
    #[serde(default)]
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) client_secret: String,
    #[serde(default)]
    pub(super) code: String,
    pub(super) redirect_uri: Option<String>,
    pub(super) code_verifier: Option<String>,
}

/// Why there is no token; GitHub's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    Credentials,
    Redirect,
    Code,
}

impl Mistake {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Credentials => "incorrect_client_credentials",
            Self::Redirect => "redirect_uri_mismatch",
            Self::Code => "bad_verification_code",
        }
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Credentials => "The client_id and/or client_secret passed are incorrect.",
            Self::Redirect => "The redirect_uri MUST match the registered callback URL for this application.",
            Self::Code => "The code passed is incorrect or expired.",
        }
    }
}

/// Makes an application known, or gives it another secret and address.
pub(crate) fn register(forge: &Forge, client_id: &str, secret: &str, callback: &str) -> Result<(), ApiError> {
    forge.write(|tx| {
        let app = OAuthApp { secret: secret.to_owned(), callback: callback.to_owned() };
        tx.model.oauth_apps.insert(client_id.to_owned(), app);
        Ok(())
    })
}

/// Where the person goes back to, if the application may send them there.
pub(super) fn destination(view: View<'_>, asked: &Asked) -> Result<String, ApiError> {
    let app = view.model.oauth_apps.get(&asked.client_id).ok_or(ApiError::NotFound)?;
    match &asked.redirect_uri {
        Some(wanted) if *wanted != app.callback => {
            Err(ApiError::unprocessable("The redirect_uri is not associated with this application."))
        }
        _ => Ok(app.callback.clone()),
    }
}

/// A person agrees: a code for the application.
pub(super) fn issue(forge: &Forge, asked: &Asked, login: &str) -> Result<String, ApiError> {
    if asked.code_challenge.is_some() && asked.code_challenge_method.as_deref() != Some("S256") {
        return Err(ApiError::unprocessable("The code_challenge_method must be S256."));
    }
    forge.write(|tx| {
        let redirect_uri = destination(tx.view(), asked)?;
        let user = tx.model.user(login).ok_or(ApiError::NotFound)?.id;
        let now = tx.now;
        tx.model.oauth_codes.retain(|_, code| code.made_at + CODE_LIFE > now);
        let code = Uuid::new_v4().simple().to_string()[..20].to_owned();
        let scopes = asked.scope.as_deref().unwrap_or_default();
        let scopes = scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let challenge = asked.code_challenge.clone();
        let client_id = asked.client_id.clone();
        tx.model
            .oauth_codes
            .insert(code.clone(), Code { user, client_id, redirect_uri, scopes, challenge, made_at: now });
        Ok(code)
    })
}

/// A code becomes a token; the granted scopes come with it.
pub(super) fn redeem(forge: &Forge, offered: &Offered) -> Result<Result<(String, Vec<String>), Mistake>, ApiError> {
    forge.write(|tx| {
        let app = tx.model.oauth_apps.get(&offered.client_id);
        if app.is_none_or(|app| app.secret != offered.client_secret) {
            return Ok(Err(Mistake::Credentials));
        }
        // Whatever comes of it: a code is good once.
        let Some(code) = tx.model.oauth_codes.remove(&offered.code) else { return Ok(Err(Mistake::Code)) };
        if code.client_id != offered.client_id || code.made_at + CODE_LIFE <= tx.now {
            return Ok(Err(Mistake::Code));
        }
        if offered.redirect_uri.as_ref().is_some_and(|wanted| *wanted != code.redirect_uri) {
            return Ok(Err(Mistake::Redirect));
        }
        let shown = offered.code_verifier.as_ref().map(|it| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(it)));
        if shown != code.challenge {
            return Ok(Err(Mistake::Code));
        }
        let value = format!("gho_{}", Uuid::new_v4().simple());
        let scopes = code.scopes.clone();
        let token = Token { user: code.user, revoked: false, grant: None, oauth_scopes: Some(code.scopes) };
        tx.model.tokens.insert(value.clone(), token);
        Ok(Ok((value, scopes)))
    })
}
