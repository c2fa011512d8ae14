//! Databases for the benchmarks, with as many runs in them as are wanted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::Instance;
use sha2::{Digest, Sha256};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Result, Store, benching_api, migrate, testing};

/// From so many runs on a database is kept: making it takes minutes.
const KEPT: u32 = 100_000;

/// The forge's id of the repository that GitHub's published payloads are about.
pub const FORGE_REPOSITORY: i64 = 186_853_002;

/// A server for benchmarks.
pub struct BenchServer {
    options: PgConnectOptions,
    url: String,
}

/// When the parts of a run were done.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The webhook came.
    pub requested: DateTime<Utc>,
    /// The Job was started.
    pub agent_started: Option<DateTime<Utc>>,
    /// How long the Job worked, by its own report.
    pub job: Duration,
    /// The run was settled.
    pub finished: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<String>,
}

impl BenchServer {
    /// The server at this address.
    ///
    /// # Errors
    /// The address is none.
    pub fn at(url: &str) -> Result<Self> {
        Ok(Self { options: url.parse()?, url: url.to_owned() })
    }

    /// A database with that many finished runs in it; gives its URL. A large one is made once and used again, with what earlier
    /// benchmarks left in it brought to rest; a small one is made anew each time.
    ///
    /// # Errors
    /// The server fails.
    pub async fn with_runs(&self, runs: u32) -> Result<String> {
        self.filled(&format!("{}{runs}", prefix()), FILL, runs).await
    }

    /// A database as [`benching_api`] describes it, made once and used again; gives its URL.
    ///
    /// # Errors
    /// The server fails.
    pub async fn for_api(&self) -> Result<String> {
        self.filled(&format!("{}api", prefix()), benching_api::FILL, benching_api::RUNS).await
    }

    async fn filled(&self, name: &str, fill: &str, runs: u32) -> Result<String> {
        let mut admin = PgConnection::connect_with(&self.options).await?;
        drop_outdated(&mut admin).await?;
        let whole = runs >= KEPT && testing::comment_on(&mut admin, name).await?.is_some();
        if !whole {
            testing::execute(&mut admin, format!("drop database if exists {name} with (force)")).await?;
            testing::execute(&mut admin, format!("create database {name}")).await?;
        }
        let pool = PgPool::connect_with(self.options.clone().database(name)).await?;
        if whole {
            sqlx::raw_sql(AT_REST).execute(&pool).await?;
        } else {
            migrate(&pool).await?;
            sqlx::raw_sql(AssertSqlSafe(fill.replace("{runs}", &runs.to_string()))).execute(&pool).await?;
            testing::execute(&mut admin, format!("comment on database {name} is 'whole'")).await?;
        }
        sqlx::raw_sql("vacuum analyze").execute(&pool).await?;
        pool.close().await;
        // What was written has to be on the disk before anything is measured, or writing it is what is measured.
        testing::execute(&mut admin, "checkpoint".to_owned()).await?;
        admin.close().await?;
        let mut url: url::Url = self.url.parse().map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
        url.set_path(name);
        Ok(url.into())
    }
}

/// Begins the name of each database with the schema of this program.
/// Names the schema and what is filled in.
fn prefix() -> String {
    let made_of = Sha256::digest(format!("{}{FILL}{}", testing::schema_digest(), benching_api::FILL));
    let short: String = made_of.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("bench_{short}_")
}

/// A large database of another schema or filling is of no more use, and would only fill the disk.
async fn drop_outdated(admin: &mut PgConnection) -> Result<()> {
    let sql = "select datname from pg_database where datname like 'bench\\_%'";
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *admin).await?;
    for name in names.iter().filter(|name| !name.starts_with(&prefix())) {
        testing::execute(admin, format!("drop database if exists \"{name}\" with (force)")).await?;
    }
    Ok(())
}

/// Connections for a baseline: each is there from the start, and nothing is asked of it but the baseline's own statements.
///
/// # Errors
/// The database fails.
pub async fn plain_connections(url: &str, count: u32) -> Result<Store> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().min_connections(count).max_connections(count).test_before_acquire(false);
    Ok(Store::from_pool(pool.connect_with(options).await?))
}

/// Has a connection make a plan for each statement, as those for reads do.
///
/// # Errors
/// The database fails.
pub async fn plan_each_time(conn: &mut PgConnection) -> Result<()> {
    testing::execute(conn, "set plan_cache_mode = force_custom_plan".to_owned()).await
}

/// Stores runs whose starts wait in the outbox; gives their workflow ids.
///
/// # Errors
/// The database fails.
pub async fn waiting_starts(store: &Store, instance: &Instance, count: u32) -> Result<Vec<String>> {
    let sql = WAITING_STARTS.replace("{instance}", instance.as_str()).replace("{count}", &count.to_string());
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(store.pool()).await?)
}

