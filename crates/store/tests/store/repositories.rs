//! Projects, repositories and hooks.

use domain::ids::{HookId, RepositoryId};
use serde_json::json;
use store::{
    StoreError,
    hooks::{self, HookSecrets, NewHook},
    repositories::{self, NewProject, NewRepository},
    repository_events::{self, Seen},
};
use uuid::Uuid;

use crate::world::{World, at, new_repository};

#[tokio::test]
async fn a_project_keeps_its_settings() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let again = NewProject { slug: "demo", slots: 9, settings: json!({ "x": 1 }), now: at(1) };
    assert_eq!(repositories::insert_project(&mut conn, again).await.unwrap(), world.project);
    let project = repositories::get_project(&mut conn, world.project).await.unwrap();
    assert_eq!((project.slug.as_str(), project.slots, project.settings), ("demo", 3, json!({})));
}

#[tokio::test]
async fn a_repository_survives_its_renames() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let moved = NewRepository { owner: "other", archived: true, ..new_repository(world.project, 1, "hello") };
    assert_eq!(repositories::upsert_repository(&mut conn, moved).await.unwrap(), world.repository);
    let found = repositories::find_by_forge_id(&mut conn, 1).await.unwrap().unwrap();
    assert_eq!((found.full_name().as_str(), found.archived), ("other/hello", true));
    repositories::rename(&mut conn, world.repository, "acme", "greeter").await.unwrap();
    repositories::set_archived(&mut conn, world.repository, false).await.unwrap();
    let found = repositories::get(&mut conn, world.repository).await.unwrap();
    assert_eq!((found.full_name().as_str(), found.archived), ("acme/greeter", false));
    assert!(repositories::find_by_forge_id(&mut conn, 2).await.unwrap().is_none());
    let nobody = RepositoryId::from_uuid(Uuid::nil());
    assert!(matches!(repositories::get(&mut conn, nobody).await, Err(StoreError::Missing { .. })));
}

#[tokio::test]
async fn two_repositories_never_share_a_name() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let twin = NewRepository { owner: "ACME", ..new_repository(world.project, 2, "Greeter") };
    let refused = repositories::upsert_repository(&mut conn, twin).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { constraint }) if constraint == "repositories_full_name"),
        "{refused:?}"
    );
    repositories::upsert_repository(&mut conn, new_repository(world.project, 2, "other")).await.unwrap();
    assert_eq!(repositories::list(&mut conn).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_last_good_configuration_stays_while_there_is_an_error() {
    let world = World::new().await;
    let id = world.repository;
    let mut conn = world.conn().await;
    repositories::set_config(&mut conn, id, Some(json!({ "version": 1 })), "a", None).await.unwrap();
    repositories::set_config(&mut conn, id, None, "b", Some("line 3: what?")).await.unwrap();
    let row = repositories::get(&mut conn, id).await.unwrap();
    assert_eq!((row.config, row.config_sha.as_deref()), (Some(json!({ "version": 1 })), Some("b")));
    assert_eq!(row.config_error.as_deref(), Some("line 3: what?"));
    repositories::set_config(&mut conn, id, None, "c", None).await.unwrap();
    let row = repositories::get(&mut conn, id).await.unwrap();
    assert_eq!((row.config, row.config_error), (None, None));
}

#[tokio::test]
async fn hook_secrets_are_replaced() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    assert!(hooks::secrets_for(&mut conn, 5).await.unwrap().is_none());
    let id = HookId::from_uuid(Uuid::from_u128(1));
    let new = NewHook {
        id,
        forge_hook_id: 5,
        repository: Some(world.repository),
        current: Some(b"one"),
        previous: None,
        now: at(0),
    };
    assert_eq!(hooks::insert(&mut conn, new).await.unwrap(), id);
    // A second registration of the same hook finds the first: its secret is the one that the forge knows.
    let again = NewHook { id: HookId::from_uuid(Uuid::from_u128(2)), repository: None, current: Some(b"other"), ..new };
    assert_eq!(hooks::insert(&mut conn, again).await.unwrap(), id);
    let secrets = |current: &[u8], previous: Option<&[u8]>| {
        let (current, previous) = (Some(current.to_vec()), previous.map(<[u8]>::to_vec));
        Some(HookSecrets { id, repository: Some(world.repository), current, previous })
    };
    assert!(hooks::secrets_for(&mut conn, 5).await.unwrap() == secrets(b"one", None));
    hooks::set_secrets(&mut conn, id, b"two", Some(b"one")).await.unwrap();
    assert!(hooks::secrets_for(&mut conn, 5).await.unwrap() == secrets(b"two", Some(b"one")));
    let all = hooks::of_repository(&mut conn, world.repository).await.unwrap();
    assert!(all.len() == 1 && all[0].forge_hook_id == 5 && all[0].previous.as_deref() == Some(b"one"));
    // Who retires the secret before another one than the one in force comes too late.
    hooks::retire_previous(&mut conn, id, b"one").await.unwrap();
    assert!(hooks::secrets_for(&mut conn, 5).await.unwrap() == secrets(b"two", Some(b"one")));
    hooks::retire_previous(&mut conn, id, b"two").await.unwrap();
    assert!(hooks::secrets_for(&mut conn, 5).await.unwrap() == secrets(b"two", None));
    hooks::remove(&mut conn, id).await.unwrap();
    assert!(hooks::secrets_for(&mut conn, 5).await.unwrap().is_none());
}

