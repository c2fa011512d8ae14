//! What is known of hooks' delivery logs, and of the reconcilers that read them.

use domain::{connection::CredentialKind, ids::HookId, reconciler::Reconciler};
use store::{
    credentials::{self, NewCredential},
    hook_logs::{self, HookLog, Looked},
    hooks::{self, NewHook},
    reconcilers,
    repositories::{self, NewRepository},
};

use uuid::Uuid;

use crate::world::{World, at, new_repository};

const HOOK: i64 = 31;

/// A hook of a repository with a credential.
async fn hooked() -> World {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let new = NewCredential { kind: CredentialKind::Token, key_id: "k", sealed: b"s", login: None, now: at(0) };
    let credential = Some(credentials::insert(&mut conn, new).await.unwrap());
    let opened = NewRepository { credential, ..new_repository(world.project, 1, "greeter") };
    repositories::upsert_repository(&mut conn, opened).await.unwrap();
    for (forge_hook_id, repository) in [(HOOK, Some(world.repository)), (32, None)] {
        let id = HookId::from_uuid(Uuid::now_v7());
        let hook = NewHook { id, forge_hook_id, repository, current: None, previous: None, now: at(5) };
        hooks::insert(&mut conn, hook).await.unwrap();
    }
    world
}

async fn the_log(world: &World) -> HookLog {
    let mut logs = hook_logs::list(&mut *world.conn().await).await.unwrap();
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.remove(0)
}

#[tokio::test]
async fn a_gap_is_noted_until_a_whole_look() {
    let world = hooked().await;
    let mut conn = world.conn().await;
    let fresh = the_log(&world).await;
    assert_eq!((fresh.read_until, fresh.look.looked_at, fresh.look.wanted_at), (at(5), None, None));

    hook_logs::want_look(&mut conn, HOOK, at(10)).await.unwrap();
    hook_logs::want_all_looks(&mut conn, at(11)).await.unwrap();
    hook_logs::want_look(&mut conn, 404, at(11)).await.unwrap();
    assert_eq!(the_log(&world).await.look.wanted_at, Some(at(10)), "the oldest gap counts");

    let failed = Looked::Failed { problem: "down\0", not_before: at(99) };
    hook_logs::looked(&mut conn, fresh.id, at(20), failed).await.unwrap();
    let log = the_log(&world).await.look;
    assert_eq!((log.wanted_at, log.not_before, log.looked_at), (Some(at(10)), Some(at(99)), None));
    assert_eq!(hook_logs::problem(&mut conn, HOOK).await.unwrap().unwrap(), "down\u{fffd}");

    hook_logs::looked(&mut conn, fresh.id, at(21), Looked::Partly).await.unwrap();
    assert_eq!(the_log(&world).await.look.wanted_at, Some(at(10)));

    let whole = Looked::Whole { read_until: Some(at(19)), etag: Some("tag") };
    hook_logs::looked(&mut conn, fresh.id, at(30), whole).await.unwrap();
    let log = the_log(&world).await;
    assert_eq!((log.read_until, log.etag.as_deref()), (at(19), Some("tag")));
    assert_eq!((log.look.wanted_at, log.look.not_before, log.look.looked_at), (None, None, Some(at(30))));
    assert_eq!(hook_logs::problem(&mut conn, HOOK).await.unwrap(), None);

    // Nothing new: how far it was read stays.
    let unchanged = Looked::Whole { read_until: None, etag: Some("tag") };
    hook_logs::looked(&mut conn, fresh.id, at(40), unchanged).await.unwrap();
    assert_eq!(the_log(&world).await.read_until, at(19));
}

#[tokio::test]
async fn a_gap_that_comes_while_the_log_is_read_stays_noted() {
    let world = hooked().await;
    let mut conn = world.conn().await;
    let log = the_log(&world).await;
    hook_logs::want_look(&mut conn, HOOK, at(31)).await.unwrap();
    hook_logs::looked(&mut conn, log.id, at(30), Looked::Whole { read_until: None, etag: None }).await.unwrap();
    assert_eq!(the_log(&world).await.look.wanted_at, Some(at(31)));
    // One that can't be read is not asked for again and again.
    hook_logs::looked(&mut conn, log.id, at(32), Looked::Impossible { problem: "no right" }).await.unwrap();
    let look = the_log(&world).await.look;
    assert_eq!((look.wanted_at, look.looked_at), (None, Some(at(32))));
}

#[tokio::test]
async fn archived_repositories_are_left_alone() {
    let world = hooked().await;
    let mut conn = world.conn().await;
    let archived = NewRepository { archived: true, ..new_repository(world.project, 1, "greeter") };
    repositories::upsert_repository(&mut conn, archived).await.unwrap();
    assert_eq!(hook_logs::list(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn a_reconcilers_last_run_is_seen() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let name = Reconciler::PartitionsAhead;
    for (found, second) in [(Ok("made 3 partitions"), 0), (Err("the database fell over"), 10)] {
        reconcilers::begin(&mut conn, name, at(second)).await.unwrap();
        assert_eq!(reconcilers::list(&mut conn).await.unwrap()[0].ended_at, None);
        reconcilers::end(&mut conn, name, found, at(second + 2)).await.unwrap();
        let seen = reconcilers::list(&mut conn).await.unwrap();
        assert_eq!((seen.len(), seen[0].started_at, seen[0].ended_at), (1, at(second), Some(at(second + 2))));
        assert_eq!(seen[0].finding.as_deref(), Some("made 3 partitions"));
        assert_eq!(seen[0].error.as_deref(), found.err());
    }
}
