//! A review that requests changes, and a failing check, lead to one more commit on the same branch each.

use devkit::{
    github::{CheckRun, LineNote},
    harness::{Platform, REPOSITORY},
};
use domain::{
    event::SubjectKind,
    run::{Outcome, comment_marker, reply_marker},
};
use store::runs::Run;

/// A pull request of ours, by the run that opened it.
async fn opened(platform: &Platform) -> anyhow::Result<Run> {
    platform.label(1, "run:dev")?;
    let run = platform.await_end(1).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    Ok(run)
}

async fn revised(platform: &Platform, number: u64, what: &str, before: &Run) -> anyhow::Result<Run> {
    let later = |run: &Run| run.id != before.id && run.outcome.is_some();
    platform.await_run_about(SubjectKind::PullRequest, number, what, later).await
}

async fn head(platform: &Platform, branch: &str) -> anyhow::Result<String> {
    Ok(platform.forge.refs(REPOSITORY).await?[&format!("refs/heads/{branch}")].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_and_failing_checks_lead_to_one_more_commit_each_on_the_same_branch() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let first = opened(&platform).await?;
    let (branch, number) = (first.branch.clone().unwrap_or_default(), u64::try_from(first.pr_number.unwrap_or(0))?);

    let note = LineNote {
        path: "greeter/greeting.py".into(),
        line: first_changed_line(&platform, number).await?,
        body: "Why?".into(),
    };
    let words = ("REQUEST_CHANGES", "Please write it down. [scenario:revise]");
    let review = platform.forge.review("maintainer", (REPOSITORY, number), words, vec![note]).await?;
    let second = revised(&platform, number, "revised after the review", &first).await?;
    assert_eq!(second.outcome, Some(Outcome::PullRequestOpen), "{second:?}");
    assert_eq!(second.business_key, format!("review:{}:{}", platform.forge.repo_id(REPOSITORY)?, review.id));
    assert_eq!((second.branch.as_deref(), second.base_sha.as_deref()), (Some(&*branch), first.head_sha.as_deref()));
    let after_review = head(&platform, &branch).await?;
    assert_eq!(second.head_sha.as_deref(), Some(&*after_review));
    assert!(platform.forge.file(REPOSITORY, &after_review, "NOTES.md").await?.is_some());

    // The agent goes on in the thread in which it made the change.
    let requests = platform.model.requests();
    let of = |scenario: &str| requests.iter().find(|request| request.scenario.as_deref() == Some(scenario));
    let (made, went_on) =
        (of("good-fix").map(|request| request.messages), of("revise").map(|request| request.messages));
    assert!(made.is_some() && went_on > made, "{made:?} {went_on:?}");

    // The review's thread has its answer, the pull request is the same one and says what was done since.
    let comments = platform.forge.review_comments(REPOSITORY, number)?;
    let asked = comments.iter().find(|comment| comment.review == review.id).map(|comment| comment.id);
    let marker = reply_marker(second.id, i64::try_from(asked.unwrap_or(0))?);
    let replies: Vec<_> = comments.iter().filter(|comment| comment.body.contains(&marker)).collect();
    assert_eq!(replies.len(), 1, "{comments:?}");
    assert_eq!(replies[0].in_reply_to, asked);
    assert!(replies[0].body.contains("It is explained in `NOTES.md`."), "{replies:?}");
    assert_eq!(platform.forge.pulls(REPOSITORY)?.len(), 1);
    let body = platform.forge.issue(REPOSITORY, number)?.body.unwrap_or_default();
    assert!(body.contains("Closes #1.") && body.contains("What was done after the review"), "{body}");
    assert!(!body.contains("Answered "), "{body}");

    platform.forge.end_check_run(REPOSITORY, failed_job(&after_review))?;
    let told = "unit tests fail [scenario:revise]";
    platform.forge.set_status("maintainer", (REPOSITORY, &after_review), ("ci/unit", "failure"), told).await?;
    let third = revised(&platform, number, "revised after the check", &second).await?;
    assert_eq!(third.outcome, Some(Outcome::PullRequestOpen), "{third:?}");
    assert_eq!(third.requested_by_login, "maintainer");
    assert_eq!(third.cause_chain, [first.id, second.id]);
    assert_eq!((second.machine_depth, third.machine_depth), (0, 1));
    assert_ne!(head(&platform, &branch).await?, after_review);
    let mut conn = platform.store().acquire().await?;
    let prompt = store::attempts::get(&mut conn, third.id, third.attempt).await?.prompt.unwrap_or_default();
    drop(conn);
    for part in [
        "\nci/unit · unit tests fail",
        "\nunit · 1 of 4 tests fails · http",
        "begins: report of check unit\nIt is about names with spaces.\n",
        "\ntests/test_greeting.py:7 failure: expected Ann\n",
        "begins: end of the log of check unit\nFAILED test_spaces\n##[error]Process completed with exit code 1.\n",
    ] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    assert!(!prompt.contains("Post job cleanup"), "{prompt}");

    // Another failing check of the same commit is old news, and our own status is no check.
    platform.forge.set_status("maintainer", (REPOSITORY, &after_review), ("ci/lint", "failure"), "style").await?;
    let marker = comment_marker(third.id);
    platform
        .await_that("one comment for each run on the pull request", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            Ok(comments.iter().any(|comment| comment.body.contains(&marker)).then_some(()))
        })
        .await?;
    assert_eq!(platform.run_about(SubjectKind::PullRequest, number).await?.map(|run| run.id), Some(third.id));
    platform.finish().await
}