/// Lets this database's credentials write to the forge as fast as they like.
///
/// # Errors
/// The database fails.
pub async fn lift_write_limits(store: &Store) -> Result<()> {
    sqlx::raw_sql(NO_WRITE_LIMITS).execute(store.pool()).await?;
    Ok(())
}

/// Undoes [`lift_write_limits`].
///
/// # Errors
/// The database fails.
pub async fn put_write_limits_back(store: &Store) -> Result<()> {
    sqlx::raw_sql(WRITE_LIMITS).execute(store.pool()).await?;
    Ok(())
}

/// Stores finished runs, and projects with a repository each that nothing is known of: what has gathered where many work for long.
///
/// # Errors
/// The database fails.
pub async fn fill_with_past(store: &Store, runs: u32, projects: u32) -> Result<()> {
    let sql =
        [FILL, PROJECTS].concat().replace("{runs}", &runs.to_string()).replace("{projects}", &projects.to_string());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(store.pool()).await?;
    Ok(())
}

/// How far all the runs have come.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Standing {
    /// Runs that have ended.
    pub ended: i64,
    /// Runs that have not, waiting ones among them.
    pub open: i64,
    /// Those of them with an agent at work.
    pub at_work: i64,
}

/// How far all the runs have come.
///
/// # Errors
/// The database fails.
pub async fn standing(store: &Store) -> Result<Standing> {
    Ok(sqlx::query_as(STANDING).fetch_one(store.pool()).await?)
}

