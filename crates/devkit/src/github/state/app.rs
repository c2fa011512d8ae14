//! GitHub Apps, where they are installed, and what credentials may do.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Repo;

/// How far a permission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Look.
    Read,
    /// Also change.
    Write,
}

impl Level {
    /// The word of GitHub.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Permissions by GitHub's names for them.
pub type Permissions = BTreeMap<String, Level>;

/// A GitHub App.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) owner: u64,
    /// The account that it writes as.
    pub(crate) bot: u64,
    /// Checks its signatures.
    pub(crate) public_key: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// An App on the repositories of one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) account: u64,
    /// The chosen ones; none: all of the account.
    pub(crate) repos: Option<BTreeSet<u64>>,
    pub(crate) permissions: Permissions,
    pub(crate) suspended: bool,
    pub(crate) created_at: DateTime<Utc>,
}

impl Installation {
    /// Does it reach that repository?
    pub(crate) fn covers(&self, repo: &Repo) -> bool {
        repo.owner == self.account && self.repos.as_ref().is_none_or(|chosen| chosen.contains(&repo.id))
    }
}

/// What a token is cut to; a token without one may do whatever its account may.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) permissions: Permissions,
    /// The chosen repositories; none: all that the account reaches.
    pub(crate) repos: Option<BTreeSet<u64>>,
    /// The installation that it was minted for; none for a personal token.
    pub(crate) installation: Option<u64>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// May it be used on that repository at all?
    pub(crate) fn covers(&self, repo: u64) -> bool {
        self.repos.as_ref().is_none_or(|chosen| chosen.contains(&repo))
    }

    /// Is one of these in it?
    pub(crate) fn allows(&self, any_of: &[(&str, Level)]) -> bool {
        any_of.iter().any(|(name, level)| self.permissions.get(*name).is_some_and(|granted| granted >= level))
    }
}
