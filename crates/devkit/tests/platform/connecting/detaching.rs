//! Detaching a repository: nothing starts there any more, what is at work goes on or ends, and it can be attached again.

use anyhow::Context;
use devkit::{
    github::Knob,
    harness::{Options, Platform, REPOSITORY, Tamper, all_rights},
};
use domain::{
    connection::ConnectionState,
    ids::{ConnectionId, RepositoryId},
    run::{Outcome, Step},
    triggers::VerdictKind,
};
use gateway::connecting::{ConnectError, Detaching};
use serde_json::json;
use store::{
    connections::Connection, credentials, deliveries, hooks, project_schedules, repositories, testing::audited,
};

use super::{asking, connect, end_of, kept, new_repository, token_of, working_hook};

fn wish(cancel_runs: bool) -> Detaching {
    let by = cancel_runs.then(|| ("maintainer".to_owned(), 1));
    Detaching { by, reason: Some("It moves elsewhere.".to_owned()), cancel_runs }
}

async fn ask(
    platform: &Platform,
    repository: RepositoryId,
    wish: &Detaching,
) -> anyhow::Result<Result<ConnectionId, ConnectError>> {
    let mut tx = platform.store().begin().await?;
    let asked = asking(platform, &mut rand::rng()).detach(&mut tx, repository, wish).await;
    kept(tx, asked).await
}

async fn detach(platform: &Platform, repository: RepositoryId) -> anyhow::Result<Connection> {
    end_of(platform, ask(platform, repository, &wish(false)).await??).await
}

/// Nothing of the repository's connection is left.
async fn is_gone(platform: &Platform, ended: &Connection) -> anyhow::Result<()> {
    let mut tx = platform.store().begin().await?;
    let row = repositories::get(&mut tx, ended.repository.context("which?")?).await?;
    assert!(row.detached_at.is_some() && row.credential.is_none(), "{row:?}");
    let credential = credentials::get(&mut tx, ended.credential.context("which?")?).await?;
    assert!(credential.is_some_and(|old| old.revoked_at.is_some() && old.sealed.is_empty()), "it is withdrawn");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_detached_and_attached_again() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let first = connect(&platform, &full_name, &token).await?;
    let repository = first.repository.context("not connected")?;
    let own = platform.forge.create_hook(&full_name, "http://127.0.0.1:9/somebody-elses", "s", &["push"])?;

    let ended = detach(&platform, repository).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    assert_eq!(ended.message.as_deref(), Some("acme/second is detached."));
    is_gone(&platform, &ended).await?;
    let left: Vec<u64> = platform.forge.hooks(&full_name)?.into_iter().map(|hook| hook.id).collect();
    assert_eq!(left, [own.id], "only ours is taken away");
    assert!(hooks::of_repository(&mut *platform.store().begin().await?, repository).await?.is_empty());
    let told = audited(platform.store(), "repository_detached").await?;
    assert_eq!((told.len(), &told[0]["reason"]), (1, &json!("It moves elsewhere.")));
    let again = ask(&platform, repository, &wish(false)).await?;
    assert!(matches!(again, Err(ConnectError::Detached(_))), "{again:?}");

    platform.forge.delete_hook(&full_name, own.id)?;
    let second = connect(&platform, &full_name, &token).await?;
    assert_eq!((second.state, second.repository), (ConnectionState::Done, first.repository), "{:?}", second.message);
    let row = repositories::get(&mut *platform.store().acquire().await?, repository).await?;
    assert_eq!((row.detached_at, row.credential), (None, second.credential));
    working_hook(&platform, &full_name).await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_to_their_end_and_nothing_new_starts() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let number = platform.open_issue("slow")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let id = ask(&platform, platform.repository.id, &wish(false)).await??;
    platform
        .await_that("the webhook is gone", async || Ok(platform.forge.hooks(REPOSITORY)?.is_empty().then_some(())))
        .await?;
    let mut event = labelled(platform.open_issue("slow")?);
    event["repository"]["id"] = json!(platform.repository.forge_repo_id);
    let answer = platform.deliver(&platform.gateway_url, "issues", &event).await?;
    assert_eq!(answer["verdict"], "repository_unknown", "{answer}");
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains("was detached")), "{answer}");

    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let ended = end_of(&platform, id).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    is_gone(&platform, &ended).await?;
    platform.finish().await
}

