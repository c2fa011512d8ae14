//! Rights that are missing.

use devkit::{
    github::{Permissions, Role},
    harness::all_rights,
};
use domain::{
    connection::ConnectionState,
    rights::{Right, missing},
};
use forge::Credential;
use futures::future::try_join_all;
use store::repositories;

use super::{app_on, connect, new_repository, token_of};

fn all_but(right: Right) -> Permissions {
    let mut rights = all_rights();
    rights.remove(right.as_str());
    rights
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_a_token_lacks_is_named() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let rights: Vec<Right> = Right::ALL.iter().copied().filter(|right| right.writes()).collect();
    let ends = rights.iter().map(async |&right| {
        let full_name = new_repository(&platform, &format!("lacks-{}", right.as_str())).await?;
        let token = token_of(&platform, "maintainer", &full_name, all_but(right))?;
        let ended = connect(&platform, &full_name, &token).await?;
        assert_eq!(ended.state, ConnectionState::Failed, "{right}");
        let checks = ended.rights.unwrap_or_default();
        assert_eq!(missing(&checks), [right.title()], "{right}");
        let remedy = checks.iter().find(|check| check.right == right).and_then(|check| check.remedy.clone());
        let remedy = remedy.unwrap_or_default();
        assert!(remedy.contains("Fine-grained tokens") && remedy.contains(right.title()), "{remedy}");
        assert!(ended.message.as_ref().is_some_and(|words| words.contains(right.title())), "{:?}", ended.message);
        // Nothing was written: neither by the probes nor by what would follow.
        assert!(platform.forge.hooks(&full_name)?.is_empty());
        assert_eq!(platform.forge.refs(&full_name).await?.len(), 1);
        assert!(platform.forge.issue(&full_name, 2).is_err());
        let forge_id = i64::try_from(platform.forge.repo_id(&full_name)?)?;
        let row = repositories::find_by_forge_id(&mut *platform.store().acquire().await?, forge_id).await?;
        assert!(row.is_none(), "{right}");
        anyhow::Ok(())
    });
    try_join_all(ends).await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_the_role_is_told_of_it() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let ended = connect(&platform, &full_name, &token_of(&platform, "writer", &full_name, all_rights())?).await?;
    let checks = ended.rights.unwrap_or_default();
    assert_eq!(missing(&checks), [Right::Webhooks.title()]);
    let remedy = checks.into_iter().find_map(|check| check.remedy).unwrap_or_default();
    assert!(remedy.contains("@writer") && remedy.contains("the role Admin"), "{remedy}");

    platform.forge.add_collaborator(&full_name, "outsider", Role::Read)?;
    let ended = connect(&platform, &full_name, &token_of(&platform, "outsider", &full_name, all_rights())?).await?;
    let checks = ended.rights.unwrap_or_default();
    let remedy = checks.iter().find(|check| check.right == Right::Contents).and_then(|check| check.remedy.clone());
    assert!(
        remedy.as_ref().is_some_and(|remedy| remedy.contains("@outsider") && remedy.contains("the role Write")),
        "{remedy:?}"
    );
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_lacks_is_named() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let app = app_on(&platform, &full_name, all_but(Right::Statuses))?;
    let ended = connect(&platform, &full_name, &app.credential()?).await?;
    assert_eq!(ended.state, ConnectionState::Failed);
    let checks = ended.rights.unwrap_or_default();
    assert_eq!(missing(&checks), [Right::Statuses.title()]);
    let remedy = checks.into_iter().find_map(|check| check.remedy).unwrap_or_default();
    assert!(remedy.contains("the App's settings"), "{remedy}");

    let other = new_repository(&platform, "other").await?;
    let ended = connect(&platform, &other, &app.credential()?).await?;
    assert_eq!(ended.state, ConnectionState::Failed);
    assert!(
        ended.message.as_ref().is_some_and(|words| words.contains("not installed on acme/other")),
        "{:?}",
        ended.message
    );
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_nowhere_and_an_archive_are_refused_in_words() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let ended = connect(&platform, "acme/secnod", &token).await?;
    let words = ended.message.unwrap_or_default();
    assert!(words.contains("no repository acme/secnod") && words.contains("check the name"), "{words}");

    platform.forge.archive_repo("maintainer", &full_name, true).await?;
    let ended = connect(&platform, &full_name, &token).await?;
    assert!(ended.message.as_ref().is_some_and(|words| words.contains("is archived")), "{:?}", ended.message);

    let ended = connect(&platform, &full_name, &Credential::token("github_pat_of_nobody")?).await?;
    assert_eq!(ended.state, ConnectionState::Failed);
    let words = ended.message.unwrap_or_default();
    assert!(words.contains("does not accept the credential") && words.contains("make a new one"), "{words}");
    platform.finish().await
}
