//! A type of its own for every id, so that one can't be passed for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID, for instance one read from the database.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

uuid_id! {
    /// A person's token for scripts.
    ApiTokenId,
    /// One engine command in the outbox.
    CommandId,
    /// One request to connect a repository.
    ConnectionId,
    /// A sealed credential.
    CredentialId,
    /// One row of the delivery ledger.
    DeliveryId,
    /// A webhook registration as we know it.
    HookId,
    /// A pause of the platform, a project or an agent.
    PauseId,
    /// Somebody who may sign in.
    PersonId,
    /// A project: its settings, slots and people.
    ProjectId,
    /// A connected repository; survives renames.
    RepositoryId,
    /// One run of an agent, over all its attempts.
    RunId,
    /// One sign-in of one browser.
    SessionId,
}

/// The number of an attempt within its run; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The first attempt of every run.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Short name of a project, unique, as people chose it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectSlug(String);

impl ProjectSlug {
    /// Wraps a name, for instance one read from the database.
    #[must_use]
    pub fn new(slug: impl Into<String>) -> Self {
        Self(slug.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of an installation. Workflow ids, schedules and task queues carry it, so that several can share one Temporal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instance(String);

/// The text is no instance name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an instance name: 1 to 40 of a-z, 0-9 and `-` are allowed")]
pub struct InvalidInstance(pub String);

impl Instance {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Temporal task queue that this installation's worker serves.
    #[must_use]
    pub fn task_queue(&self) -> String {
        format!("{}-platform", self.0)
    }
}

impl TryFrom<String> for Instance {
    type Error = InvalidInstance;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text)) } else { Err(InvalidInstance(text)) }
    }
}

impl FromStr for Instance {
    type Err = InvalidInstance;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<Instance> for String {
    fn from(instance: Instance) -> Self {
        instance.0
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of the engine's namespace that an installation works in. It stands in addresses as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineNamespace(String);

/// The text is no name of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the name of a namespace: 1 to 255 letters, digits, `-`, `_` and `.` are allowed, a letter or digit first"
)]
pub struct InvalidEngineNamespace(pub String);

impl EngineNamespace {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for EngineNamespace {
    /// The one that Temporal has by itself.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for EngineNamespace {
    type Err = InvalidEngineNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() <= 255
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidEngineNamespace(text.to_owned())) }
    }
}

impl fmt::Display for EngineNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_namespaces_are_checked() {
        for good in ["default", "codex-k8s.a1b2c", "Team_7", "x".repeat(255).as_str()] {
            assert!(good.parse::<EngineNamespace>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "a%2fb", "ä", "x".repeat(256).as_str()] {
            assert!(bad.parse::<EngineNamespace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn instance_names_are_checked() {
        for good in ["a", "dev-1", "x".repeat(40).as_str()] {
            assert!(good.parse::<Instance>().is_ok(), "{good}");
        }
        for bad in ["", "Dev", "a/b", "a:b", "x".repeat(41).as_str()] {
            assert!(bad.parse::<Instance>().is_err(), "{bad}");
        }
    }
}