/// Somebody labels an issue, as the forge tells it.
fn labelled(number: u64) -> serde_json::Value {
    json!({
        "action": "labeled", "label": {"name": "run:dev"},
        "issue": {
            "number": number, "title": "One more", "state": "open", "updated_at": "2026-11-26T12:00:00Z",
            "labels": [{"name": "run:dev"}], "user": {"id": 1, "login": "maintainer", "type": "User"},
        },
        "repository": {
            "id": 0, "name": "greeter", "full_name": REPOSITORY, "default_branch": "main", "private": false,
            "archived": false, "owner": {"id": 2, "login": "acme", "type": "Organization"},
        },
        "sender": {"id": 1, "login": "maintainer", "type": "User"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_cancelled_where_that_is_wanted() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let id = ask(&platform, platform.repository.id, &wish(true)).await??;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    assert!(run.cause.as_ref().is_some_and(|cause| cause.contains("It moves elsewhere.")), "{:?}", run.cause);
    let ended = end_of(&platform, id).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    is_gone(&platform, &ended).await?;
    assert_eq!(audited(platform.store(), "cancel_requested").await?.len(), 1, "each run is asked once");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_can_not_be_removed_does_not_stand_against_the_rest() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let first = connect(&platform, &full_name, &token).await?;
    platform.forge.knob(Knob::RevokeTokens { login: "maintainer".to_owned() }).await?;
    let ended = detach(&platform, first.repository.context("not connected")?).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    let words = ended.message.clone().unwrap_or_default();
    assert!(words.contains("webhook may still be there") && words.contains("Settings > Webhooks"), "{words}");
    is_gone(&platform, &ended).await?;
    // It goes on sending. That is written down, and starts nothing.
    platform.forge.comment("writer", &full_name, 1, "/run dev")?;
    let told = platform
        .await_that("the comment is delivered", async || {
            let all = deliveries::list_recent(&mut *platform.store().acquire().await?, 50).await?;
            Ok(all.into_iter().find(|one| one.event == "issue_comment" && one.repository == ended.repository))
        })
        .await?;
    assert_eq!(told.verdict, VerdictKind::RepositoryUnknown);
    assert!(told.reason.contains("was detached"), "{}", told.reason);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_schedules_are_taken_back() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let yaml = "version: 1\nschedules:\n  - {name: yearly, cron: 0 3 1 jan *, agent: dev, title: Look}\n";
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(yaml))]).await?;
    let told = async || -> anyhow::Result<usize> {
        let mut conn = platform.store().acquire().await?;
        Ok(project_schedules::list(&mut conn, platform.repository.id).await?.len())
    };
    platform.await_that("the schedule is told", async || Ok((told().await? == 1).then_some(()))).await?;
    let ended = detach(&platform, platform.repository.id).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    assert_eq!(told().await?, 0);
    platform.finish().await
}

async fn detaches_in_spite_of(tamper: Tamper) -> anyhow::Result<()> {
    let options = Options { tamper: Some(tamper), ..super::super::defaults() };
    let platform = super::super::with(options).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let first = connect(&platform, &full_name, &token).await?;
    let ended = detach(&platform, first.repository.context("not connected")?).await?;
    assert_eq!((ended.state, ended.message.as_deref()), (ConnectionState::Done, Some("acme/second is detached.")));
    is_gone(&platform, &ended).await?;
    assert!(platform.forge.hooks(&full_name)?.is_empty());
    let met = platform.tampered_with();
    for activity in ["drop_schedules", "remove_hooks", "count_runs", "withdraw_credential"] {
        assert!(met.contains(activity), "{activity} of {met:?}");
    }
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_fail_once() -> anyhow::Result<()> {
    detaches_in_spite_of(Tamper::FailBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_be_done_twice() -> anyhow::Result<()> {
    detaches_in_spite_of(Tamper::LoseAnswer).await
}
