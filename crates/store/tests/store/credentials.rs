//! Credentials: kept sealed, sealed anew in place.

use domain::{
    connection::CredentialKind,
    ids::{CredentialId, RunId},
};
use store::{
    connected,
    credentials::{self, Learnt, NewCredential},
    repositories::{self, NewRepository},
};
use uuid::Uuid;

use crate::world::{World, at, new_repository};

fn new<'a>(key_id: &'a str, sealed: &'a [u8]) -> NewCredential<'a> {
    NewCredential { kind: CredentialKind::Token, key_id, sealed, login: None, now: at(0) }
}

#[tokio::test]
async fn a_credential_is_kept_sealed() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let app = NewCredential { kind: CredentialKind::App, ..new("k1", b"\0box") };
    let id = credentials::insert(&mut conn, app).await.unwrap();
    let stored = credentials::get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((stored.key_id.as_str(), stored.sealed.as_slice(), stored.revoked_at), ("k1", &b"\0box"[..], None));
    assert_eq!(stored.kind, CredentialKind::App);
    credentials::revoke(&mut conn, id, at(5)).await.unwrap();
    credentials::revoke(&mut conn, id, at(6)).await.unwrap();
    assert_eq!(credentials::get(&mut conn, id).await.unwrap().unwrap().revoked_at, Some(at(5)));
    assert!(credentials::get(&mut conn, CredentialId::from_uuid(Uuid::nil())).await.unwrap().is_none());
    // Connecting again without naming one keeps it.
    let with = NewRepository { credential: Some(id), ..new_repository(world.project, 1, "greeter") };
    repositories::upsert_repository(&mut conn, with).await.unwrap();
    repositories::upsert_repository(&mut conn, new_repository(world.project, 1, "greeter")).await.unwrap();
    assert_eq!(repositories::get(&mut conn, world.repository).await.unwrap().credential, Some(id));
}

#[tokio::test]
async fn a_run_is_written_about_with_the_credential_of_its_repository() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert_eq!(repositories::credential_of_run(&mut conn, run).await.unwrap(), None);
    let id = credentials::insert(&mut conn, new("k1", b"box")).await.unwrap();
    let with = NewRepository { credential: Some(id), ..new_repository(world.project, 1, "greeter") };
    repositories::upsert_repository(&mut conn, with).await.unwrap();
    assert_eq!(repositories::credential_of_run(&mut conn, run).await.unwrap(), Some(id));
    assert!(repositories::credential_of_run(&mut conn, RunId::from_uuid(Uuid::nil())).await.is_err());
}

#[tokio::test]
async fn what_the_forge_tells_is_kept() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let id = credentials::insert(&mut conn, new("k1", b"box")).await.unwrap();
    let with = NewRepository { credential: Some(id), ..new_repository(world.project, 1, "greeter") };
    repositories::upsert_repository(&mut conn, with).await.unwrap();
    credentials::learn(&mut conn, id, Learnt { login: Some("bot"), expires_at: Some(at(9)) }).await.unwrap();
    credentials::learn(&mut conn, id, Learnt { login: None, expires_at: None }).await.unwrap();
    let listed = connected::list(&mut conn).await.unwrap();
    assert_eq!(listed.len(), 1);
    let credential = listed[0].credential.clone().unwrap();
    assert_eq!((credential.login.as_deref(), credential.expires_at), (Some("bot"), Some(at(9))));
    assert_eq!(
        (listed[0].full_name.as_str(), listed[0].has_hook, listed[0].last_delivery_at),
        ("acme/greeter", false, None)
    );
}

#[tokio::test]
async fn a_box_is_replaced_once() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let old = credentials::insert(&mut conn, new("k1", b"one")).await.unwrap();
    credentials::insert(&mut conn, new("k2", b"two")).await.unwrap();
    let mut boxes = credentials::sealed_for_others(&mut conn, "k2").await.unwrap();
    assert_eq!(boxes.iter().map(|sealed| sealed.id).collect::<Vec<_>>(), [old]);
    let found = boxes.remove(0);
    assert!(credentials::reseal(&mut conn, &found, "k2", b"one again").await.unwrap());
    assert!(!credentials::reseal(&mut conn, &found, "k3", b"late").await.unwrap());
    let stored = credentials::get(&mut conn, old).await.unwrap().unwrap();
    assert_eq!((stored.key_id.as_str(), stored.sealed.as_slice()), ("k2", &b"one again"[..]));
    assert_eq!(credentials::count_sealed_for(&mut conn, "k2").await.unwrap(), 2);
}

#[tokio::test]
async fn one_that_nothing_uses_is_withdrawn_for_good() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let id = credentials::insert(&mut conn, new("k1", b"box")).await.unwrap();
    let with = NewRepository { credential: Some(id), ..new_repository(world.project, 1, "greeter") };
    repositories::upsert_repository(&mut conn, with).await.unwrap();
    assert!(!credentials::withdraw_unused(&mut conn, id, at(1)).await.unwrap());
    assert_eq!(repositories::take_credential(&mut conn, world.repository).await.unwrap(), None, "it is attached");
    repositories::detach(&mut conn, world.repository, at(2)).await.unwrap();
    assert_eq!(repositories::take_credential(&mut conn, world.repository).await.unwrap(), Some(id));
    assert!(credentials::withdraw_unused(&mut conn, id, at(3)).await.unwrap());
    let stored = credentials::get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((stored.sealed.as_slice(), stored.revoked_at), (&b""[..], Some(at(3))));
    // An empty box is nothing that a new key could open.
    assert!(credentials::sealed_for_others(&mut conn, "k2").await.unwrap().is_empty());
    assert_eq!(credentials::count_sealed_for(&mut conn, "k1").await.unwrap(), 0);
}
