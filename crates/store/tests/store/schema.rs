//! Rules of the schema, asked of the catalogue.

use std::collections::BTreeSet;

use domain::{
    connection::{ConnectionPurpose, ConnectionState, ConnectionStep, CredentialKind},
    intent::IntentKind,
    job::LogStream,
    run::{Outcome, RunState, Step},
    triggers::{DeliverySource, TriggerKind, VerdictKind},
};
use store::{
    CommandKind, CommandState, JobState, ModelCallKind, StepState, SubjectKind, UploadKind, testing::TestDatabase,
};

async fn texts(database: &TestDatabase, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(database.store().pool()).await.unwrap()
}

#[tokio::test]
async fn migrating_twice_is_fine() {
    let database = TestDatabase::create().await;
    let count = "select count(*)::text || ':' || (select count(*) from pg_class) from _sqlx_migrations";
    let before = texts(&database, count).await;
    store::migrate(database.store().pool()).await.unwrap();
    store::migrate(database.store().pool()).await.unwrap();
    assert_eq!(texts(&database, count).await, before);
}

#[tokio::test]
async fn a_new_connection_finds_the_schema() {
    let database = TestDatabase::create().await;
    let store = store::Store::connect(database.url(), 2).await.unwrap();
    let mut conn = store.acquire().await.unwrap();
    assert!(store::repositories::list(&mut conn).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    let error = store::Store::connect("postgres://nobody@127.0.0.1:1/none", 1).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

#[tokio::test]
async fn every_foreign_key_has_an_index() {
    let database = TestDatabase::create().await;
    let bare = texts(
        &database,
        "select c.conrelid::regclass::text || ' ' || c.conname from pg_constraint c \
         where c.contype = 'f' and c.conparentid = 0 and not exists ( \
             select from pg_index i where i.indrelid = c.conrelid \
             and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) like '%IS NOT NULL%') \
             and (select array_agg(k order by k) from unnest((i.indkey::int2[])[0:cardinality(c.conkey) - 1]) k) \
                 = (select array_agg(k order by k) from unnest(c.conkey) k))",
    )
    .await;
    assert!(bare.is_empty(), "{bare:?}");
}

#[tokio::test]
async fn audit_refers_to_nothing_outside() {
    let database = TestDatabase::create().await;
    let keys = texts(
        &database,
        "select conname::text from pg_constraint c join pg_class t on t.oid = c.conrelid \
         join pg_namespace n on n.oid = t.relnamespace where c.contype = 'f' and n.nspname = 'audit'",
    )
    .await;
    assert!(keys.is_empty(), "{keys:?}");
}

/// The words that the check constraint on a column allows.
async fn allowed(database: &TestDatabase, table: &str, column: &str) -> BTreeSet<String> {
    let definition: Option<String> = sqlx::query_scalar(
        "select pg_get_constraintdef(c.oid) from pg_constraint c \
         join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum] \
         where c.contype = 'c' and c.conrelid = $1::regclass and a.attname = $2",
    )
    .bind(table)
    .bind(column)
    .fetch_optional(database.store().pool())
    .await
    .unwrap();
    let definition = definition.unwrap_or_else(|| panic!("{table}.{column} takes any text"));
    definition.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

macro_rules! words {
    ($kind:ty) => {
        <$kind>::ALL.iter().map(|word| word.as_str().to_owned()).collect::<BTreeSet<_>>()
    };
}

#[tokio::test]
async fn every_column_of_words_takes_exactly_the_words_there_are() {
    let database = TestDatabase::create().await;
    let streams = words!(LogStream);
    let expected: Vec<(&str, &str, BTreeSet<String>)> = vec![
        ("runs", "state", words!(RunState)),
        ("runs", "step", words!(Step)),
        ("runs", "outcome", words!(Outcome)),
        ("runs", "subject_kind", words!(SubjectKind)),
        ("runs", "trigger_kind", words!(TriggerKind)),
        ("attempts", "from_step", words!(Step)),
        ("attempts", "job_state", words!(JobState)),
        ("attempts", "outcome", words!(Outcome)),
        ("steps", "step", words!(Step)),
        ("steps", "state", words!(StepState)),
        ("log_chunks", "stream", streams),
        ("deliveries", "verdict", words!(VerdictKind)),
        ("deliveries", "source", words!(DeliverySource)),
        ("cancel_marks", "subject_kind", words!(SubjectKind)),
        ("storms", "subject_kind", words!(SubjectKind)),
        ("write_intents", "kind", words!(IntentKind)),
        ("engine_commands", "kind", words!(CommandKind)),
        ("engine_commands", "state", words!(CommandState)),
        ("credentials", "kind", words!(CredentialKind)),
        ("connections", "purpose", words!(ConnectionPurpose)),
        ("connections", "state", words!(ConnectionState)),
        ("connections", "step", words!(ConnectionStep)),
        ("model_calls", "kind", words!(ModelCallKind)),
        ("uploads", "kind", words!(UploadKind)),
        ("upload_parts", "kind", words!(UploadKind)),
    ];
    for (table, column, words) in &expected {
        assert_eq!(allowed(&database, table, column).await, *words, "{table}.{column}");
    }
    // A column of such a name that is missing above was forgotten.
    let named = texts(
        &database,
        "select c.table_name || '.' || c.column_name from information_schema.columns c \
         join information_schema.tables t using (table_schema, table_name) \
         where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.data_type = 'text' \
         and c.column_name ~ '(^|_)(state|kind|step|outcome|verdict|stream|source|purpose)$'",
    )
    .await;
    let listed: BTreeSet<String> = expected.iter().map(|(table, column, _)| format!("{table}.{column}")).collect();
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), listed);
}

#[tokio::test]
async fn every_time_has_a_zone() {
    let database = TestDatabase::create().await;
    let bare = texts(
        &database,
        "select table_name || '.' || column_name from information_schema.columns \
         where table_schema in ('public', 'audit') and data_type = 'timestamp without time zone'",
    )
    .await;
    assert!(bare.is_empty(), "{bare:?}");
}

#[tokio::test]
async fn partitions_are_there_from_the_first_migration_on() {
    let database = TestDatabase::create().await;
    let names = texts(
        &database,
        "select inhrelid::regclass::text from pg_inherits join pg_class p on p.oid = inhparent where p.relkind = 'p'",
    )
    .await;
    let count = |start: &str| names.iter().filter(|name| name.starts_with(start)).count();
    assert_eq!((count("delivery_payloads_2"), count("audit.flow_events_2")), (15, 4), "{names:?}");
    assert_eq!((count("delivery_payloads_default"), count("audit.flow_events_default")), (1, 1));
}
