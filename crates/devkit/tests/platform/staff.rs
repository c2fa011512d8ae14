//! Staff end runs and begin them again, over the staff API, with the engine doing it.

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use devkit::{
    github::{Effect, Fault},
    harness::{Platform, REPOSITORY},
};
use domain::{
    people::{PlatformRole, ProjectRole, Scope},
    run::{Outcome, Step},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{
    api_tokens::{self, NewApiToken},
    members, people, repositories,
};

pub const TOKEN: &str = "ck8s_0123456789012345678901234567890123456789012";

/// Makes `maintainer` somebody who may write in the project, with a token for scripts.
pub async fn staff(platform: &Platform) -> anyhow::Result<()> {
    staff_as(platform, ProjectRole::Write, Scope::Write).await
}

/// Makes `maintainer` a member of the project, with a token for scripts.
pub async fn staff_as(platform: &Platform, role: ProjectRole, scope: Scope) -> anyhow::Result<()> {
    let user = platform.forge.user("maintainer")?;
    let now = Utc::now();
    let mut tx = platform.store().begin().await?;
    let project = repositories::list(&mut tx).await?[0].project;
    let email = "maintainer@people.example".parse()?;
    let person = people::add(&mut tx, &email, PlatformRole::None, now).await?.context("is on the list already")?;
    let account = people::Account { github_id: i64::try_from(user.id)?, login: &user.login, name: None };
    people::signed_in(&mut tx, person, &account, now).await?;
    members::put(&mut tx, project, person, role, now).await?;
    let new = NewApiToken {
        person,
        name: "test",
        hash: &Sha256::digest(TOKEN),
        scopes: &[scope],
        now,
        expires_at: now + TimeDelta::hours(1),
    };
    api_tokens::insert(&mut tx, new).await?;
    tx.commit().await?;
    Ok(())
}

pub async fn post(platform: &Platform, path: &str, body: Value) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(format!("{}{path}", platform.gateway_url)).bearer_auth(TOKEN).json(&body);
    let answer = request.send().await?;
    let (status, text) = (answer.status().as_u16(), answer.text().await?);
    anyhow::ensure!(status == 202, "{status}: {text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_ended_from_the_console() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    post(&platform, &format!("/api/v1/runs/{}/cancel", run.id), json!({"reason": "wrong issue"})).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("wrong issue")), "{run:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_begun_again_from_its_failing_step() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let number = platform.open_issue("good-fix")?;
    platform.forge.fail(Fault::once("POST", "/repos/*/pulls", Effect::Error(422)));
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Failed), "{run:?}");
    let calls = platform.model.requests().len();
    post(&platform, &format!("/api/v1/runs/{}/retry", run.id), json!({"from": "publish"})).await?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let run = platform.await_run(number, "tried again", again).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    assert_eq!(platform.model.requests().len(), calls, "the agent was not asked again");
    assert_eq!(platform.forge.pulls(REPOSITORY)?.len(), 1);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_run_by_hand_on_an_issue() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let number = platform.open_issue("good-fix")?;
    let body = json!({"repository": REPOSITORY, "number": number, "agent": "dev", "instructions": "Be brief."});
    post(&platform, "/api/v1/runs", body).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    assert_eq!((run.requested_by_login.as_str(), run.instructions.as_str()), ("maintainer", "Be brief."));
    assert!(run.subject_title.contains("good-fix"), "the worker noted the title: {run:?}");
    platform.finish().await
}
