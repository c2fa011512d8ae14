//! The audit trail: only ever added to.

use chrono::Utc;
use domain::{
    ids::{PersonId, ProjectId, RepositoryId},
    people::{PlatformRole, ProjectRole},
};
use serde_json::json;
use store::{
    audit::{self, AuditFilter, NewFlowEvent},
    members, partitions, people,
    repositories::{self, NewProject},
};

use crate::world::{World, at, new_repository};

fn event(kind: &str) -> NewFlowEvent<'_> {
    NewFlowEvent::new(Utc::now(), "ada", kind, json!({ "text": "\0" }))
}

/// A project beside the demo's, with a repository.
async fn other_project(world: &World) -> (ProjectId, RepositoryId) {
    let mut conn = world.conn().await;
    let new = NewProject { slug: "other", slots: 1, settings: json!({}), now: at(0) };
    let project = repositories::insert_project(&mut conn, new).await.unwrap();
    let repository = repositories::upsert_repository(&mut conn, new_repository(project, 2, "vault")).await.unwrap();
    (project, repository)
}

/// Somebody who may read these projects.
async fn reader(world: &World, email: &str, projects: &[ProjectId]) -> PersonId {
    let mut conn = world.conn().await;
    let person = people::add(&mut conn, &email.parse().unwrap(), PlatformRole::None, at(0)).await.unwrap().unwrap();
    for project in projects {
        members::put(&mut conn, *project, person, ProjectRole::Read, at(0)).await.unwrap();
    }
    person
}

/// The kinds of what is listed, a page of two after the other.
async fn listed(world: &World, filter: AuditFilter<'_>) -> Vec<String> {
    let mut conn = world.conn().await;
    let (mut kinds, mut before) = (Vec::new(), None);
    loop {
        let page = audit::list(&mut conn, AuditFilter { before, ..filter }, 2).await.unwrap();
        let Some(last) = page.last() else { return kinds };
        assert!(page.len() <= 2);
        before = Some(last.id);
        kinds.extend(page.into_iter().map(|event| event.kind));
    }
}

#[tokio::test]
async fn what_is_done_to_a_project_is_listed_with_what_is_done_in_it() {
    let world = World::new().await;
    let (other, vault) = other_project(&world).await;
    let run = world.run(1).await;
    let (demo, greeter) = (Some(world.project), Some(world.repository));
    let mut conn = world.conn().await;
    for new in [
        NewFlowEvent { project: demo, ..event("project.changed") },
        NewFlowEvent { repository: greeter, ..event("repository.detached") },
        NewFlowEvent { project: Some(other), ..event("project.other") },
        // Where it was is known from the run.
        NewFlowEvent { run: Some(run), ..event("run.finished") },
        event("platform"),
        NewFlowEvent { repository: Some(vault), ..event("repository.other") },
        NewFlowEvent { project: demo, ..event("project.paused") },
    ] {
        audit::append(&mut conn, new).await.unwrap();
    }
    let ada = reader(&world, "ada@acme.example", &[world.project]).await;
    let both = reader(&world, "both@acme.example", &[world.project, other]).await;
    let nobody = reader(&world, "nobody@acme.example", &[]).await;
    let of_demo = ["project.paused", "run.finished", "repository.detached", "project.changed"];
    let seen_by = |person| AuditFilter { seen_by: Some(person), ..AuditFilter::default() };
    assert_eq!(listed(&world, seen_by(ada)).await, of_demo);
    assert_eq!(listed(&world, AuditFilter { project: demo, ..AuditFilter::default() }).await, of_demo);
    assert_eq!(listed(&world, AuditFilter { project: demo, ..seen_by(both) }).await, of_demo);
    assert_eq!(listed(&world, AuditFilter { kind: Some("project"), ..seen_by(ada) }).await, [of_demo[0], of_demo[3]]);
    assert_eq!(listed(&world, AuditFilter { run: Some(run), ..seen_by(ada) }).await, ["run.finished"]);
    assert!(listed(&world, AuditFilter { project: Some(other), ..seen_by(ada) }).await.is_empty());
    assert!(listed(&world, seen_by(nobody)).await.is_empty());
    assert_eq!(
        listed(&world, seen_by(both)).await,
        [
            "project.paused",
            "repository.other",
            "run.finished",
            "project.other",
            "repository.detached",
            "project.changed"
        ]
    );
    assert_eq!(listed(&world, AuditFilter::default()).await.len(), 7);
    let newest = audit::list(&mut conn, seen_by(ada), 1).await.unwrap().remove(0);
    assert_eq!(newest.project, Some((world.project, "demo".to_owned())));
}

