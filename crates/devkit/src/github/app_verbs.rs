//! What tests do about Apps and cut tokens, in process.

use chrono::{DateTime, Utc};

use super::{
    ApiError, StandIn,
    ops::apps,
    state::{Level, Permissions},
};

/// The permissions of these names and levels.
#[must_use]
pub fn permissions(list: &[(&str, Level)]) -> Permissions {
    list.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect()
}

impl StandIn {
    /// Registers an App with the public half of its key, in PEM; gives its id. It writes as `<slug>[bot]`.
    pub fn register_app(&self, slug: &str, owner: &str, public_key: &str) -> Result<u64, ApiError> {
        apps::register(&self.forge, slug, owner, public_key).map(|app| app.id)
    }

    /// Installs an App on some (with none given: all) repositories of an account; gives the installation's id.
    pub fn install_app(
        &self,
        app: u64,
        account: &str,
        repositories: Option<&[&str]>,
        permissions: Permissions,
    ) -> Result<u64, ApiError> {
        apps::install(&self.forge, app, account, repositories, permissions).map(|installation| installation.id)
    }

    /// Makes a fine-grained personal access token for some repositories.
    pub fn fine_grained_token(
        &self,
        login: &str,
        repositories: &[&str],
        permissions: Permissions,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<String, ApiError> {
        apps::personal_token(&self.forge, login, repositories, permissions, expires_at)
    }

    /// The tokens that were minted for an installation and still work.
    #[must_use]
    pub fn installation_tokens(&self, installation: u64) -> usize {
        let now = self.forge.clock.now();
        self.forge.read(|view| {
            let all = view.model.tokens.values().filter(|token| token.works(now));
            all.filter(|token| token.grant.as_ref().is_some_and(|grant| grant.installation == Some(installation)))
                .count()
        })
    }
}
