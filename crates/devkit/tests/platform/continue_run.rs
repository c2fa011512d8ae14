//! A run that was lost goes on from the work that was kept: with the agent's files and its memory, and without paying for
//! anything twice.

use devkit::harness::{Hosting, Platform, REPOSITORY, Victim};
use domain::{
    ids::Attempt,
    run::{Outcome, RunState, Step, comment_marker},
};
use store::{attempts, audit, checkpoints, runs::Run};

/// The first attempt of a run, killed when its first half is kept.
async fn killed_half_way(platform: &Platform) -> anyhow::Result<(u64, Run)> {
    // The scenario mends nothing, and the demo's own check wants something mended.
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some("version: 1\n"))]).await?;
    let number = platform.open_issue("two-halves")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("the first half is kept", async || {
            Ok(checkpoints::newest(&mut *platform.store().acquire().await?, run.id).await?)
        })
        .await?;
    platform.kill_job(run.id, run.attempt).await?;
    let lost = platform.await_end(number).await?;
    assert_eq!(lost.outcome, Some(Outcome::Lost), "{lost:?}");
    Ok((number, lost))
}

/// Steps of the model's calls so far, as it counts them.
fn asked(platform: &Platform) -> Vec<usize> {
    platform.model.requests().iter().map(|asked| asked.step).collect()
}

async fn text_at(platform: &Platform, run: &Run, path: &str) -> anyhow::Result<String> {
    let branch = run.branch.clone().unwrap_or_default();
    let text = platform.forge.file(REPOSITORY, &branch, path).await?;
    Ok(text.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_run_goes_on_to_a_pull_request_with_both_halves() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let (number, lost) = killed_half_way(&platform).await?;
    let marker = comment_marker(lost.id);
    let sticky = async |words: &str| {
        platform
            .await_that(words, async || {
                let comments = platform.forge.comments(REPOSITORY, number)?;
                let ours = comments.into_iter().find(|comment| comment.body.contains(&marker));
                Ok(ours.filter(|comment| comment.body.contains(words)).map(drop))
            })
            .await
    };
    sticky("`/retry continue` to let the agent go on from its work of ").await?;
    assert_eq!(asked(&platform), [0]);

    platform.forge.comment("maintainer", REPOSITORY, number, "/retry continue")?;
    let again = |run: &Run| run.attempt.0 == 2 && run.outcome.is_some();
    let run = platform.await_run(number, "gone on", again).await?;
    assert_eq!((run.id, run.outcome), (lost.id, Some(Outcome::PullRequestOpen)), "{run:?}");
    assert_eq!(run.base_sha, lost.base_sha);
    assert_eq!(asked(&platform), [0, 1, 2], "no call is made twice");
    assert!(platform.model.requests()[1].words.starts_with("You were interrupted"));
    assert_eq!(text_at(&platform, &run, "FIRST.md").await?, "The first half.\n");
    assert_eq!(text_at(&platform, &run, "SECOND.md").await?, "The first half.\nThe second half.\n");
    sticky("(attempt 1).").await?;

    let mut conn = platform.store().acquire().await?;
    let events = audit::list_for_run(&mut conn, run.id).await?;
    assert!(events.iter().any(|event| event.kind == "agent_resumed" && event.detail["from"] == "thread"), "{events:?}");
    let second = attempts::get(&mut conn, run.id, Attempt(2)).await?;
    assert_eq!(second.continues, Some(Attempt(1)));
    drop(conn);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_without_kept_work_lets_the_agent_begin_anew() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("unauthorised")?;
    platform.label(number, "run:dev")?;
    let first = platform.await_end(number).await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/retry continue")?;
    let again = |run: &Run| run.attempt.0 == 2 && run.outcome.is_some();
    let run = platform.await_run(number, "begun anew", again).await?;
    assert_eq!((run.outcome, run.base_sha), (Some(Outcome::Failed), first.base_sha));
    let marker = comment_marker(run.id);
    platform
        .await_that("the comment says so", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let words = "There was no kept work to go on from, so the agent began anew.";
            let told = |body: &str| body.contains(&marker) && body.contains(words);
            Ok(comments.iter().any(|comment| told(&comment.body)).then_some(()))
        })
        .await?;
    platform.finish().await
}

/// Gateway and worker die while an attempt goes on; there is one end all the same.
#[tokio::test(flavor = "multi_thread")]
async fn going_on_survives_the_death_of_gateway_and_worker() -> anyhow::Result<()> {
    let mut platform = super::start(1, Hosting::Processes).await?;
    let (number, lost) = killed_half_way(&platform).await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/retry continue")?;
    platform.await_run(number, "at work again", |run| run.attempt.0 == 2 && run.step == Some(Step::Agent)).await?;
    platform.kill(Victim::Gateway).await?;
    platform.kill(Victim::Worker).await?;
    let run = platform.await_run(number, "gone on", |run| run.attempt.0 == 2 && run.outcome.is_some()).await?;
    assert_eq!((run.id, run.state, run.outcome), (lost.id, RunState::Finished, Some(Outcome::PullRequestOpen)));
    assert_eq!(platform.forge.pulls(REPOSITORY)?.len(), 1);
    assert_eq!(asked(&platform), [0, 1, 2], "no call is made twice");
    assert_eq!(text_at(&platform, &run, "SECOND.md").await?, "The first half.\nThe second half.\n");
    platform.finish().await
}
