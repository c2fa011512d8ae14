//! The audit trail: only ever added to.

use chrono::Utc;
use serde_json::json;
use store::{
    audit::{self, NewFlowEvent},
    partitions,
};

use crate::world::{World, at};

fn event(kind: &str) -> NewFlowEvent<'_> {
    NewFlowEvent {
        at: Utc::now(),
        run: None,
        repository: None,
        delivery: None,
        actor: "ada",
        kind,
        detail: json!({ "text": "\0" }),
    }
}

#[tokio::test]
async fn events_are_listed_as_they_happened() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    for kind in ["run_started", "run_finished"] {
        audit::append(&mut conn, NewFlowEvent { run: Some(run), ..event(kind) }).await.unwrap();
    }
    audit::append(&mut conn, event("elsewhere")).await.unwrap();
    let events = audit::list_for_run(&mut conn, run).await.unwrap();
    assert_eq!(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["run_started", "run_finished"]);
    assert_eq!(events[0].detail, json!({ "text": "\u{fffd}" }));
}

#[tokio::test]
async fn not_even_the_owner_changes_it() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    audit::append(&mut conn, event("now")).await.unwrap();
    audit::append(&mut conn, NewFlowEvent { at: at(-86_400 * 400), ..event("long ago") }).await.unwrap();
    let partitions: Vec<String> = sqlx::query_scalar(
        "select 'audit.' || c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid \
         where i.inhparent = 'audit.flow_events'::regclass",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    assert!(partitions.len() >= 5, "{partitions:?}");
    for table in partitions.iter().map(String::as_str).chain(["audit.flow_events"]) {
        let truncate = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("truncate {table}"))).execute(&mut *conn).await;
        assert!(truncate.unwrap_err().to_string().contains("append-only"), "{table}");
    }
    for change in [
        "update audit.flow_events set actor = 'eve'",
        "delete from audit.flow_events",
        "delete from audit.flow_events_default",
        "update audit.flow_events set at = at + interval '1 month'",
    ] {
        let error = sqlx::raw_sql(change).execute(&mut *conn).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{change}: {error}");
    }
    let left: i64 = sqlx::query_scalar("select count(*) from audit.flow_events").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn partitions_are_made_ahead_once() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let now = at(86_400 * 365 * 3);
    let ensured = partitions::ensure(&mut conn, now).await.unwrap();
    assert_eq!((ensured.made, ensured.strays), (15 + 4, false));
    assert_eq!(partitions::ensure(&mut conn, now).await.unwrap().made, 0);
    let tomorrow = now + chrono::TimeDelta::days(1);
    assert_eq!(partitions::ensure(&mut conn, tomorrow).await.unwrap().made, 1);
    // What came when there was no partition is told, and harms nothing.
    let stray = now + chrono::TimeDelta::days(400);
    audit::append(&mut conn, NewFlowEvent { at: stray, ..event("early") }).await.unwrap();
    let ensured = partitions::ensure(&mut conn, stray).await.unwrap();
    assert!(ensured.strays);
    assert_eq!(ensured.made, 15 + 3, "all but the month of the stray");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_make_partitions_at_once() {
    let world = World::new().await;
    let made = futures::future::join_all((0..4).map(|_| {
        let store = world.store();
        tokio::spawn(async move {
            let mut conn = store.acquire().await.unwrap();
            partitions::ensure(&mut conn, at(86_400 * 900)).await.unwrap().made
        })
    }))
    .await;
    assert_eq!(made.into_iter().map(Result::unwrap).sum::<u32>(), 19);
}
