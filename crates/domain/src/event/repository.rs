//! The repository of an event, and events of the repository itself.

use super::json::Object;

/// A repository as a webhook shows it. What the event leaves out is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The forge's numeric id; survives renames.
    pub forge_id: i64,
    /// Login of the owner.
    pub owner: String,
    /// Name without the owner.
    pub name: String,
    /// Its default branch.
    pub default_branch: Option<String>,
    /// Whether only invited people see it.
    pub private: Option<bool>,
    /// Whether it is archived.
    pub archived: Option<bool>,
}

impl Repository {
    pub(super) fn read(object: &Object<'_>) -> Option<Self> {
        let full_name = object.name("full_name").unwrap_or_default();
        let (full_owner, full_repo) = full_name.split_once('/').unwrap_or(("", &full_name));
        let owner = object.object("owner");
        Some(Self {
            forge_id: object.id("id")?,
            owner: owner.name("login").or_else(|| owner.name("name")).unwrap_or_else(|| full_owner.to_owned()),
            name: object.name("name").unwrap_or_else(|| full_repo.to_owned()),
            default_branch: object.name("default_branch"),
            private: object.flag("private"),
            archived: object.flag("archived"),
        })
    }

    /// `owner/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// What happened to the repository itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryAction {
    /// It has a new name.
    Renamed,
    /// It has a new owner.
    Transferred,
    /// It can't be written to any more.
    Archived,
    /// It can be written to again.
    Unarchived,
    /// It became private.
    Privatized,
    /// It became public.
    Publicized,
    /// Its description, default branch or the like changed.
    Edited,
    /// It is gone.
    Deleted,
    /// Anything else, in the forge's word.
    Other(String),
}

impl RepositoryAction {
    pub(super) fn read(action: &str) -> Self {
        match action {
            "renamed" => Self::Renamed,
            "transferred" => Self::Transferred,
            "archived" => Self::Archived,
            "unarchived" => Self::Unarchived,
            "privatized" => Self::Privatized,
            "publicized" => Self::Publicized,
            "edited" => Self::Edited,
            "deleted" => Self::Deleted,
            other => Self::Other(other.to_owned()),
        }
    }
}
