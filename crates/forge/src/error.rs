//! How a forge can fail us, sorted by what the caller can do about it.

use chrono::{DateTime, Utc};
use domain::sentences;

/// A failed request to the forge. No variant ever carries the credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// The credential is wrong, expired or revoked.
    #[error("{}", sentences::forge_unauthorised())]
    Unauthorised,
    /// A GitHub App that can't be used as it is.
    #[error("{message}")]
    AppUnusable {
        /// What is wrong and what helps.
        message: String,
    },
    /// The credential is good, but lacks a right.
    #[error("{}", sentences::forge_forbidden(message))]
    Forbidden {
        /// The forge's own words.
        message: String,
    },
    /// There is no such thing, or the credential may not know of it.
    #[error("{}", sentences::forge_not_found())]
    NotFound,
    /// It existed and was deleted, or the feature is switched off.
    #[error("{}", sentences::forge_gone(message))]
    Gone {
        /// The forge's own words.
        message: String,
    },
    /// The repository is archived, hence read-only.
    #[error("{}", sentences::forge_archived())]
    Archived,
    /// The forge understood the request and finds it wrong.
    #[error("{}", sentences::forge_invalid(message, fields.join(", ")))]
    Validation {
        /// The forge's own words.
        message: String,
        /// `resource.field: code` for each complaint.
        fields: Vec<String>,
    },
    /// Too many requests. Going on before `retry_at` can get the credential banned.
    #[error("{}", sentences::forge_limited(retry_at))]
    RateLimited {
        /// When the next request may be made.
        retry_at: DateTime<Utc>,
        /// True for the limit on bursts and writes, false for the hourly one.
        secondary: bool,
    },
    /// It clashes with the present state: a merge conflict, a moved head.
    #[error("{}", sentences::forge_conflict(message))]
    Conflict {
        /// The forge's own words.
        message: String,
    },
    /// The forge is out of order or out of reach. A write may have been stored all the same: look before repeating it.
    #[error("{}", sentences::forge_away(outage))]
    Unavailable {
        /// What was seen.
        outage: Outage,
        /// When the forge says it will be back, if it does.
        retry_at: Option<DateTime<Utc>>,
    },
    /// An answer that fits nothing known, or a request we could not build.
    #[error("{}", sentences::forge_unexpected(detail))]
    Unexpected {
        /// What was seen.
        detail: String,
    },
}

/// What an unavailable forge looked like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// It answered, with a server error.
    #[error("{}", sentences::outage_status(.0))]
    Status(u16),
    /// It did not answer in time.
    #[error("{}", sentences::outage_timed_out())]
    TimedOut,
    /// The connection failed or was cut.
    #[error("{0}")]
    Transport(String),
}

impl ForgeError {
    /// Whether the same request can succeed later without anyone changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. })
    }

    /// The earliest moment at which trying again makes sense, if the forge named one.
    #[must_use]
    pub const fn retry_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::RateLimited { retry_at, .. } => Some(*retry_at),
            Self::Unavailable { retry_at, .. } => *retry_at,
            _ => None,
        }
    }

    /// Whether a write that ended so may have been stored after all.
    #[must_use]
    pub const fn may_have_been_stored(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unexpected { .. })
    }

    /// A stable name of the class, for typed failures of activities and for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorised => "forge_unauthorised",
            Self::AppUnusable { .. } => "forge_app_unusable",
            Self::Forbidden { .. } => "forge_forbidden",
            Self::NotFound => "forge_not_found",
            Self::Gone { .. } => "forge_gone",
            Self::Archived => "forge_archived",
            Self::Validation { .. } => "forge_validation",
            Self::RateLimited { .. } => "forge_rate_limited",
            Self::Conflict { .. } => "forge_conflict",
            Self::Unavailable { .. } => "forge_unavailable",
            Self::Unexpected { .. } => "forge_unexpected",
        }
    }
}
