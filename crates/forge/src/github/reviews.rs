//! Reviews, and comments on lines.

use http::Method;
use serde_json::json;

use super::{
    GitHub,
    transport::Call,
    wire::{WireReview, WireReviewComment},
};
use crate::{
    ForgeError, RepoRef,
    ids::{CommentId, CommitSha, PullNumber, ReviewId},
    model::{Review, ReviewComment},
};

/// Most comments on lines that are read.
const MAX_LINE_COMMENTS: usize = 1_000;

impl GitHub {
    pub(super) async fn post_review(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        commit: &CommitSha,
        body: &str,
    ) -> Result<Review, ForgeError> {
        let route = self.repo_route(repo, &["pulls", &number.to_string(), "reviews"])?;
        // A machine neither approves nor refuses.
        let body = json!({ "commit_id": commit.as_str(), "body": body, "event": "COMMENT" });
        Ok(self.call(repo, Call::new(Method::POST, route).body(body)).await?.json::<WireReview>()?.into())
    }

    pub(super) async fn search_reviews(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        marker: &str,
    ) -> Result<Option<Review>, ForgeError> {
        let me = self.account().await?.id;
        let ours = |review: &Review| {
            review.author.as_ref().map(|author| author.id) == Some(me) && review.body.contains(marker)
        };
        let route = self.repo_route(repo, &["pulls", &number.to_string(), "reviews"])?;
        self.find(repo, route, |wire: WireReview| Some(Review::from(wire)).filter(|review| ours(review))).await
    }

    pub(super) async fn read_review(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        id: ReviewId,
    ) -> Result<Review, ForgeError> {
        let route = self.repo_route(repo, &["pulls", &number.to_string(), "reviews", &id.to_string()])?;
        Ok(self.call(repo, Call::get(route)).await?.json::<WireReview>()?.into())
    }

    pub(super) async fn list_line_comments(
        &self,
        repo: &RepoRef,
        number: PullNumber,
    ) -> Result<Vec<ReviewComment>, ForgeError> {
        let route = self.repo_route(repo, &["pulls", &number.to_string(), "comments"])?;
        let wire: Vec<WireReviewComment> = self.list(repo, route, MAX_LINE_COMMENTS).await?;
        Ok(wire.into_iter().map(ReviewComment::from).collect())
    }

    pub(super) async fn post_reply(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        comment: CommentId,
        body: &str,
    ) -> Result<ReviewComment, ForgeError> {
        let (number, comment) = (number.to_string(), comment.to_string());
        let route = self.repo_route(repo, &["pulls", &number, "comments", &comment, "replies"])?;
        let call = Call::new(Method::POST, route).body(json!({ "body": body }));
        Ok(self.call(repo, call).await?.json::<WireReviewComment>()?.into())
    }
}
