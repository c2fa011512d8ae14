//! What the platform must be allowed to do in a repository, and where on GitHub each right is granted.

use serde::{Deserialize, Serialize};

use crate::{connection::CredentialKind, sentences, text_enum::text_enum};

text_enum! {
    /// A right on a repository, in GitHub's words for permissions.
    Right {
        /// See that the repository is there, and who may do what in it.
        Metadata = "metadata",
        /// Fetch and push.
        Contents = "contents",
        /// Comments and labels on issues.
        Issues = "issues",
        /// Pull requests and reviews.
        PullRequests = "pull_requests",
        /// Commit statuses.
        Statuses = "statuses",
        /// Webhooks.
        Webhooks = "repository_hooks",
    }
}

impl Right {
    /// Whether it must include writing.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Metadata)
    }

    /// As the pages of GitHub call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Metadata => "Metadata",
            Self::Contents => "Contents",
            Self::Issues => "Issues",
            Self::PullRequests => "Pull requests",
            Self::Statuses => "Commit statuses",
            Self::Webhooks => "Webhooks",
        }
    }

    /// As the pages of GitHub call the level.
    #[must_use]
    pub const fn level(self) -> &'static str {
        if self.writes() { "Read and write" } else { "Read-only" }
    }

    /// What it is needed for.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Metadata => sentences::right_metadata(),
            Self::Contents => sentences::right_contents(),
            Self::Issues => sentences::right_issues(),
            Self::PullRequests => sentences::right_pull_requests(),
            Self::Statuses => sentences::right_statuses(),
            Self::Webhooks => sentences::right_webhooks(),
        }
    }

    /// Where on GitHub it is granted.
    #[must_use]
    pub fn where_granted(self, kind: CredentialKind) -> String {
        match kind {
            CredentialKind::Token => sentences::grant_to_token(self.title(), self.level()),
            CredentialKind::App => sentences::grant_to_app(self.title(), self.level()),
        }
    }
}

/// What was found out about one right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightCheck {
    /// The right.
    pub right: Right,
    /// Whether the credential has it.
    pub held: bool,
    /// Where to grant it, or what else stands against it; none if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The titles of the rights that are missing.
#[must_use]
pub fn missing(checks: &[RightCheck]) -> Vec<&'static str> {
    checks.iter().filter(|check| !check.held).map(|check| check.right.title()).collect()
}

/// One sentence about the rights that are missing; none if there are all.
#[must_use]
pub fn missing_sentence(checks: &[RightCheck]) -> Option<String> {
    let missing = missing(checks);
    match missing.as_slice() {
        [] => None,
        [right] => Some(sentences::right_missing(right)),
        rights => Some(sentences::rights_missing(rights.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_one_sentence() {
        let check = |right, held| RightCheck { right, held, remedy: None };
        assert_eq!(missing_sentence(&[check(Right::Metadata, true)]), None);
        let checks = [check(Right::Statuses, false), check(Right::Metadata, true), check(Right::Webhooks, false)];
        let sentence = missing_sentence(&checks).unwrap();
        assert!(sentence.contains("the rights Commit statuses, Webhooks:"), "{sentence}");
    }

    #[test]
    fn every_right_says_where_it_is_granted() {
        for right in Right::ALL {
            for kind in CredentialKind::ALL {
                assert!(right.where_granted(*kind).contains(right.title()));
            }
        }
    }
}
