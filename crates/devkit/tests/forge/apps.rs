//! Tokens of a GitHub App: minted on demand, one at a time, cut to one repository, kept until shortly before their end.

use devkit::{
    github::{AppKeys, Knob, Level, permissions_of},
    harness::{RegisteredApp, all_rights},
};
use domain::rights::{Right, missing};
use forge::{
    AppCredential, Credential, ForgeError, RepositoryProvider, git::Git, git::GitAuth, github::GitHub, system_clock,
};
use futures::future::join_all;

use crate::world::{REPOSITORY, World, app_client};

fn app(world: &World) -> RegisteredApp {
    RegisteredApp::install(&world.stand_in, "poster", Some(&[REPOSITORY]), all_rights()).unwrap()
}

fn client(world: &World, app: &RegisteredApp) -> GitHub {
    app_client(world, app.credential().unwrap(), system_clock())
}

#[tokio::test]
async fn one_token_is_minted_and_kept() {
    let world = World::start().await;
    let app = app(&world);
    let github = client(&world, &app);
    let all = join_all((0..8).map(|_| github.repository(world.repo.forge_id))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(world.stand_in.installation_tokens(app.installation), 1);
    assert_eq!(github.me().await.unwrap().login, "poster[bot]");
    assert!(github.git_token().await.unwrap().expose().len() > 100, "no length is taken for granted");
    assert_eq!(world.stand_in.installation_tokens(app.installation), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_minted_once_more() {
    let world = World::start().await;
    let app = app(&world);
    let github = client(&world, &app);
    github.repository(world.repo.forge_id).await.unwrap();
    world.stand_in.knob(Knob::RevokeTokens { login: app.login.clone() }).await.unwrap();
    github.repository(world.repo.forge_id).await.unwrap();
    assert_eq!(world.stand_in.installation_tokens(app.installation), 1);
}

#[tokio::test]
async fn a_token_near_its_end_is_not_used_any_more() {
    let world = World::start().await;
    let app = app(&world);
    world.stand_in.knob(Knob::InstallationTokenLife { seconds: 299 }).await.unwrap();
    let github = client(&world, &app);
    for expected in 1..=2 {
        github.repository(world.repo.forge_id).await.unwrap();
        assert_eq!(world.stand_in.installation_tokens(app.installation), expected);
    }
}

#[tokio::test]
async fn a_token_opens_one_repository_for_git_and_no_other() {
    let world = World::start().await;
    let other = "acme/other";
    let new = devkit::github::NewRepo { name: "other".into(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    let app = RegisteredApp::install(&world.stand_in, "poster", None, all_rights()).unwrap();
    let github = client(&world, &app);
    let token = github.git_token().await.unwrap();
    let git = Git::default();
    let auth = GitAuth::new(&world.clone_url(), token.clone()).unwrap();
    git.mirror_fetch(&world.folder("mirror.git"), &world.clone_url(), Some(&auth)).await.unwrap();
    let url = format!("{}/{other}.git", world.stand_in.url());
    let error = git.mirror_fetch(&world.folder("other.git"), &url, Some(&auth)).await.unwrap_err();
    assert!(!error.to_string().contains(token.expose()), "{error}");
    let seen = github.repository_by_name("acme", "other").await;
    assert_eq!(seen.unwrap_err(), ForgeError::NotFound);
}

#[tokio::test]
async fn an_app_that_cannot_be_used_says_why() {
    let world = World::start().await;
    let app = app(&world);
    let words = async |credential: Credential| {
        let answer = app_client(&world, credential, system_clock()).repository(world.repo.forge_id).await;
        match answer {
            Err(ForgeError::AppUnusable { message }) => message,
            other => panic!("{other:?}"),
        }
    };
    let foreign = AppKeys::generate().unwrap().private_key;
    let wrong_key = AppCredential::new(&app.id.to_string(), None, &foreign).unwrap();
    assert!(words(Credential::App(wrong_key)).await.contains("does not accept the signature"));

    let suspend = |suspended| Knob::SuspendInstallation { installation: app.installation, suspended };
    world.stand_in.knob(suspend(true)).await.unwrap();
    assert!(words(app.credential().unwrap()).await.contains("suspended"));
    world.stand_in.knob(suspend(false)).await.unwrap();

    let weak = permissions_of(&[("metadata", Level::Read), ("contents", Level::Write)]);
    let weak = RegisteredApp::install(&world.stand_in, "weak", None, weak).unwrap();
    assert!(words(weak.credential().unwrap()).await.contains("does not grant what is needed"));
    let checks = client(&world, &weak).rights(&world.repo).await.unwrap();
    assert_eq!(missing(&checks).len(), Right::ALL.len() - 2, "{checks:?}");

    let elsewhere = RegisteredApp::install(&world.stand_in, "elsewhere", Some(&[]), all_rights()).unwrap();
    assert!(words(elsewhere.credential().unwrap()).await.contains("is not installed on acme/greeter"));
}

#[tokio::test]
async fn what_helps_is_asked_for_where_it_is_granted_and_left_out_where_not() {
    let world = World::start().await;
    let mut more = all_rights();
    more.extend(permissions_of(&[("checks", Level::Read), ("actions", Level::Read), ("administration", Level::Write)]));
    let helpful = RegisteredApp::install(&world.stand_in, "helpful", Some(&[REPOSITORY]), more).unwrap();
    let asked = |app: &RegisteredApp| {
        let path = format!("/app/installations/{}/access_tokens", app.installation);
        let exchanges = world.stand_in.exchanges().into_iter().filter(move |exchange| exchange.path == path);
        let told = exchanges.map(|exchange| (exchange.status, exchange.request.unwrap()["permissions"].clone()));
        told.collect::<Vec<_>>()
    };
    client(&world, &helpful).git_token().await.unwrap();
    let asked_once = asked(&helpful);
    assert_eq!((asked_once.len(), asked_once[0].0), (1, 201), "{asked_once:?}");
    assert_eq!((asked_once[0].1["checks"].as_str(), asked_once[0].1["actions"].as_str()), (Some("read"), Some("read")));
    assert!(asked_once[0].1.get("administration").is_none(), "{asked_once:?}");

    let bare = app(&world);
    world.stand_in.knob(Knob::InstallationTokenLife { seconds: 299 }).await.unwrap();
    let github = client(&world, &bare);
    github.git_token().await.unwrap();
    github.git_token().await.unwrap();
    let statuses: Vec<u16> = asked(&bare).iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [422, 201, 201], "what is not granted is not asked for again");
}
