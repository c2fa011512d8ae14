//! Runs by filters, a page at a time.

use chrono::{DateTime, Utc};
use domain::{
    ids::{PersonId, ProjectId, RepositoryId, RunId},
    run::{Outcome, RunState},
};
use sqlx::PgConnection;

use super::{Row, Run, select_runs};
use crate::{Result, convert};

/// Which runs to list; what is none does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunFilter<'a> {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Of this repository.
    pub repository: Option<RepositoryId>,
    /// On the issue or pull request of this number.
    pub subject_number: Option<i64>,
    /// In this state.
    pub state: Option<RunState>,
    /// With this end.
    pub outcome: Option<Outcome>,
    /// By this agent.
    pub agent: Option<&'a str>,
    /// Of projects that this person is a member of.
    pub seen_by: Option<PersonId>,
    /// Asked for by this login.
    pub requester: Option<&'a str>,
    /// Accepted at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Accepted before this time.
    pub until: Option<DateTime<Utc>>,
    /// Part of the subject's title.
    pub text: Option<&'a str>,
    /// Ended by this failure.
    pub failure: Option<&'a str>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// What is older than this; none begins with the newest.
    pub before: Option<Cursor>,
    /// How many at most.
    pub limit: u32,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the last run of the page was accepted.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub id: RunId,
}

impl From<&Run> for Cursor {
    fn from(run: &Run) -> Self {
        Self { created_at: run.created_at, id: run.id }
    }
}

/// A text as part of a pattern in which it stands for itself.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Lists runs, newest first.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, filter: RunFilter<'_>, page: Page) -> Result<Vec<Run>> {
    select_runs!(
        "where ($1::uuid is null or r.project_id = $1) and ($2::uuid is null or r.repository_id = $2) \
         and ($3::bigint is null or r.subject_number = $3) and ($4::text is null or r.state = $4) \
         and ($5::text is null or r.outcome = $5) and ($6::text is null or r.agent = $6) \
         and ($7::timestamptz is null or (r.created_at, r.id) < ($7, $8::uuid)) \
         and ($10::uuid is null or r.project_id in (select project_id from project_members where person_id = $10)) \
         and ($11::text is null or lower(r.requested_by_login) = lower($11)) \
         and ($12::timestamptz is null or r.created_at >= $12) and ($13::timestamptz is null or r.created_at < $13) \
         and ($14::text is null or lower(r.subject_title) like '%' || $14 || '%') \
         and ($15::text is null or (r.failure_fingerprint = $15 and r.state = 'finished')) \
         order by r.created_at desc, r.id desc limit $9",
        filter.project.map(ProjectId::as_uuid),
        filter.repository.map(RepositoryId::as_uuid),
        filter.subject_number,
        filter.state.map(RunState::as_str),
        filter.outcome.map(Outcome::as_str),
        convert::clean_opt(filter.agent),
        page.before.map(|cursor| cursor.created_at),
        page.before.map(|cursor| cursor.id.as_uuid()),
        i64::from(page.limit),
        filter.seen_by.map(PersonId::as_uuid),
        convert::clean_opt(filter.requester),
        filter.since,
        filter.until,
        convert::clean_opt(filter.text.map(like).as_deref()),
        convert::clean_opt(filter.failure),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Run::try_from)
    .collect()
}
