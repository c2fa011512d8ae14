//! The agents that do not end in a pull request.

use devkit::harness::{Platform, REPOSITORY};
use domain::{event::SubjectKind, run::Outcome};

#[tokio::test(flavor = "multi_thread")]
async fn a_planner_answers_with_a_comment() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("plan")?;
    platform.label(number, "run:planner")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::AnswerPosted), "{run:?}");
    assert!(platform.forge.pulls(REPOSITORY)?.is_empty());
    let marker = domain::run::answer_marker(run.id);
    let answers = platform.forge.comments(REPOSITORY, number)?;
    assert_eq!(answers.iter().filter(|comment| comment.body.contains(&marker)).count(), 1, "{answers:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_posts_one_review() -> anyhow::Result<()> {
    review_is_posted(super::platform_with(1).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_posts_one_review() -> anyhow::Result<()> {
    review_is_posted(super::platform_as_app(1).await?).await
}

async fn review_is_posted(platform: Platform) -> anyhow::Result<()> {
    platform.forge.commit("writer", REPOSITORY, "main", &[("NOTES.md", Some("Notes.\n"))]).await?;
    let change = [("greeter/extra.py", Some("WORD = 'hello'\n"))];
    platform.forge.commit("writer", REPOSITORY, "topic", &change).await?;
    let pull = platform.forge.open_pull("writer", REPOSITORY, "topic", "Add a word [scenario:review]").await?;
    platform.label(pull.number, "need:reviewer")?;
    let run = platform
        .await_run_about(SubjectKind::PullRequest, pull.number, "finished", |run| run.outcome.is_some())
        .await?;
    assert_eq!(run.outcome, Some(Outcome::ReviewPosted), "{run:?}");
    assert_eq!(platform.forge.reviews(REPOSITORY, pull.number)?.len(), 1);
    platform.finish().await
}
