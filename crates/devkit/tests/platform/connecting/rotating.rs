//! A new secret for a webhook: no event is lost on the way, and no third secret is made.

use anyhow::Context;
use devkit::{
    github::{Effect, Fault, Knob},
    harness::{Options, Platform, REPOSITORY, Tamper, all_rights},
};
use domain::{
    connection::{ConnectionPurpose, ConnectionState},
    ids::{ConnectionId, RepositoryId},
};
use gateway::{
    connecting::{ConnectError, RotateRequest},
    hook_secrets,
    webhooks::HookSecret,
};
use store::{
    connections::Connection,
    hooks::{self, RegisteredHook},
    repositories,
    testing::audited,
};

use super::{asking, connect, end_of, kept, new_repository, token_of, working_hook};

async fn ask(platform: &Platform, repository: RepositoryId) -> anyhow::Result<Result<ConnectionId, ConnectError>> {
    let (secret, public_url) = (HookSecret::new("none"), platform.gateway_url.parse()?);
    ask_for(platform, RotateRequest { repository, public_url: &public_url, platform_secret: secret.as_ref() }).await
}

async fn ask_for(
    platform: &Platform,
    request: RotateRequest<'_>,
) -> anyhow::Result<Result<ConnectionId, ConnectError>> {
    let mut tx = platform.store().begin().await?;
    let asked = asking(platform, &mut rand::rng()).rotate(&mut tx, &platform.connect_keys(), &request).await;
    kept(tx, asked).await
}

async fn rotate(platform: &Platform, repository: RepositoryId) -> anyhow::Result<Connection> {
    end_of(platform, ask(platform, repository).await??).await
}

async fn registered(platform: &Platform, repository: RepositoryId) -> anyhow::Result<RegisteredHook> {
    let mut tx = platform.store().begin().await?;
    let mut all = hooks::of_repository(&mut tx, repository).await?;
    assert_eq!(all.len(), 1);
    Ok(all.remove(0))
}

/// The secret in force, and the one before.
async fn secrets(platform: &Platform, repository: RepositoryId) -> anyhow::Result<(String, Option<String>)> {
    let hook = registered(platform, repository).await?;
    let open = |sealed: &[u8]| -> anyhow::Result<String> {
        Ok(String::from_utf8(hook_secrets::open(&platform.connect_keys().gateway, hook.id, sealed)?)?)
    };
    Ok((open(&hook.current.context("none of its own")?)?, hook.previous.as_deref().map(open).transpose()?))
}

async fn connected(platform: &Platform) -> anyhow::Result<(String, RepositoryId)> {
    let full_name = new_repository(platform, "second").await?;
    let token = token_of(platform, "maintainer", &full_name, all_rights())?;
    let ended = connect(platform, &full_name, &token).await?;
    Ok((full_name, ended.repository.context("not connected")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_are_good_until_the_forge_knows_the_new_one() -> anyhow::Result<()> {
    let mut platform = super::super::platform_with(1).await?;
    let (full_name, repository) = connected(&platform).await?;
    let before = working_hook(&platform, &full_name).await?;
    platform.stop_worker().await?;
    let id = ask(&platform, repository).await??;
    let (new, old) = secrets(&platform, repository).await?;
    assert_eq!(old, before.secret, "the forge's secret is still good");
    // What the forge signs meanwhile with the old one is taken.
    assert_eq!(working_hook(&platform, &full_name).await?.secret, before.secret);
    let again = ask(&platform, repository).await?;
    assert!(matches!(again, Err(ConnectError::UnderWay(..))), "{again:?}");

    platform.start_worker().await?;
    let ended = end_of(&platform, id).await?;
    assert_eq!((ended.purpose, ended.state), (ConnectionPurpose::Rotate, ConnectionState::Done), "{:?}", ended.message);
    assert!(ended.hook.is_some_and(|hook| hook.copy.is_none()), "the worker's copy is gone");
    let after = working_hook(&platform, &full_name).await?;
    assert_eq!((after.id, after.secret.as_ref(), after.url), (before.id, Some(&new), before.url));
    assert_eq!(secrets(&platform, repository).await?, (new.clone(), None), "the old one is good no longer");
    let audited = audited(platform.store(), "hook_secret_renewed").await?;
    assert_eq!(audited.len(), 1);
    assert!(!audited[0].to_string().contains(&new));
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_signs_with_the_platforms_secret_gets_its_own() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let before = working_hook(&platform, REPOSITORY).await?;
    let public_url = platform.gateway_url.parse()?;
    let mut request =
        RotateRequest { repository: platform.repository.id, public_url: &public_url, platform_secret: None };
    let unknown = ask_for(&platform, request).await?;
    assert!(matches!(unknown, Err(ConnectError::PlatformSecret(_))), "{unknown:?}");
    let platforms = before.secret.clone().and_then(HookSecret::new);
    request.platform_secret = platforms.as_ref();
    let id = ask_for(&platform, request).await??;
    let ended = end_of(&platform, id).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    assert_ne!(working_hook(&platform, REPOSITORY).await?.secret, before.secret);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_broke_off_goes_on_with_the_same_new_secret() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let (full_name, repository) = connected(&platform).await?;
    let (old, _) = secrets(&platform, repository).await?;
    let refused = Fault {
        method: Some("PATCH".to_owned()),
        path: Some(format!("/repos/{full_name}/hooks/*")),
        times: 1,
        effect: Effect::Error(422),
    };
    platform.forge.knob(Knob::Fault(refused)).await?;
    let ended = rotate(&platform, repository).await?;
    assert_eq!(ended.state, ConnectionState::Failed, "{:?}", ended.message);
    let (new, previous) = secrets(&platform, repository).await?;
    assert_eq!(previous, Some(old), "whichever the forge has is good");
    working_hook(&platform, &full_name).await?;

    let ended = rotate(&platform, repository).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    assert_eq!(secrets(&platform, repository).await?, (new.clone(), None), "no third secret was made");
    assert_eq!(working_hook(&platform, &full_name).await?.secret, Some(new));
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_gone_is_told_of_and_made_anew_by_attaching() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let (full_name, repository) = connected(&platform).await?;
    let hook = working_hook(&platform, &full_name).await?;
    platform.forge.delete_hook(&full_name, hook.id)?;
    let ended = rotate(&platform, repository).await?;
    assert_eq!(ended.state, ConnectionState::Failed);
    let words = ended.message.unwrap_or_default();
    assert!(words.contains("gone from the forge") && words.contains("attach the repository again"), "{words}");
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    connect(&platform, &full_name, &token).await?;
    working_hook(&platform, &full_name).await?;

    let row = repositories::get(&mut *platform.store().acquire().await?, repository).await?;
    assert_eq!(row.detached_at, None);
    platform.finish().await
}

async fn rotates_in_spite_of(tamper: Tamper) -> anyhow::Result<()> {
    let options = Options { tamper: Some(tamper), ..super::super::defaults() };
    let platform = super::super::with(options).await?;
    let (full_name, repository) = connected(&platform).await?;
    let ended = rotate(&platform, repository).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{tamper:?}: {:?}", ended.message);
    let (new, old) = secrets(&platform, repository).await?;
    assert_eq!((working_hook(&platform, &full_name).await?.secret, old), (Some(new), None));
    assert!(platform.tampered_with().contains("renew_secret"), "{:?}", platform.tampered_with());
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn renewing_can_fail_once() -> anyhow::Result<()> {
    rotates_in_spite_of(Tamper::FailBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn renewing_can_be_done_twice() -> anyhow::Result<()> {
    rotates_in_spite_of(Tamper::LoseAnswer).await
}
