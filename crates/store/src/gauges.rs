//! How much work is under way, in numbers: for those who watch the platform.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::run::RunState;
use sqlx::PgConnection;

use crate::{
    Result, StoreError,
    convert::{parse, unsigned},
};

/// What the database says about work that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Unfinished runs by state; a state without runs may be absent.
    pub runs: Vec<(RunState, u64)>,
    /// Slots and queues of every project.
    pub projects: Vec<ProjectWork>,
    /// Commands that the engine does not have yet.
    pub outbox_pending: u64,
    /// How long the oldest of them has waited.
    pub outbox_age: Duration,
}

/// Slots and queue of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectWork {
    /// Its slug.
    pub project: String,
    /// Slots it has.
    pub slots: u64,
    /// Slots that are held.
    pub held: u64,
    /// Runs that wait.
    pub waiting: u64,
    /// How long the first of them has waited.
    pub oldest: Duration,
}

/// Reads it all in one statement, through indexes that hold nothing but unfinished work.
///
/// # Errors
/// The database fails.
pub async fn work(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Work> {
    let rows = sqlx::query!(
        "select 'runs' as \"what!\", state as \"name!\", count(*) as \"count!\", null::timestamptz as oldest \
             from runs where state <> 'finished' group by state \
         union all select 'outbox', '', count(*), min(created_at) from engine_commands where state = 'pending' \
         union all select 'slots', slug, slots::bigint, null from projects \
         union all select 'held', p.slug, count(*), null from slot_claims c join projects p on p.id = c.project_id \
             where c.released_at is null and c.granted_at is not null group by p.slug \
         union all select 'waiting', p.slug, count(*), min(c.requested_at) \
             from slot_claims c join projects p on p.id = c.project_id \
             where c.released_at is null and c.granted_at is null group by p.slug"
    )
    .fetch_all(conn)
    .await?;
    let mut work = Work::default();
    for row in rows {
        let count = unsigned("gauges", "count", row.count)?;
        let age = row.oldest.map(|oldest| (now - oldest).to_std().unwrap_or_default()).unwrap_or_default();
        match row.what.as_str() {
            "runs" => work.runs.push((parse("runs", "state", &row.name)?, count)),
            "outbox" => (work.outbox_pending, work.outbox_age) = (count, age),
            what => of_project(&mut work.projects, what, (row.name, count, age))?,
        }
    }
    Ok(work)
}

fn of_project(projects: &mut Vec<ProjectWork>, what: &str, (slug, count, age): (String, u64, Duration)) -> Result<()> {
    let place = projects.iter().position(|project| project.project == slug).unwrap_or(projects.len());
    if place == projects.len() {
        projects.push(ProjectWork { project: slug, ..ProjectWork::default() });
    }
    let project = &mut projects[place];
    match what {
        "slots" => project.slots = count,
        "held" => project.held = count,
        "waiting" => (project.waiting, project.oldest) = (count, age),
        other => {
            let detail = format!("`{other}` was not asked for");
            return Err(StoreError::Corrupt { table: "gauges", column: "what", detail });
        }
    }
    Ok(())
}
