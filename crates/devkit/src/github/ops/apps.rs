//! Apps, their installations, and tokens that are cut to permissions.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::github::{
    access::RepoName,
    error::ApiError,
    forge::{Forge, Tx},
    state::{AccountKind, App, Grant, Installation, Permissions, Token, User},
};

/// What a token for an installation is to be cut to.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Cut {
    pub(crate) repositories: Option<Vec<String>>,
    pub(crate) repository_ids: Option<Vec<u64>>,
    pub(crate) permissions: Option<Permissions>,
}

/// A token that was minted.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) grant: Grant,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Makes an App and the bot account that it writes as.
pub(crate) fn register(forge: &Forge, slug: &str, owner: &str, public_key: &str) -> Result<App, ApiError> {
    forge.write(|tx| {
        let owner = tx.model.user(owner).ok_or(ApiError::NotFound)?.id;
        let login = format!("{slug}[bot]");
        if tx.model.user(&login).is_some() {
            return Err(ApiError::custom("App", "name", "Name is already in use"));
        }
        let bot = User {
            id: tx.model.fresh_id(),
            email: None,
            login,
            name: None,
            addresses: Vec::new(),
            kind: AccountKind::Bot,
            created_at: tx.now,
        };
        let app = App {
            id: tx.model.fresh_id(),
            slug: slug.to_owned(),
            owner,
            bot: bot.id,
            public_key: public_key.to_owned(),
            created_at: tx.now,
        };
        tx.model.users.insert(bot.id, bot);
        tx.model.apps.insert(app.id, app.clone());
        Ok(app)
    })
}

/// Puts an App on some (or, with none given, all) repositories of an account.
pub(crate) fn install(
    forge: &Forge,
    app: u64,
    account: &str,
    repos: Option<&[&str]>,
    permissions: Permissions,
) -> Result<Installation, ApiError> {
    forge.write(|tx| {
        let account = tx.model.user(account).ok_or(ApiError::NotFound)?.id;
        let repos = repos.map(|names| named(tx, names)).transpose()?;
        let (id, created_at) = (tx.model.fresh_id(), tx.now);
        let installation = Installation { id, app, account, repos, permissions, suspended: false, created_at };
        tx.model.installations.insert(id, installation.clone());
        Ok(installation)
    })
}

/// Makes a fine-grained personal access token.
pub(crate) fn personal_token(
    forge: &Forge,
    login: &str,
    repos: &[&str],
    permissions: Permissions,
    expires_at: Option<DateTime<Utc>>,
) -> Result<String, ApiError> {
    forge.write(|tx| {
        let user = tx.model.user(login).ok_or(ApiError::NotFound)?.id;
        let grant = Grant { permissions, repos: Some(named(tx, repos)?), installation: None, expires_at };
        let token = format!("github_pat_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        tx.model.tokens.insert(token.clone(), Token { user, revoked: false, grant: Some(grant), oauth_scopes: None });
        Ok(token)
    })
}

fn named(tx: &Tx<'_>, names: &[&str]) -> Result<BTreeSet<u64>, ApiError> {
    let one = |name: &&str| {
        let name = RepoName::parse(name)?;
        tx.model.repo(&name.owner, &name.name).map(|repo| repo.id).ok_or(ApiError::NotFound)
    };
    names.iter().map(one).collect()
}

/// Mints a token for an installation of that App.
pub(crate) fn mint(forge: &Forge, app: u64, installation: u64, cut: Cut) -> Result<Minted, ApiError> {
    forge.write(|tx| {
        let known = tx.model.installations.get(&installation).filter(|known| known.app == app);
        let known = known.ok_or(ApiError::NotFound)?.clone();
        if known.suspended {
            return Err(ApiError::Forbidden("This installation has been suspended".into()));
        }
        let repos = chosen(tx, &known, &cut)?;
        let permissions = cut.permissions.unwrap_or_else(|| known.permissions.clone());
        let granted = permissions.iter().all(|(name, level)| known.permissions.get(name) >= Some(level));
        if !granted {
            let message = "The permissions requested are not granted to this installation.";
            return Err(ApiError::unprocessable(message));
        }
        let expires_at = tx.now + TimeDelta::seconds(tx.model.installation_token_life.into());
        let grant = Grant { permissions, repos, installation: Some(installation), expires_at: Some(expires_at) };
        // Much longer than forty characters, as GitHub's are now.
        let token = format!("ghs_{}", [(); 6].map(|()| Uuid::new_v4().simple().to_string()).join("."));
        let user = tx.model.apps.get(&app).ok_or(ApiError::NotFound)?.bot;
        tx.model
            .tokens
            .insert(token.clone(), Token { user, revoked: false, grant: Some(grant.clone()), oauth_scopes: None });
        Ok(Minted { token, grant, expires_at })
    })
}

fn chosen(tx: &Tx<'_>, known: &Installation, cut: &Cut) -> Result<Option<BTreeSet<u64>>, ApiError> {
    let out_of_reach = || {
        ApiError::unprocessable(
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    };
    let ids = match (&cut.repository_ids, &cut.repositories) {
        (Some(ids), _) => ids.clone(),
        (None, Some(names)) => {
            let find = |name: &String| {
                let mut all = tx.model.repos.values();
                all.find(|repo| repo.owner == known.account && repo.name.eq_ignore_ascii_case(name)).map(|repo| repo.id)
            };
            names.iter().map(|name| find(name).ok_or_else(out_of_reach)).collect::<Result<_, _>>()?
        }
        (None, None) => return Ok(known.repos.clone()),
    };
    let reached = |id: &u64| tx.model.repos.get(id).is_some_and(|repo| known.covers(repo));
    if ids.iter().all(reached) { Ok(Some(ids.into_iter().collect())) } else { Err(out_of_reach()) }
}
