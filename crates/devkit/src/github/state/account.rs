//! People, organisations and what they may do.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Address, Grant};

/// What kind of account a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person.
    User,
    /// An organisation: owns repositories, has no token.
    Organization,
    /// A machine account.
    Bot,
}

impl AccountKind {
    /// The word GitHub uses in `type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Organization => "Organization",
            Self::Bot => "Bot",
        }
    }
}

/// An account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Numeric id, stable over renames.
    pub id: u64,
    /// Login name.
    pub login: String,
    /// Display name.
    pub name: Option<String>,
    /// Address used in commits.
    pub email: Option<String>,
    /// All addresses, as the person themselves sees them.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Person, organisation or machine.
    pub kind: AccountKind,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Rights on one repository, each including those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look, open issues, comment.
    Read,
    /// Also label and close.
    Triage,
    /// Also push.
    Write,
    /// Also change some settings.
    Maintain,
    /// Everything.
    Admin,
}

impl Role {
    /// The finer word (`role_name`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The coarser word (`permission`), which knows neither triage nor maintain.
    #[must_use]
    pub fn permission(self) -> &'static str {
        match self {
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

impl Token {
    /// Does it still work?
    pub(crate) fn works(&self, now: DateTime<Utc>) -> bool {
        let expires_at = self.grant.as_ref().and_then(|grant| grant.expires_at);
        !self.revoked && expires_at.is_none_or(|at| at > now)
    }
}

/// A credential of a person or a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) user: u64,
    pub(crate) revoked: bool,
    /// What it is cut to; none: it may do whatever its account may.
    #[serde(default)]
    pub(crate) grant: Option<Grant>,
    /// What its person agreed to, if an application got it at a sign-in.
    #[serde(default)]
    pub(crate) oauth_scopes: Option<Vec<String>>,
}
