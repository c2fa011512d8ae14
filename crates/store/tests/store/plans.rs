//! What ingest looks up is found through an index, however many runs are stored.

use domain::{ids::RunId, intent::IntentKind, job_tokens::TokenKind};
use sqlx::PgConnection;
use store::{cancel_marks, checkpoints, commands, deliveries, gauges, hooks, intents, repositories, runs, tokens};
use uuid::Uuid;

use crate::world::{World, at, issue};

/// Enough for the planner to find reading the whole table too dear.
const FILL: &str = r#"
    insert into runs (id, repository_id, project_id, subject_kind, subject_number, subject_title, agent, trigger_kind,
        trigger_detail, business_key, requested_by_login, requested_by_id, requested_by_bot, state, outcome, finished_at,
        created_at)
    select gen_random_uuid(), r.id, r.project_id, 'issue', n / 5, 't', 'dev', 'label',
        '{"kind": "label", "label": "run:dev", "at": "2026-11-23T12:00:00Z"}', 'fill ' || n, 'ada', 7, false,
        'finished', 'lost', now(), now() - n * interval '1 minute'
    from repositories r, generate_series(1, 20000) n;
    insert into attempts (run_id, attempt, started_at) select id, 1, created_at from runs;
    insert into checkpoints (run_id, attempt, seq, at, work_blob, bytes) select id, 1, 1, created_at, 'w', 1 from runs;
    insert into deliveries (id, hook_key, guid, event, verdict, reason, received_at)
    select gen_random_uuid(), 1, 'fill ' || n, 'issues', 'no_rule', 'none', now() from generate_series(1, 20000) n;
    insert into write_intents (id, repository_id, kind, key, forge_id, created_at)
    select gen_random_uuid(), r.id, 'label', 'fill ' || n, n, now() from repositories r, generate_series(1, 20000) n;
    insert into engine_queues (workflow_id, next_seq) select 'fill ' || n, 2 from generate_series(1, 20000) n;
    insert into engine_commands (id, workflow_id, seq, kind, run_id, attempt, payload, state, next_try_at, created_at)
    select gen_random_uuid(), q.workflow_id, 1, 'start', (select id from runs limit 1), 1, '{}', 'done', now(), now()
    from engine_queues q;
    analyze runs, attempts, checkpoints, deliveries, write_intents, engine_queues, engine_commands;
"#;

/// How often whole tables were read, of those that grow.
async fn whole_reads(conn: &mut PgConnection) -> Vec<(String, i64)> {
    sqlx::raw_sql("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
    sqlx::raw_sql("select pg_stat_clear_snapshot()").execute(&mut *conn).await.unwrap();
    sqlx::query_as(
        "select relname::text, seq_scan from pg_stat_user_tables \
         where relname in ('runs', 'attempts', 'checkpoints', 'deliveries', 'write_intents', 'engine_queues', 'engine_commands') \
         order by relname",
    )
    .fetch_all(conn)
    .await
    .unwrap()
}

#[tokio::test]
async fn ingest_reads_no_whole_table() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    sqlx::raw_sql(FILL).execute(&mut *conn).await.unwrap();
    let here = world.repository;
    let before = whole_reads(&mut conn).await;
    assert_eq!(before.len(), 7);

    hooks::secrets_for(&mut conn, 1).await.unwrap();
    repositories::find_by_forge_id(&mut conn, 1).await.unwrap();
    assert!(runs::by_business_key(&mut conn, "fill 77").await.unwrap().is_some());
    assert!(runs::active_for_subject(&mut conn, here, issue(5)).await.unwrap().is_none());
    assert!(runs::latest_for_subject(&mut conn, here, issue(5)).await.unwrap().is_some());
    runs::count_recent_for_subject(&mut conn, here, issue(5), at(0)).await.unwrap();
    checkpoints::newest(&mut conn, RunId::from_uuid(Uuid::nil())).await.unwrap();
    runs::by_pull_request(&mut conn, here, 5).await.unwrap();
    assert!(intents::matches(&mut conn, here, IntentKind::Label, "fill 5").await.unwrap());
    assert!(intents::matches_forge_id(&mut conn, here, IntentKind::Label, 5).await.unwrap());
    cancel_marks::find_after(&mut conn, here, issue(5), at(0)).await.unwrap();
    deliveries::list_for_run(&mut conn, RunId::from_uuid(Uuid::nil())).await.unwrap();
    deliveries::list_recent(&mut conn, 20).await.unwrap();
    for kind in [TokenKind::Launch, TokenKind::Session, TokenKind::Model, TokenKind::Egress] {
        tokens::owner(&mut conn, kind, b"none").await.unwrap();
    }
    deliveries::unknown(&mut conn, 1, &["fill 5".to_owned(), "other".to_owned()]).await.unwrap();
    commands::pending(&mut conn, "fill 5", 10).await.unwrap();
    commands::workflows_with_pending(&mut conn, at(0), at(0), 10).await.unwrap();
    world.run(90_000).await;
    let work = gauges::work(&mut conn, at(0)).await.unwrap();
    assert_eq!(work.runs.iter().map(|(_, count)| count).sum::<u64>(), 1);

    assert_eq!(whole_reads(&mut conn).await, before);
    // The measure itself works: this one does read it all.
    sqlx::raw_sql("select count(*) from runs where subject_title = 'x'").execute(&mut *conn).await.unwrap();
    assert_ne!(whole_reads(&mut conn).await, before);
}
