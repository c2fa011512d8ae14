//! Connecting repositories: with a token and as an App; what is missing is named; what goes wrong on the way is repeated.

mod detaching;
mod reseal;
mod rights;
mod rotating;
mod trouble;

use anyhow::Context;
use chrono::Utc;
use devkit::{
    github::{Hook, NewRepo, Permissions, Role},
    harness::{Platform, RegisteredApp, all_rights},
};
use domain::{
    connection::{ConnectionPurpose, ConnectionState},
    event::SUBSCRIBED,
    ids::ConnectionId,
};
use forge::Credential;
use gateway::connecting::{Asking, ConnectError, ConnectRequest, follow};
use rand::rngs::ThreadRng;
use store::{Transaction, connected, connections::Connection, credentials, hooks, repositories};

/// Makes a private repository of `acme` with settings in it.
async fn new_repository(platform: &Platform, name: &str) -> anyhow::Result<String> {
    let full = format!("acme/{name}");
    platform.forge.create_repo("acme", NewRepo { name: name.to_owned(), description: None, private: true }).await?;
    for (login, role) in [("maintainer", Role::Admin), ("writer", Role::Write)] {
        platform.forge.add_collaborator(&full, login, role)?;
    }
    platform.forge.commit("maintainer", &full, "main", &[("services.yaml", Some("version: 1\nslots: 2\n"))]).await?;
    platform.forge.create_issue("maintainer", &full, "An issue", "It is one.")?;
    Ok(full)
}

fn token_of(platform: &Platform, login: &str, repository: &str, rights: Permissions) -> anyhow::Result<Credential> {
    let ends = Some("2031-05-01T12:00:00Z".parse()?);
    let token = platform.forge.fine_grained_token(login, &[repository], rights, ends)?;
    Ok(Credential::token(&token)?)
}

fn app_on(platform: &Platform, repository: &str, rights: Permissions) -> anyhow::Result<RegisteredApp> {
    RegisteredApp::install(&platform.forge, "poster", Some(&[repository]), rights)
}

fn asking<'a>(platform: &'a Platform, rng: &'a mut ThreadRng) -> Asking<'a, ThreadRng> {
    Asking { instance: &platform.instance, rng, now: Utc::now() }
}

/// Commits what was asked, unless it was refused.
async fn kept<T>(tx: Transaction, asked: Result<T, ConnectError>) -> anyhow::Result<Result<T, ConnectError>> {
    if asked.is_ok() {
        tx.commit().await?;
    }
    Ok(asked)
}

/// Asks for a repository to be connected.
async fn ask(
    platform: &Platform,
    full_name: &str,
    credential: &Credential,
) -> anyhow::Result<Result<ConnectionId, ConnectError>> {
    let (owner, name) = full_name.split_once('/').unwrap_or_default();
    let public_url = platform.gateway_url.parse()?;
    let request = ConnectRequest { owner, name, project: "second", slots: 1, credential, public_url: &public_url };
    let mut tx = platform.store().begin().await?;
    let asked = asking(platform, &mut rand::rng()).connect(&mut tx, &platform.connect_keys(), &request).await;
    kept(tx, asked).await
}

/// Asks, and waits for the end.
async fn connect(platform: &Platform, full_name: &str, credential: &Credential) -> anyhow::Result<Connection> {
    let id = ask(platform, full_name, credential).await??;
    end_of(platform, id).await
}

async fn end_of(platform: &Platform, id: ConnectionId) -> anyhow::Result<Connection> {
    Ok(follow(platform.store(), &platform.instance, id, |_| {}).await?)
}

async fn check(platform: &Platform, full_name: &str) -> anyhow::Result<Connection> {
    let mut tx = platform.store().begin().await?;
    let asked = asking(platform, &mut rand::rng()).check(&mut tx, full_name).await;
    let id = kept(tx, asked).await??;
    end_of(platform, id).await
}

