//! Fresh databases for tests: clones of a template that holds the schema.

use std::{env, time::Duration};

use chrono::Utc;
use domain::{
    ids::{Attempt, RunId},
    run::Step,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{
    Result, Store, attempts, migrate,
    migrations::MIGRATOR,
    steps::{self, StepKey},
};

/// Names the real Postgres that tests use.
pub const URL_VARIABLE: &str = "CODEX_K8S_TEST_POSTGRES_URL";

const TEMPLATE: &str = "codex_k8s_template";

/// A database of its own for one test; dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: PgConnectOptions,
    url: String,
    store: Store,
}

impl TestDatabase {
    /// Makes a database with the schema in it.
    ///
    /// # Panics
    /// There is no Postgres to make it on. A test can't go on without.
    #[expect(clippy::expect_used, clippy::panic, reason = "a test without its database fails with a sentence")]
    pub async fn create() -> Self {
        let server_url = env::var(URL_VARIABLE)
            .unwrap_or_else(|_| panic!("{URL_VARIABLE} is not set: run it through \"cargo dev test\""));
        Self::try_create(&server_url).await.expect("a database for the test")
    }

    async fn try_create(server_url: &str) -> Result<Self> {
        let server: PgConnectOptions = server_url.parse()?;
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect_with(&server).await?;
        clone_template(&mut admin, &server, &name).await?;
        admin.close().await?;
        let mut url: url::Url = server_url.parse().map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
        url.set_path(&name);
        let pool = PgPoolOptions::new()
            .max_connections(24)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(server.clone().database(&name))
            .await?;
        Ok(Self { name, server, url: url.into(), store: Store::from_pool(pool) })
    }

    /// Access to it, with up to 24 connections.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Takes the schema away, as it is before the first migration.
    ///
    /// # Errors
    /// The database fails.
    pub async fn take_schema_away(&self) -> Result<()> {
        let mut conn = self.store.acquire().await?;
        sqlx::raw_sql("drop schema public, audit cascade; create schema public").execute(&mut *conn).await?;
        Ok(())
    }

    /// Its URL, for other processes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (name, server) = (self.name.clone(), self.server.clone());
        // The test's own runtime can't be blocked on from here.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            let dropped = runtime.block_on(async {
                let mut admin = PgConnection::connect_with(&server).await?;
                execute(&mut admin, format!("drop database if exists \"{name}\" with (force)")).await
            });
            if let Err(error) = dropped {
                tracing::warn!(%error, name, "the test's database could not be dropped");
            }
        });
        if dropping.join().is_err() {
            tracing::warn!("dropping the test's database panicked");
        }
    }
}

/// The details of the audit's events of a kind, the first first.
///
/// # Errors
/// The database fails.
pub async fn audited(store: &Store, kind: &str) -> Result<Vec<serde_json::Value>> {
    let query = "select detail from audit.flow_events where kind = $1 order by at, id";
    Ok(sqlx::query_scalar(query).bind(kind).fetch_all(store.pool()).await?)
}

/// Has the database refuse the audit's events of a kind, as if it were lost just before they are written down.
///
/// # Errors
/// The database fails.
pub async fn refuse_audited(store: &Store, kind: &str) -> Result<()> {
    let mut conn = store.acquire().await?;
    let name = kind.replace('.', "_");
    execute(&mut conn, format!("alter table audit.flow_events add constraint no_{name} check (kind <> '{kind}')")).await
}

/// Clones the template, which is made first if it is missing or holds another schema. Tests of several processes do this at
/// once: whoever makes it locks out all others, and those who clone don't mind each other.
async fn clone_template(admin: &mut PgConnection, server: &PgConnectOptions, name: &str) -> Result<()> {
    let digest = schema_digest();
    for lock in ["pg_advisory_lock_shared", "pg_advisory_lock"] {
        let unlock = lock.replace("advisory_lock", "advisory_unlock");
        execute(admin, format!("select {lock}(hashtextextended('{TEMPLATE}', 0))")).await?;
        let made = if template_digest(admin).await?.as_deref() == Some(&digest) {
            true
        } else if lock == "pg_advisory_lock" {
            make_template(admin, server, &digest).await?;
            true
        } else {
            false
        };
        if made {
            execute(admin, format!("create database \"{name}\" template {TEMPLATE} strategy file_copy")).await?;
        }
        execute(admin, format!("select {unlock}(hashtextextended('{TEMPLATE}', 0))")).await?;
        if made {
            break;
        }
    }
    Ok(())
}

async fn make_template(admin: &mut PgConnection, server: &PgConnectOptions, digest: &str) -> Result<()> {
    execute(admin, format!("drop database if exists {TEMPLATE} with (force)")).await?;
    execute(admin, format!("create database {TEMPLATE}")).await?;
    let pool = PgPool::connect_with(server.clone().database(TEMPLATE)).await?;
    migrate(&pool).await?;
    pool.close().await;
    // Only a template that is whole carries the digest.
    execute(admin, format!("comment on database {TEMPLATE} is '{digest}'")).await
}

async fn template_digest(admin: &mut PgConnection) -> Result<Option<String>> {
    comment_on(admin, TEMPLATE).await
}

/// What was noted about a database that is there.
pub(crate) async fn comment_on(admin: &mut PgConnection, database: &str) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = $1",
        database
    )
    .fetch_optional(admin)
    .await?
    .flatten())
}

pub(crate) fn schema_digest() -> String {
    let digest = MIGRATOR.iter().fold(Sha256::new(), |digest, migration| digest.chain_update(&*migration.checksum));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For statements that take no parameters and are no queries to be checked.
pub(crate) async fn execute(conn: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

/// Has the first attempt of a run come as far as its agent's report, so that another can begin anywhere after it.
///
/// # Errors
/// The database fails.
pub async fn has_reported(store: &Store, run: RunId) -> Result<()> {
    let mut conn = store.acquire().await?;
    let clone = StepKey { run, attempt: Attempt::FIRST, step: Step::Clone };
    steps::done(&mut conn, clone, &json!({}), Utc::now()).await?;
    attempts::set_workspace_blob(&mut conn, run, Attempt::FIRST, "w").await?;
    attempts::set_prompt(&mut conn, run, Attempt::FIRST, "do it").await?;
    attempts::store_report(&mut conn, run, Attempt::FIRST, &json!({})).await.map(drop)
}

/// Has every model gateway look as if it had been silent for a minute.
///
/// # Errors
/// The database fails.
pub async fn silence_model_gateways(store: &Store) -> Result<()> {
    sqlx::query("update model_gateways set seen_at = seen_at - interval '1 minute'").execute(store.pool()).await?;
    Ok(())
}

/// The tables in which some row holds a text, in whatever column; also as bytes.
///
/// # Errors
/// The database fails.
pub async fn tables_with(store: &Store, text: &str) -> Result<Vec<String>> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select table_schema, table_name from information_schema.tables \
         where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'",
    )
    .fetch_all(store.pool())
    .await?;
    let as_bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for (schema, table) in tables {
        let name = format!("\"{schema}\".\"{table}\"");
        let query = format!(
            "select exists (select from {name} r where position($1 in r::text) > 0 or position($2 in r::text) > 0)"
        );
        let holds: bool =
            sqlx::query_scalar(AssertSqlSafe(query)).bind(text).bind(&as_bytes).fetch_one(store.pool()).await?;
        if holds {
            found.push(name);
        }
    }
    Ok(found)
}
