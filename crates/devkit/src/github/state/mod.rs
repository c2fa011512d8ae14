//! Everything the stand-in knows besides git objects.

mod account;
mod app;
mod hook;
mod issue;
mod oauth;
mod repository;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use account::Token;
pub use account::{AccountKind, Role, User};
pub(crate) use app::{App, Grant, Installation};
pub use app::{Level, Permissions};
pub use hook::{Delivery, Hook};
pub use issue::{ChangeSize, Comment, Issue, Pull, Review, ReviewComment};
pub use oauth::Address;
pub(crate) use oauth::{Code, OAuthApp};
pub(crate) use repository::Repo;
pub use repository::{CheckRun, Label, Status};

/// First id handed out; ids of GitHub are never small, and a small one would hide a mix-up with issue numbers.
const FIRST_ID: u64 = 1_000_001;

/// The whole model; guarded by one lock, written to one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) last_id: u64,
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) repos: BTreeMap<u64, Repo>,
    /// Lower-case `owner/name` of renamed repositories.
    pub(crate) former_names: BTreeMap<String, u64>,
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    /// Two hooks of one event get one GUID, as GitHub's description has it, or one each.
    pub(crate) distinct_guids: bool,
    #[serde(default)]
    pub(crate) apps: BTreeMap<u64, App>,
    #[serde(default)]
    pub(crate) installations: BTreeMap<u64, Installation>,
    #[serde(default)]
    pub(crate) oauth_apps: BTreeMap<String, OAuthApp>,
    #[serde(default)]
    pub(crate) oauth_codes: BTreeMap<String, Code>,
    /// Seconds that a token of an installation lives.
    #[serde(default = "an_hour")]
    pub(crate) installation_token_life: u32,
}

const fn an_hour() -> u32 {
    3600
}

impl Default for Model {
    fn default() -> Self {
        Self {
            last_id: FIRST_ID,
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
            repos: BTreeMap::new(),
            former_names: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            distinct_guids: false,
            apps: BTreeMap::new(),
            installations: BTreeMap::new(),
            oauth_apps: BTreeMap::new(),
            oauth_codes: BTreeMap::new(),
            installation_token_life: an_hour(),
        }
    }
}

impl Model {
    /// A fresh id, unique over all kinds of things.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The account with that login.
    pub(crate) fn user(&self, login: &str) -> Option<&User> {
        self.users.values().find(|user| user.login.eq_ignore_ascii_case(login))
    }

    /// The repository that has this name now.
    pub(crate) fn repo(&self, owner: &str, name: &str) -> Option<&Repo> {
        let owner = self.user(owner)?.id;
        self.repos.values().find(|repo| repo.owner == owner && repo.name.eq_ignore_ascii_case(name))
    }

    /// The repository that had this name before, unless another has it now.
    pub(crate) fn renamed(&self, owner: &str, name: &str) -> Option<&Repo> {
        if self.repo(owner, name).is_some() {
            return None;
        }
        let key = format!("{owner}/{name}").to_lowercase();
        self.former_names.get(&key).and_then(|id| self.repos.get(id))
    }

    /// `owner/name` of a repository.
    pub(crate) fn full_name(&self, repo: &Repo) -> String {
        let owner = self.users.get(&repo.owner).map_or("ghost", |user| user.login.as_str());
        format!("{owner}/{}", repo.name)
    }

    /// The rights of an account on a repository; none for an outsider of a private one.
    pub(crate) fn role(&self, user: Option<u64>, repo: &Repo) -> Option<Role> {
        let public = (!repo.private).then_some(Role::Read);
        let Some(user) = user else { return public };
        if user == repo.owner {
            return Some(Role::Admin);
        }
        // What an App may do there, its token says: it is cut to permissions, not to a role.
        let app = self.apps.values().find(|app| app.bot == user).map(|app| app.id);
        if app.is_some() && self.installations.values().any(|known| Some(known.app) == app && known.covers(repo)) {
            return Some(Role::Admin);
        }
        repo.collaborators.get(&user).copied().max(public)
    }
}