/// How many events were read, in whatever way.
async fn events_read(conn: &mut sqlx::PgConnection) -> i64 {
    sqlx::raw_sql("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
    sqlx::raw_sql("select pg_stat_clear_snapshot()").execute(&mut *conn).await.unwrap();
    sqlx::query_scalar(
        "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables where schemaname = 'audit'",
    )
    .fetch_one(conn)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_page_of_a_quiet_project_is_read_without_the_events_of_others() {
    let world = World::new().await;
    let (other, vault) = other_project(&world).await;
    let mut conn = world.conn().await;
    for number in 0..3 {
        let quiet = NewFlowEvent { project: Some(other), ..event("project.changed") };
        audit::append(&mut conn, quiet).await.unwrap();
        let there = NewFlowEvent { repository: Some(vault), ..event("repository.checked") };
        audit::append(&mut conn, NewFlowEvent { at: at(-86_400 * 40 * number), ..there }).await.unwrap();
    }
    // With two places, and so many events in one month, reading them by their ids looks cheap.
    let fill = "insert into audit.flow_events (id, at, repository_id, actor, kind, detail) \
        select uuidv7(), now() - n * interval '2 seconds', r.id, 'worker', 'run_finished', '{}' \
        from repositories r, generate_series(1, 60000) n where r.name = 'greeter'; \
        insert into audit.flow_events (id, at, project_id, actor, kind, detail) \
        select uuidv7(), now() - n * interval '10 minutes', p.id, 'ada', 'member.set', '{}' \
        from projects p, generate_series(1, 5000) n where p.slug = 'demo'; analyze audit.flow_events";
    sqlx::raw_sql(fill).execute(&mut *conn).await.unwrap();
    let member = reader(&world, "ada@acme.example", &[other]).await;
    let everyone = reader(&world, "both@acme.example", &[world.project, other]).await;
    let of_other = AuditFilter { project: Some(other), ..AuditFilter::default() };
    let seen_by = |person| AuditFilter { seen_by: Some(person), ..AuditFilter::default() };
    // Often enough for a plan that holds for every filter.
    for _ in 0..12 {
        for (filter, expected, most) in [
            (of_other, 6, 50),
            (seen_by(member), 6, 50),
            (seen_by(everyone), 50, 500),
            (AuditFilter::default(), 50, 500),
        ] {
            let before = events_read(&mut conn).await;
            assert_eq!(audit::list(&mut conn, filter, 50).await.unwrap().len(), expected, "{filter:?}");
            let read = events_read(&mut conn).await - before;
            assert!(read <= most, "{read} events were read for {filter:?}");
        }
    }
    // The measure itself works.
    let before = events_read(&mut conn).await;
    sqlx::raw_sql("select count(detail) from audit.flow_events").execute(&mut *conn).await.unwrap();
    assert!(events_read(&mut conn).await - before >= 25_000);
}

#[tokio::test]
async fn a_kind_is_listed_with_those_that_begin_with_it_and_a_dot() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    for number in 0..3 {
        for kind in ["pause", "pause.ended", "pause-x", "pauses", "pause_ended", "pause/x", "pause.begun", "a", "z"] {
            let long_ago = at(-86_400 * 40 * number);
            audit::append(&mut conn, NewFlowEvent { at: long_ago, ..event(kind) }).await.unwrap();
        }
    }
    let of_kind = |kind| AuditFilter { kind: Some(kind), ..AuditFilter::default() };
    assert_eq!(listed(&world, of_kind("pause")).await, ["pause.begun", "pause.ended", "pause"].repeat(3));
    assert_eq!(listed(&world, of_kind("pause.ended")).await, ["pause.ended"; 3]);
    assert!(listed(&world, of_kind("paus")).await.is_empty());
    let of_ada = AuditFilter { actor: Some("ADA"), since: Some(at(-1)), ..of_kind("pause") };
    assert_eq!(listed(&world, of_ada).await.len(), 3);
    assert!(listed(&world, AuditFilter { actor: Some("bob"), ..of_kind("pause") }).await.is_empty());
}

#[tokio::test]
async fn a_page_of_a_rare_kind_is_read_without_the_events_of_other_kinds() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    for number in 0..3 {
        let long_ago = at(-86_400 * 40 * number);
        audit::append(&mut conn, NewFlowEvent { at: long_ago, ..event("pause.begun") }).await.unwrap();
    }
    let fill = "insert into audit.flow_events (id, at, repository_id, actor, kind, detail) \
        select uuidv7(), now() - n * interval '10 minutes', r.id, 'worker', 'run_finished', '{}' \
        from repositories r, generate_series(1, 20000) n; analyze audit.flow_events";
    sqlx::raw_sql(fill).execute(&mut *conn).await.unwrap();
    let of_kind = |kind| AuditFilter { kind: Some(kind), ..AuditFilter::default() };
    let newest = audit::list(&mut conn, of_kind("pause"), 1).await.unwrap()[0].id;
    let rest = AuditFilter { before: Some(newest), ..of_kind("pause") };
    // Often enough for a plan that holds for every filter.
    for _ in 0..12 {
        for (filter, expected, most) in [
            (of_kind("pause"), 3, 100),
            (of_kind("pause.begun"), 3, 100),
            (rest, 2, 100),
            (of_kind("none"), 0, 100),
            (of_kind("run_finished"), 50, 500),
        ] {
            let before = events_read(&mut conn).await;
            assert_eq!(audit::list(&mut conn, filter, 50).await.unwrap().len(), expected, "{filter:?}");
            let read = events_read(&mut conn).await - before;
            assert!(read <= most, "{read} events were read for {filter:?}");
        }
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
