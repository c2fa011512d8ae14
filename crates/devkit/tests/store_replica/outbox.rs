//! What a crash of Postgres leaves of the outbox, whose less important commits do not wait for the disk.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use store::{
    CommandState, Store, benching,
    commands::{self, Holder},
    repositories::{self, NewProject, NewRepository},
};
use uuid::Uuid;

use crate::servers;

const SPAN: Duration = Duration::from_secs(30);

async fn connect_a_repository(store: &Store) -> anyhow::Result<()> {
    let mut conn = store.acquire().await?;
    let project = NewProject { slug: "demo", slots: 3, settings: json!({}), now: Utc::now() };
    let repository = NewRepository {
        project: repositories::insert_project(&mut conn, project).await?,
        forge_repo_id: 1,
        owner: "acme",
        name: "greeter",
        default_branch: "main",
        private: false,
        archived: false,
        credential: None,
        now: Utc::now(),
    };
    repositories::upsert_repository(&mut conn, repository).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_takes_ends_and_leases_and_never_what_was_announced() -> anyhow::Result<()> {
    let (mut server, folder) = servers::durable().await?;
    // Else the writer may be so fast that nothing is lost, and nothing shown.
    server.ask("alter system set wal_writer_delay = '10s'").await?;
    server.ask("select pg_reload_conf()").await?;
    let mut store = Store::connect(&server.url(), 2).await?;
    store::migrate(store.pool()).await?;
    connect_a_repository(&store).await?;
    let mut lost = 0;
    for round in 0..5_i32 {
        let waiting = benching::waiting_starts(&store, &"crash".parse()?, 9).await?;
        // They are due from now on.
        let now = Utc::now();
        let mut conn = store.acquire().await?;
        for (place, workflow_id) in waiting.iter().enumerate() {
            let owner = Uuid::new_v4();
            if place % 3 == 0 {
                assert!(commands::lease(&mut conn, workflow_id, owner, now, SPAN).await?);
                continue;
            }
            let holder = Holder { workflow_id, owner };
            let begun = commands::begin_lone_try(&mut conn, holder, now, SPAN, DateTime::UNIX_EPOCH).await?;
            let begun = begun.context("it waits alone and is due")?;
            if place % 3 == 2 {
                assert!(!commands::done_and_release(&mut conn, &begun, owner).await?);
            }
        }
        drop(conn);
        server.stop().await?;
        server.start().await?;
        // The old connections are gone.
        store = Store::connect(&server.url(), 2).await?;
        let mut conn = store.acquire().await?;
        for (place, workflow_id) in waiting.iter().enumerate() {
            let (tries, owner) = (u32::from(place % 3 > 0), Uuid::new_v4());
            let later = now + TimeDelta::seconds(31);
            assert!(commands::lease(&mut conn, workflow_id, owner, later, SPAN).await?);
            let again = commands::pending(&mut conn, workflow_id, 2).await?;
            if again.is_empty() {
                assert_eq!(place % 3, 2, "only what was delivered may be over");
                continue;
            }
            lost += i32::from(place % 3 == 2);
            assert_eq!(
                (again[0].tries, again[0].state),
                (tries, CommandState::Pending),
                "round {round}, place {place}"
            );
            // What the engine may have is never taken for something that it has not.
            assert_eq!(commands::drop_pending_start(&mut conn, workflow_id).await?, tries == 0);
            if tries > 0 {
                commands::mark_done(&mut conn, again[0].id).await?;
            }
        }
    }
    assert!(lost > 0, "no end was lost, so nothing was shown");
    server.stop().await?;
    Ok(folder.close()?)
}
