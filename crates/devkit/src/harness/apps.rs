//! Apps of the stand-in, with their keys.

use std::sync::OnceLock;

use domain::rights::Right;
use forge::{AppCredential, Credential};

use crate::github::{AppKeys, Level, Permissions, StandIn};

/// An App that is registered and installed.
#[derive(Clone, Debug)]
pub struct RegisteredApp {
    /// Its id.
    pub id: u64,
    /// The installation on the demo's account.
    pub installation: u64,
    /// Its login as a bot.
    pub login: String,
    keys: AppKeys,
}

impl RegisteredApp {
    /// Registers an App and installs it on repositories of `acme`; with none given, on all.
    ///
    /// # Errors
    /// When the stand-in refuses.
    pub fn install(
        forge: &StandIn,
        slug: &str,
        repositories: Option<&[&str]>,
        permissions: Permissions,
    ) -> anyhow::Result<Self> {
        let keys = keys()?;
        let id = forge.register_app(slug, "acme", &keys.public_key)?;
        let installation = forge.install_app(id, "acme", repositories, permissions)?;
        Ok(Self { id, installation, login: format!("{slug}[bot]"), keys })
    }

    /// What connects a repository as this App.
    ///
    /// # Errors
    /// Never, with keys of its own.
    pub fn credential(&self) -> anyhow::Result<Credential> {
        Ok(Credential::App(AppCredential::new(&self.id.to_string(), None, &self.keys.private_key)?))
    }
}

/// What the platform needs, all of it.
#[must_use]
pub fn all_rights() -> Permissions {
    let level = |right: &Right| if right.writes() { Level::Write } else { Level::Read };
    Right::ALL.iter().map(|right| (right.as_str().to_owned(), level(right))).collect()
}

/// Made once a process: it takes a moment.
fn keys() -> anyhow::Result<AppKeys> {
    static KEYS: OnceLock<AppKeys> = OnceLock::new();
    if let Some(keys) = KEYS.get() {
        return Ok(keys.clone());
    }
    let keys = AppKeys::generate()?;
    Ok(KEYS.get_or_init(|| keys).clone())
}
