//! A type of its own for every number and name that the forge gives out.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        ///
        /// Signed, as in the database; forges give out positive numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// The number itself.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

number_id! {
    /// A person or bot; survives a change of login.
    AccountId,
    /// A check run; the job of a workflow that it is has the same kind of number.
    CheckRunId,
    /// A comment on an issue or pull request.
    CommentId,
    /// One attempt to deliver an event to a hook.
    DeliveryNumber,
    /// A webhook registration.
    HookNumber,
    /// A repository as the forge numbers it; survives renames and transfers.
    ForgeRepoId,
    /// An issue over the whole forge; not the number people see.
    IssueId,
    /// The number of an issue in its repository, as people see it. Pull requests count as issues.
    IssueNumber,
    /// The number of a pull request in its repository.
    PullNumber,
    /// A review of a pull request.
    ReviewId,
}

impl PullNumber {
    /// The same number where the forge asks for an issue: comments and labels.
    #[must_use]
    pub const fn as_issue(self) -> IssueNumber {
        IssueNumber(self.0)
    }
}

/// A full object id: 40 (or, with SHA-256, 64) lower-case hexadecimal digits. Checked, so that it can never be read as an option of git.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitSha(String);

/// A branch name without `refs/heads/`, checked against git's own rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

/// The text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}")]
pub struct InvalidName {
    /// What was asked for.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
}

impl CommitSha {
    fn fits(text: &str) -> bool {
        matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl BranchName {
    /// The rules of `git check-ref-format --branch`.
    fn fits(text: &str) -> bool {
        let parts_fit = text.split('/').all(|part| {
            let lower = part.to_ascii_lowercase();
            !part.is_empty() && !part.starts_with('.') && !lower.ends_with(".lock")
        });
        let characters_fit = text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c));
        let whole_fits = !text.starts_with('-') && !text.ends_with('.') && text != "@" && text != "HEAD";
        parts_fit && characters_fit && whole_fits && !text.contains("..") && !text.contains("@{") && text.len() <= 240
    }

    /// The full name of the reference.
    #[must_use]
    pub fn full_ref(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

macro_rules! checked_text {
    ($($name:ident: $kind:literal),+) => {$(
        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                if Self::fits(&text) { Ok(Self(text)) } else { Err(InvalidName { kind: $kind, text }) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

checked_text!(CommitSha: "commit id", BranchName: "branch name");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_ids_are_full_and_hexadecimal() {
        assert!("0123456789abcdef0123456789abcdef01234567".parse::<CommitSha>().is_ok());
        for bad in ["", "HEAD", "0123456", "--upload-pack=evil", "0123456789ABCDEF0123456789abcdef01234567"] {
            assert!(bad.parse::<CommitSha>().is_err(), "{bad}");
        }
    }

    #[test]
    fn branch_names_follow_git() {
        for good in ["main", "codex/12-fix-the-sum", "a.b", "ünï"] {
            assert!(good.parse::<BranchName>().is_ok(), "{good}");
        }
        for bad in [
            "", "-f", "a..b", "a b", "a/.b", "x.lock", "a//b", "/a", "a/", "a~1", "a:b", "HEAD", "a@{1}", "a\u{7}",
            "end.",
        ] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad}");
        }
    }
}