/// A job of a workflow that failed.
fn failed_job(sha: &str) -> CheckRun {
    let log = "2026-11-23T12:00:00.1234567Z FAILED test_spaces\n\
               2026-11-23T12:00:00.1234568Z ##[error]Process completed with exit code 1.\n\
               2026-11-23T12:00:01.0000000Z Post job cleanup.\n";
    CheckRun {
        sha: sha.to_owned(),
        name: "unit".to_owned(),
        conclusion: "failure".to_owned(),
        title: Some("1 of 4 tests fails".to_owned()),
        summary: Some("It is about names with spaces.".to_owned()),
        annotations: vec![("tests/test_greeting.py".to_owned(), 7, "expected Ann".to_owned())],
        log: Some(log.to_owned()),
        ..CheckRun::default()
    }
}

async fn first_changed_line(platform: &Platform, number: u64) -> anyhow::Result<u64> {
    let issue = platform.forge.issue(REPOSITORY, number)?;
    let branch = issue.pull.map(|pull| pull.head_ref).unwrap_or_default();
    let head = head(platform, &branch).await?;
    let text = platform.forge.file(REPOSITORY, &head, "greeter/greeting.py").await?.unwrap_or_default();
    let place = text.lines().position(|line| line.contains("strip"));
    Ok(u64::try_from(place.unwrap_or(0))? + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_revised_only_so_often() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let settings = "version: 1\nlimits: {revisions_per_pull_request: 1}\n";
    platform.forge.commit("maintainer", REPOSITORY, "main", &[("services.yaml", Some(settings))]).await?;
    platform
        .await_that("the settings are read", async || {
            let mut conn = platform.store().acquire().await?;
            let repository = store::repositories::get(&mut conn, platform.repository.id).await?;
            Ok(repository.config.filter(|config| config["limits"]["revisions_per_pull_request"] == 1).map(drop))
        })
        .await?;
    let first = opened(&platform).await?;
    let number = u64::try_from(first.pr_number.unwrap_or(0))?;
    let review = async || {
        let words = ("REQUEST_CHANGES", "Please write it down. [scenario:revise]");
        platform.forge.review("maintainer", (REPOSITORY, number), words, Vec::new()).await
    };
    review().await?;
    let second = revised(&platform, number, "revised once", &first).await?;
    assert_eq!(second.outcome, Some(Outcome::PullRequestOpen), "{second:?}");
    review().await?;
    let storm = platform
        .await_that("the second review is held back, and that is remembered", async || {
            let mut conn = platform.store().acquire().await?;
            Ok(store::storms::since(&mut conn, first.created_at).await?.into_iter().next())
        })
        .await?;
    assert_eq!((storm.subject.number, storm.held_back), (i64::try_from(number)?, 1));
    assert!(storm.reason.contains("`limits.revisions_per_pull_request`"), "{storm:?}");
    assert_eq!(platform.run_about(SubjectKind::PullRequest, number).await?.map(|run| run.id), Some(second.id));
    platform.finish().await
}
