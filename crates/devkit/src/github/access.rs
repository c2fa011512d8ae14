//! Who is asking, and whether they may.

use axum::extract::{FromRequestParts, RawPathParams};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header, request::Parts};

use super::{
    error::ApiError,
    forge::{Forge, View},
    state::{Repo, Role},
};

/// The person behind a request, or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) Option<u64>);

impl Caller {
    /// The account, where the operation needs one.
    pub(crate) fn required(self) -> Result<u64, ApiError> {
        self.0.ok_or(ApiError::RequiresAuthentication)
    }
}

/// `owner/name` as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepoName {
    pub(crate) owner: String,
    pub(crate) name: String,
}

impl RepoName {
    /// Reads `owner/name`.
    pub(crate) fn parse(full: &str) -> Result<Self, ApiError> {
        let (owner, name) = full.split_once('/').ok_or(ApiError::NotFound)?;
        Ok(Self { owner: owner.into(), name: name.into() })
    }
}

/// A person at a repository: the two things nearly every operation starts from.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) caller: Caller,
    pub(crate) repo: RepoName,
}

/// What an operation asks of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Look.
    Read,
    /// Open an issue or speak: anyone who may look and has an account.
    Speak,
    /// Label, close others' issues.
    Triage,
    /// Push, statuses.
    Push,
    /// Settings; who lacks the right is told that there is nothing.
    Admin,
}

impl Need {
    fn role(self) -> Role {
        match self {
            Self::Read | Self::Speak => Role::Read,
            Self::Triage => Role::Triage,
            Self::Push => Role::Write,
            Self::Admin => Role::Admin,
        }
    }
}

impl<'a> View<'a> {
    /// The repository, if the person may do this there.
    pub(crate) fn repo(self, at: &At, need: Need) -> Result<&'a Repo, ApiError> {
        let repo = self.model.repo(&at.repo.owner, &at.repo.name).ok_or(ApiError::NotFound)?;
        let role = self.model.role(at.caller.0, repo).ok_or(ApiError::NotFound)?;
        if need == Need::Read {
            return Ok(repo);
        }
        at.caller.required()?;
        if role < need.role() {
            return Err(if need == Need::Admin { ApiError::NotFound } else { ApiError::no_right() });
        }
        if repo.archived && need != Need::Admin {
            return Err(ApiError::Forbidden("Repository was archived so is read-only.".into()));
        }
        Ok(repo)
    }
}

/// Reads the token of a request: `Bearer`, `token`, or the password of `Basic`.
pub(crate) fn token_of(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| ApiError::BadCredentials)?;
    let (scheme, rest) = value.split_once(' ').ok_or(ApiError::BadCredentials)?;
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        return Ok(Some(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(ApiError::BadCredentials);
    }
    let decoded = BASE64_STANDARD.decode(rest.trim()).map_err(|_| ApiError::BadCredentials)?;
    let decoded = String::from_utf8(decoded).map_err(|_| ApiError::BadCredentials)?;
    let (user, password) = decoded.split_once(':').ok_or(ApiError::BadCredentials)?;
    // Git clients send a token alone as the user name.
    let token = if password.is_empty() || password == "x-oauth-basic" { user } else { password };
    Ok(Some(token.to_owned()))
}

/// Finds the person behind the headers; a token that nobody has is an error, no token is not.
pub(crate) fn caller_of(forge: &Forge, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let Some(token) = token_of(headers)? else { return Ok(Caller(None)) };
    let now = forge.clock.now();
    forge.read(|view| match view.model.tokens.get(&token) {
        Some(known) if known.works(now) => Ok(Caller(Some(known.user))),
        _ => Err(ApiError::BadCredentials),
    })
}

impl FromRequestParts<Forge> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, forge: &Forge) -> Result<Self, ApiError> {
        caller_of(forge, &parts.headers)
    }
}

impl FromRequestParts<Forge> for At {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, forge: &Forge) -> Result<Self, ApiError> {
        let caller = caller_of(forge, &parts.headers)?;
        let params = RawPathParams::from_request_parts(parts, forge).await.map_err(|_| ApiError::NotFound)?;
        let find = |wanted: &str| {
            params.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.to_owned()).ok_or(ApiError::NotFound)
        };
        Ok(Self { caller, repo: RepoName { owner: find("owner")?, name: find("repo")? } })
    }
}
