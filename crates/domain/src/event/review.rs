//! Submitted reviews.

use chrono::{DateTime, Utc};

use super::{Missing, PullRequest, json::Object, pull_request::read_pull_request};
use crate::sentences;

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// The change is approved.
    Approved,
    /// Something has to change first.
    ChangesRequested,
    /// Neither of the two.
    Commented,
    /// A state that we have no word for.
    Other,
}

/// Somebody reviewed a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its id on the forge.
    pub id: i64,
    /// What it says.
    pub state: ReviewState,
    /// Its text.
    pub body: String,
    /// When it was submitted.
    pub submitted_at: Option<DateTime<Utc>>,
    /// The pull request.
    pub pull_request: PullRequest,
}

pub(super) fn read(root: &Object<'_>) -> Result<Review, Missing> {
    let review = root.object("review");
    // REST writes the state in capitals, webhooks do not.
    let state = match review.name("state").unwrap_or_default().to_ascii_lowercase().as_str() {
        "approved" => ReviewState::Approved,
        "changes_requested" => ReviewState::ChangesRequested,
        "commented" => ReviewState::Commented,
        _ => ReviewState::Other,
    };
    Ok(Review {
        id: review.id("id").ok_or(Missing(sentences::id_of_review()))?,
        state,
        body: review.text("body").unwrap_or_default(),
        submitted_at: review.time("submitted_at"),
        pull_request: read_pull_request(&root.object("pull_request"))?,
    })
}