/// How far each run has come, oldest first.
///
/// # Errors
/// The database fails.
pub async fn timings(store: &Store) -> Result<Vec<Timing>> {
    type Row = (DateTime<Utc>, Option<DateTime<Utc>>, Option<f64>, Option<DateTime<Utc>>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(TIMINGS).fetch_all(store.pool()).await?;
    let timing = |(requested, agent_started, job, finished, outcome): Row| Timing {
        requested,
        agent_started,
        job: Duration::from_secs_f64(job.unwrap_or_default().max(0.0)),
        finished,
        outcome,
    };
    Ok(rows.into_iter().map(timing).collect())
}

/// Nothing of an earlier benchmark is to be delivered, or at work.
const AT_REST: &str = r#"
    update engine_commands set state = 'dropped', ended_at = now() where state = 'pending';
    update attempts a set outcome = 'lost', cause = 'The benchmark ended.', finished_at = now(), end_shown_at = now()
    from runs r where r.id = a.run_id and r.state <> 'finished';
    update runs set state = 'finished', outcome = 'lost', cause = 'The benchmark ended.', finished_at = now()
    where state <> 'finished';
"#;

/// A project, a repository, and finished runs with all that they leave in the tables that ingest and dispatch use. Raw bodies are
/// left out: they are dropped by the day, and nobody looks them up.
const FILL: &str = r#"
    insert into projects (id, slug, slots) values (uuidv7(), 'bench', 1000);
    insert into repositories (id, project_id, forge_repo_id, owner, name, default_branch, private)
    select uuidv7(), id, 186853002, 'Codertocat', 'Hello-World', 'master', false from projects where slug = 'bench';
    set session synchronous_commit = off;
    insert into runs (id, repository_id, project_id, subject_kind, subject_number, subject_title, agent, trigger_kind,
        trigger_detail, business_key, requested_by_login, requested_by_id, requested_by_bot, state, step, outcome, cause,
        branch, base_sha, head_sha, pr_number, comment_id, created_at, started_at, finished_at, deadline_at)
    select uuidv7(), r.id, r.project_id, 'issue', 1000000 + n / 3, 'The greeting is wrong for names with spaces', 'dev', 'label',
        '{"kind": "label", "label": "run:dev", "at": "2026-11-23T12:00:00Z"}',
        'label:186853002:issue:' || n || ':labeled:2026-11-23T12:00:00Z:11:run:dev', 'maintainer-' || n % 50, n % 50, false,
        'finished', 'settle', 'pull_request_open', 'Pull request opened.', 'codex/' || n || '-greeting',
        '7a0f7a8b0a3b4c5d6e7f8091a2b3c4d5e6f70819', left(encode(sha256(n::text::bytea), 'hex'), 40), n, n,
        now() - n * interval '1 second', now() - n * interval '1 second', now() - n * interval '1 second',
        now() + interval '1 day'
    from repositories r, generate_series(1, {runs}) n where r.forge_repo_id = 186853002;
    insert into attempts (run_id, attempt, job_state, job_name, token_hash, outcome, cause, started_at, finished_at,
        end_shown_at)
    select id, 1, 'ended', 'run-' || id || '-1', sha256(id::text::bytea), outcome, cause, created_at, finished_at, finished_at
    from runs;
    insert into deliveries (id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, sender_login,
        sender_id, verdict, reason, run_id, received_at)
    select uuidv7(), 1, gen_random_uuid()::text, 'issues', 'labeled', repository_id, 186853002, subject_number,
        requested_by_login, requested_by_id, 'started', 'The label run:dev asks for the agent dev.', id, created_at from runs;
    insert into write_intents (id, repository_id, run_id, kind, key, forge_id, created_at, done_at)
    select uuidv7(), repository_id, id, 'comment', 'sticky ' || id, comment_id, created_at, created_at from runs;
    insert into engine_queues (workflow_id, next_seq) select 'bench:agent-run:' || id || ':1', 3 from runs;
    insert into engine_commands (id, workflow_id, seq, kind, run_id, attempt, name, payload, state, tries, next_try_at,
        created_at, ended_at)
    select uuidv7(), 'bench:agent-run:' || r.id || ':1', seq, case seq when 1 then 'start' else 'signal' end, r.id, 1,
        case seq when 2 then 'job_reported' end, 'null', 'done', 1, r.created_at, r.created_at, r.created_at
    from runs r, generate_series(1, 2) seq;
    insert into audit.flow_events (id, at, run_id, repository_id, actor, kind, detail)
    select uuidv7(), r.created_at, r.id, r.repository_id, 'worker', kind, '{"attempt": 1}'
    from runs r, (values ('run_requested'), ('run_finished')) as k (kind);
    set session synchronous_commit = on;
"#;

const WAITING_STARTS: &str = r#"
    with new as (
        insert into runs (id, repository_id, project_id, subject_kind, subject_number, subject_title, agent, trigger_kind,
            trigger_detail, business_key, requested_by_login, requested_by_id, requested_by_bot, created_at,
            deadline_at)
        select uuidv7(), r.id, r.project_id, 'issue', (select count(*) from runs) + n, 't', 'dev', 'label',
            '{"kind": "label", "label": "run:dev", "at": "2026-11-23T12:00:00Z"}', gen_random_uuid()::text, 'ada', 7, false,
            now(), now() + interval '1 day'
        from repositories r, generate_series(1, {count}) n returning id),
    at as (insert into attempts (run_id, attempt, started_at) select id, 1, now() from new),
    queues as (
        insert into engine_queues (workflow_id, next_seq) select '{instance}:agent-run:' || id || ':1', 2 from new)
    insert into engine_commands (id, workflow_id, seq, kind, run_id, attempt, payload, next_try_at, created_at)
    select uuidv7(), '{instance}:agent-run:' || id || ':1', 1, 'start', id, 1,
        jsonb_build_object('run', id, 'attempt', 1, 'from_step', null), now(), now() from new
    returning workflow_id
"#;

const PROJECTS: &str = r#"
    insert into projects (id, slug, slots) select uuidv7(), 'soak-' || n, 3 from generate_series(1, {projects}) n;
    insert into repositories (id, project_id, forge_repo_id, owner, name, default_branch, private)
    select uuidv7(), id, 900000000 + row_number() over (), 'soak', slug, 'main', false from projects where slug like 'soak-%';
"#;

const STANDING: &str = r#"
    select count(r.finished_at) as ended,
        count(*) filter (where r.finished_at is null) as open,
        count(s.run_id) filter (where r.finished_at is null) as at_work
    from runs r
    left join steps s on s.run_id = r.id and s.attempt = r.attempt and s.step = 'agent' and r.finished_at is null
"#;

const NO_WRITE_LIMITS: &str = r#"
    create or replace function bench_no_limits() returns trigger language plpgsql as $$
    begin
        new.refilled_at := now() - interval '1 day';
        new.taken := new.taken + 1000;
        return new;
    end
    $$;
    create or replace trigger bench_no_limits before insert or update on write_pacing
        for each row execute function bench_no_limits();
"#;

const WRITE_LIMITS: &str = "drop trigger if exists bench_no_limits on write_pacing";

const TIMINGS: &str = r#"
    select r.created_at, s.started_at,
        extract(epoch from (a.report ->> 'finished_at')::timestamptz - (a.report ->> 'started_at')::timestamptz)::float8,
        r.finished_at, r.outcome
    from runs r join attempts a on a.run_id = r.id and a.attempt = r.attempt
    left join steps s on s.run_id = r.id and s.attempt = r.attempt and s.step = 'agent'
    order by r.created_at, r.id
"#;