#[tokio::test]
async fn a_detached_repository_is_attached_again_or_belongs_to_another_project_anew() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (here, again) = (world.repository, new_repository(world.project, 1, "greeter"));
    repositories::detach(&mut conn, here, at(5)).await.unwrap();
    repositories::detach(&mut conn, here, at(6)).await.unwrap();
    assert_eq!(repositories::get(&mut conn, here).await.unwrap().detached_at, Some(at(5)));
    assert!(repositories::find_by_name(&mut conn, "acme", "greeter").await.unwrap().is_none());
    assert!(repositories::list(&mut conn).await.unwrap().is_empty());
    assert_eq!(repositories::find_by_forge_id(&mut conn, 1).await.unwrap().map(|found| found.id), Some(here));

    assert_eq!(repositories::upsert_repository(&mut conn, again).await.unwrap(), here);
    assert_eq!(repositories::get(&mut conn, here).await.unwrap().detached_at, None);

    repositories::detach(&mut conn, here, at(7)).await.unwrap();
    let new = NewProject { slug: "other", slots: 1, settings: json!({}), now: at(8) };
    let other = repositories::insert_project(&mut conn, new).await.unwrap();
    let moved = repositories::upsert_repository(&mut conn, new_repository(other, 1, "greeter")).await.unwrap();
    assert_ne!(moved, here);
    assert_eq!(repositories::find_by_forge_id(&mut conn, 1).await.unwrap().map(|found| found.id), Some(moved));
    // It is attached there: the first project's row stays as it is.
    assert_eq!(repositories::upsert_repository(&mut conn, again).await.unwrap(), moved);
    let first = repositories::get(&mut conn, here).await.unwrap();
    assert_eq!((first.project, first.detached_at), (world.project, Some(at(7))));
}

#[tokio::test]
async fn a_webhook_brings_a_repository_up_to_date() {
    let world = World::new().await;
    let (here, mut conn) = (world.repository, world.conn().await);
    let seen = Seen { full_name: Some(("acme", "hello")), archived: Some(true), ..Seen::default() };
    assert!(repository_events::update_seen(&mut conn, here, seen).await.unwrap());
    let row = repositories::get(&mut conn, here).await.unwrap();
    assert_eq!((row.full_name().as_str(), row.archived, row.default_branch.as_str()), ("acme/hello", true, "main"));

    // A name that another one still has is not taken, the rest is.
    repositories::upsert_repository(&mut conn, new_repository(world.project, 2, "other")).await.unwrap();
    let seen = Seen { full_name: Some(("Acme", "Other")), default_branch: Some("trunk"), ..Seen::default() };
    assert!(!repository_events::update_seen(&mut conn, here, seen).await.unwrap());
    let row = repositories::get(&mut conn, here).await.unwrap();
    assert_eq!((row.full_name().as_str(), row.default_branch.as_str()), ("acme/hello", "trunk"));
}

#[tokio::test]
async fn a_configuration_is_wanted_until_it_was_looked_at() {
    let world = World::new().await;
    let (here, mut conn) = (world.repository, world.conn().await);
    assert!(repository_events::wanting_config(&mut conn).await.unwrap().is_empty());
    repository_events::want_config(&mut conn, here, "b").await.unwrap();
    assert_eq!(repository_events::wanting_config(&mut conn).await.unwrap(), [(here, "b".to_owned())]);
    repositories::set_config(&mut conn, here, None, "a", None).await.unwrap();
    assert_eq!(repository_events::wanting_config(&mut conn).await.unwrap().len(), 1);
    repositories::set_config(&mut conn, here, None, "b", Some("line 1")).await.unwrap();
    assert!(repository_events::wanting_config(&mut conn).await.unwrap().is_empty());
}
