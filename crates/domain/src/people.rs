//! People who use the platform: who they are and what they may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

text_enum! {
    /// What a person may do with the platform itself, beside the roles in projects.
    PlatformRole {
        /// Everything, and the only one who makes owners and admins.
        Owner = "owner",
        /// Everything in every project, and the list of people.
        Admin = "admin",
        /// Nothing but what the projects allow.
        None = "none",
    }
}

impl PlatformRole {
    /// Whether this role includes another.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        // Declared from most to least.
        self <= other
    }
}

text_enum! {
    /// What a person may do in a project, each including those after it.
    ProjectRole {
        /// Members and settings.
        Admin = "admin",
        /// Start, cancel and retry runs.
        Write = "write",
        /// Look.
        Read = "read",
    }
}

impl ProjectRole {
    /// Whether this role includes another.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self <= other
    }
}

text_enum! {
    /// What a token for scripts is cut to, each including those after it. It never does more than its person may.
    Scope {
        /// Everything that its person may do, except making tokens.
        Admin = "admin",
        /// Look, and start, cancel and retry runs.
        Write = "write",
        /// Look.
        Read = "read",
    }
}

impl Scope {
    /// Whether this scope includes another.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self <= other
    }
}

text_enum! {
    /// A language of the console.
    Language {
        /// English.
        English = "en",
        /// Russian.
        Russian = "ru",
    }
}

text_enum! {
    /// How the console looks.
    Theme {
        /// As the person's system.
        System = "system",
        /// Dark on light.
        Light = "light",
        /// Light on dark.
        Dark = "dark",
    }
}

/// Longest e-mail address that mail itself allows.
const MAX_EMAIL: usize = 254;

/// An e-mail address as it is compared: trimmed, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = Email, max_length = 254)]
pub struct Email(String);

/// The text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no e-mail address: write it like name@example.com")]
pub struct InvalidEmail;

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim().to_lowercase();
        let whole = text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@') && text.len() <= MAX_EMAIL
        });
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if whole && plain { Ok(Self(text)) } else { Err(InvalidEmail) }
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_case_and_space() {
        assert_eq!(" Ann@Example.COM ".parse::<Email>().unwrap().as_str(), "ann@example.com");
        for wrong in ["", "ann", "@x", "ann@", "a@b@c", "a b@c", "a\n@c", &format!("{}@x", "a".repeat(MAX_EMAIL))] {
            assert_eq!(wrong.parse::<Email>(), Err(InvalidEmail), "{wrong}");
        }
    }

    #[test]
    fn roles_and_scopes_include_what_comes_after_them() {
        assert!(
            PlatformRole::Owner.includes(PlatformRole::Admin) && !PlatformRole::Admin.includes(PlatformRole::Owner)
        );
        assert!(!PlatformRole::None.includes(PlatformRole::Admin));
        assert!(ProjectRole::Admin.includes(ProjectRole::Read) && !ProjectRole::Read.includes(ProjectRole::Write));
        assert!(Scope::Write.includes(Scope::Read) && !Scope::Write.includes(Scope::Admin));
    }
}
