//! A label, a pull request.

use anyhow::Context;
use devkit::harness::{Platform, REPOSITORY};
use domain::run::{Outcome, RunState, STATUS_CONTEXT, comment_marker};
use store::steps;

#[tokio::test(flavor = "multi_thread")]
async fn a_label_becomes_a_pull_request_whose_tests_pass() -> anyhow::Result<()> {
    let platform = super::platform_with(3).await?;
    label_becomes_pull_request(&platform, "codex-bot").await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_does_everything_a_token_does() -> anyhow::Result<()> {
    let platform = super::platform_as_app(3).await?;
    let app = platform.app().context("it is an App")?.clone();
    label_becomes_pull_request(&platform, &app.login).await?;
    // The repository's token and the one of its connecting: nothing was minted beside them.
    assert!(platform.forge.installation_tokens(app.installation) <= 2);
    platform.finish().await
}

/// `author` is the platform's own login.
async fn label_becomes_pull_request(platform: &Platform, author: &str) -> anyhow::Result<()> {
    let ours = platform.forge.user(author)?.id;
    platform.label(1, "run:dev")?;
    let run = platform.await_end(1).await?;
    assert_eq!((run.state, run.outcome), (RunState::Finished, Some(Outcome::PullRequestOpen)), "{run:?}");

    let number = u64::try_from(run.pr_number.unwrap_or_default())?;
    let pulls = platform.forge.pulls(REPOSITORY)?;
    assert_eq!(pulls.len(), 1);
    assert_eq!((pulls[0].number, pulls[0].author), (number, ours));
    let branch = run.branch.clone().unwrap_or_default();
    assert!(branch.starts_with("codex/1-names-with-spaces"), "{branch}");
    let head = platform.forge.refs(REPOSITORY).await?[&format!("refs/heads/{branch}")].clone();
    assert_eq!(run.head_sha.as_deref(), Some(head.as_str()));

    let marker = comment_marker(run.id);
    let sticky = platform
        .await_that("the sticky comment tells the end", async || {
            let comments = platform.forge.comments(REPOSITORY, 1)?;
            let ours: Vec<_> = comments.into_iter().filter(|comment| comment.body.contains(&marker)).collect();
            assert!(ours.len() <= 1, "{ours:?}");
            Ok(ours.into_iter().find(|comment| comment.body.contains(&format!("#{number}"))))
        })
        .await?;
    assert_eq!(sticky.author, ours);
    assert_eq!(sticky.id, u64::try_from(run.comment_id.unwrap_or_default())?);
    platform
        .await_that("the only state label is codex:done", async || {
            let labels = platform.forge.labels(REPOSITORY, 1)?;
            let states: Vec<&String> = labels.iter().filter(|label| label.starts_with("codex:")).collect();
            Ok((states == ["codex:done"]).then_some(()))
        })
        .await?;
    platform
        .await_that("the commit status is a success", async || {
            let statuses = platform.forge.statuses(REPOSITORY, &head)?;
            Ok(statuses.last().filter(|s| s.context == STATUS_CONTEXT && s.state == "success").map(drop))
        })
        .await?;

    let steps = steps::list(&mut *platform.store().acquire().await?, run.id).await?;
    assert_eq!(steps.len(), 9, "{steps:?}");
    assert!(steps.iter().all(|step| step.tries == 1 && step.error.is_none()), "{steps:?}");
    platform
        .await_that("its output and its history are in the object store", async || {
            let mut conn = platform.store().acquire().await?;
            let history = store::histories::get(&mut conn, run.id, run.attempt).await?;
            let rows = store::logs::read(&mut conn, run.id, run.attempt, 0, 1).await?;
            Ok((history.is_some() && rows.is_empty()).then_some(()))
        })
        .await?;
    Ok(())
}