/// The one hook of a repository; its webhooks are taken, signed with a secret of its own.
async fn working_hook(platform: &Platform, full_name: &str) -> anyhow::Result<Hook> {
    let all = platform.forge.hooks(full_name)?;
    assert_eq!(all.len(), 1, "{all:?}");
    let hook = all[0].clone();
    assert!(hook.active && SUBSCRIBED.iter().all(|event| hook.events.contains(&(*event).to_owned())), "{hook:?}");
    assert!(hook.secret.is_some() && hook.content_type == "json");
    let before = platform.forge.deliveries(hook.id).len();
    platform.forge.comment("writer", full_name, 1, "Hello.")?;
    let code = platform
        .await_that("the comment is delivered", async || {
            let all = platform.forge.deliveries(hook.id);
            let new = all.iter().skip(before).find(|delivery| delivery.delivered_at.is_some());
            Ok(new.map(|delivery| delivery.status_code))
        })
        .await?;
    assert_eq!(code, 202);
    Ok(hook)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_connects_a_repository() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let ended = connect(&platform, &full_name, &token).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    assert!(ended.rights.as_ref().is_some_and(|rights| rights.len() == 6 && rights.iter().all(|right| right.held)));
    assert!(ended.hook.as_ref().is_some_and(|hook| hook.copy.is_none()), "the worker's copy is gone");

    let hook = working_hook(&platform, &full_name).await?;
    let pings: Vec<_> = platform.forge.deliveries(hook.id).into_iter().filter(|one| one.event == "ping").collect();
    assert_eq!(pings.last().map(|ping| ping.status_code), Some(202));
    let mut conn = platform.store().acquire().await?;
    let secrets = hooks::secrets_for(&mut conn, i64::try_from(hook.id)?).await?;
    assert!(secrets.is_some_and(|secrets| secrets.repository == ended.repository));
    let repository = repositories::get(&mut conn, ended.repository.unwrap_or(platform.repository.id)).await?;
    assert_eq!((repository.full_name(), repository.private), (full_name.clone(), true));
    assert_eq!(repository.config.as_ref().and_then(|config| config["slots"].as_u64()), Some(2));
    let project = repositories::get_project(&mut conn, repository.project).await?;
    assert_eq!((project.slug.as_str(), project.slots), ("second", 2), "services.yaml chooses the slots");
    let listed = connected::list(&mut conn).await?;
    let row = listed.iter().find(|row| row.full_name == full_name).cloned();
    let used = row.and_then(|row| row.credential).map(|credential| (credential.login, credential.expires_at));
    assert_eq!(used, Some((Some("maintainer".to_owned()), Some("2031-05-01T12:00:00Z".parse()?))));
    drop(conn);

    let checked = check(&platform, "ACME/second").await?;
    assert_eq!(
        (checked.purpose, checked.state),
        (ConnectionPurpose::Check, ConnectionState::Done),
        "{:?}",
        checked.message
    );
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_connects_a_repository() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let app = app_on(&platform, &full_name, all_rights())?;
    let ended = connect(&platform, &full_name, &app.credential()?).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    working_hook(&platform, &full_name).await?;
    let stored = credentials::get(&mut *platform.store().acquire().await?, ended.credential.context("none")?).await?;
    assert_eq!(stored.and_then(|stored| stored.login).as_deref(), Some("poster[bot]"));
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_twice_keeps_the_hook_and_takes_the_new_credential() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let first = connect(&platform, &full_name, &token_of(&platform, "maintainer", &full_name, all_rights())?).await?;
    let hook = working_hook(&platform, &full_name).await?;
    let app = app_on(&platform, &full_name, all_rights())?;
    let second = connect(&platform, &full_name, &app.credential()?).await?;
    assert_eq!(second.state, ConnectionState::Done, "{:?}", second.message);
    assert_eq!(first.repository, second.repository);
    assert_eq!(working_hook(&platform, &full_name).await?.id, hook.id);
    let mut conn = platform.store().acquire().await?;
    let repository =
        repositories::find_by_forge_id(&mut conn, i64::try_from(platform.forge.repo_id(&full_name)?)?).await?;
    assert_eq!(repository.and_then(|repository| repository.credential), second.credential);
    drop(conn);
    platform.finish().await
}
