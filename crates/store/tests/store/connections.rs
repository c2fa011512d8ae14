//! Connections: one at a time, moved forward, ended once.

use domain::{
    connection::{ConnectionPurpose, ConnectionState, ConnectionStep, CredentialKind},
    ids::{ConnectionId, CredentialId, HookId},
    rights::{Right, RightCheck},
};
use store::{
    CommandKind, PgConnection, StoreError,
    commands::{self, About, NewCommand},
    connections::{self, ConnectionWish, NewConnection, PlannedHook},
    credentials::{self, NewCredential},
};
use uuid::Uuid;

use crate::world::{World, at};

static NOBODYS: ConnectionWish = ConnectionWish { by: None, reason: None, cancel_runs: false };

async fn credential(conn: &mut PgConnection) -> CredentialId {
    let new = NewCredential { kind: CredentialKind::Token, key_id: "k1", sealed: b"sealed", login: None, now: at(0) };
    credentials::insert(conn, new).await.unwrap()
}

fn hook() -> PlannedHook {
    let copy = Some(("k1".to_owned(), b"for the worker".to_vec()));
    let id = HookId::from_uuid(Uuid::now_v7());
    PlannedHook { id, url: "https://x.example/hook".to_owned(), secret: b"for the gateway".to_vec(), copy }
}

fn new<'a>(world: &World, credential: CredentialId, name: &'a str, hook: &'a PlannedHook) -> NewConnection<'a> {
    NewConnection {
        id: ConnectionId::from_uuid(Uuid::now_v7()),
        purpose: ConnectionPurpose::Connect,
        project: world.project,
        credential: Some(credential),
        owner: "acme",
        name,
        repository: None,
        hook: Some(hook),
        wish: &NOBODYS,
        now: at(0),
    }
}

#[tokio::test]
async fn a_connection_goes_forward_and_ends_once() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (credential, hook) = (credential(&mut conn).await, hook());
    let asked = new(&world, credential, "greeter", &hook);
    connections::insert(&mut conn, asked).await.unwrap();
    let stored = connections::get(&mut conn, asked.id).await.unwrap();
    assert_eq!((stored.state, stored.step, &stored.message), (ConnectionState::Waiting, None, &None));
    assert!(stored.hook.as_ref() == Some(&hook));

    assert!(connections::begin_step(&mut conn, asked.id, ConnectionStep::Rights, at(1)).await.unwrap());
    connections::note(&mut conn, asked.id, "The forge is away.", at(2)).await.unwrap();
    let rights = [RightCheck { right: Right::Contents, held: false, remedy: Some("there".to_owned()) }];
    connections::set_rights(&mut conn, asked.id, &rights, at(3)).await.unwrap();
    assert!(connections::begin_step(&mut conn, asked.id, ConnectionStep::Repository, at(4)).await.unwrap());
    connections::set_repository(&mut conn, asked.id, world.repository, at(5)).await.unwrap();
    connections::forget_copy(&mut conn, asked.id, at(5)).await.unwrap();
    let stored = connections::get(&mut conn, asked.id).await.unwrap();
    assert_eq!((stored.state, stored.step), (ConnectionState::Working, Some(ConnectionStep::Repository)));
    assert_eq!((stored.rights.as_deref(), &stored.message), (Some(&rights[..]), &None));
    assert_eq!(stored.repository, Some(world.repository));
    assert!(stored.hook.unwrap().copy.is_none());

    assert!(connections::complete(&mut conn, asked.id, "Connected.", at(6)).await.unwrap());
    assert!(!connections::fail(&mut conn, asked.id, "Too late.", at(7)).await.unwrap());
    assert!(!connections::begin_step(&mut conn, asked.id, ConnectionStep::Hook, at(8)).await.unwrap());
    let stored = connections::get(&mut conn, asked.id).await.unwrap();
    assert_eq!((stored.state, stored.message.as_deref()), (ConnectionState::Done, Some("Connected.")));
}

#[tokio::test]
async fn a_repository_is_connected_by_one_at_a_time() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (credential, hook) = (credential(&mut conn).await, hook());
    let first = new(&world, credential, "greeter", &hook);
    connections::insert(&mut conn, first).await.unwrap();
    let second = connections::insert(&mut conn, new(&world, credential, "Greeter", &hook)).await;
    assert!(matches!(second, Err(StoreError::Conflict { .. })), "{second:?}");
    let found = connections::under_way(&mut conn, "ACME", "greeter").await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(first.id));
    let check =
        NewConnection { purpose: ConnectionPurpose::Check, hook: None, ..new(&world, credential, "greeter", &hook) };
    connections::insert(&mut conn, check).await.unwrap();
    assert!(connections::fail(&mut conn, first.id, "It was not to be.", at(1)).await.unwrap());
    assert!(connections::get(&mut conn, first.id).await.unwrap().hook.unwrap().copy.is_none());
    connections::insert(&mut conn, new(&world, credential, "greeter", &hook)).await.unwrap();
}

#[tokio::test]
async fn a_wish_to_detach_is_kept_whole_and_stands_in_the_way_of_others() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (credential, hook) = (credential(&mut conn).await, hook());
    let wish =
        ConnectionWish { by: Some(("ada".to_owned(), 7)), reason: Some("It moves.".to_owned()), cancel_runs: true };
    let detach = NewConnection {
        purpose: ConnectionPurpose::Detach,
        credential: None,
        repository: Some(world.repository),
        hook: None,
        wish: &wish,
        ..new(&world, credential, "greeter", &hook)
    };
    connections::insert(&mut conn, detach).await.unwrap();
    let stored = connections::get(&mut conn, detach.id).await.unwrap();
    assert_eq!((stored.purpose, stored.credential, &stored.wish), (ConnectionPurpose::Detach, None, &wish));
    let rotate = NewConnection { purpose: ConnectionPurpose::Rotate, ..new(&world, credential, "greeter", &hook) };
    let second = connections::insert(&mut conn, rotate).await;
    assert!(matches!(second, Err(StoreError::Conflict { .. })), "{second:?}");
    let found = connections::under_way(&mut conn, "acme", "Greeter").await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(detach.id));
}

#[tokio::test]
async fn a_copy_is_sealed_anew_in_its_place() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (credential, hook) = (credential(&mut conn).await, hook());
    let asked = new(&world, credential, "greeter", &hook);
    connections::insert(&mut conn, asked).await.unwrap();
    assert!(connections::sealed_for_others(&mut conn, "k1").await.unwrap().is_empty());
    let found = connections::sealed_for_others(&mut conn, "k2").await.unwrap().remove(0);
    assert!(connections::reseal(&mut conn, &found, "k2", b"new").await.unwrap());
    assert!(!connections::reseal(&mut conn, &found, "k2", b"newer").await.unwrap());
    let copy = connections::get(&mut conn, asked.id).await.unwrap().hook.unwrap().copy;
    assert!(copy == Some(("k2".to_owned(), b"new".to_vec())));
}

#[tokio::test]
async fn a_command_can_drive_a_connection() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (credential, hook) = (credential(&mut conn).await, hook());
    let asked = new(&world, credential, "greeter", &hook);
    connections::insert(&mut conn, asked).await.unwrap();
    let command = NewCommand {
        workflow_id: "test:connect:x",
        kind: CommandKind::Start,
        about: About::Connection(asked.id),
        name: Some("ConnectRepository"),
        payload: serde_json::json!({ "connection": asked.id }),
        now: at(0),
    };
    let id = commands::enqueue(&mut conn, command).await.unwrap();
    assert_eq!(commands::get(&mut conn, id).await.unwrap().about, About::Connection(asked.id));
}
