//! How a run's row follows the workflow. How it goes from step to step is in [`crate::steps::enter`].

use chrono::{DateTime, Utc};
use domain::{
    failure,
    ids::{Attempt, RunId},
    run::Outcome,
};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{attempt_number, clean},
};

/// Notes that a run was heard of: it counts as lost only when nothing more is heard until then. Never brings that nearer.
///
/// # Errors
/// The database fails.
pub async fn heard(conn: &mut PgConnection, run: RunId, attempt: Attempt, until: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update runs set deadline_at = $3 where id = $1 and attempt = $2 and state <> 'finished' and deadline_at < $3",
        run.as_uuid(),
        attempt_number(attempt),
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The attempt; another than the newest ends nothing.
    pub attempt: Attempt,
    /// The class.
    pub outcome: Outcome,
    /// Why, as a sentence.
    pub cause: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Ends a run and its attempt, whatever its projection was. The first end stays: false if it had ended.
///
/// # Errors
/// The database fails.
pub async fn finish(conn: &mut PgConnection, run: RunId, end: End<'_>) -> Result<bool> {
    let ended = sqlx::query_scalar!(
        "with moved as ( \
             update runs set state = 'finished', outcome = $3, cause = $4, finished_at = $5, failure_fingerprint = $6 \
             where id = $1 and attempt = $2 and state <> 'finished' returning id), \
         ended as ( \
             update attempts a set outcome = $3, cause = $4, finished_at = $5 from moved \
             where a.run_id = moved.id and a.attempt = $2 and a.finished_at is null) \
         select exists (select from moved) as \"moved!\"",
        run.as_uuid(),
        attempt_number(end.attempt),
        end.outcome.as_str(),
        &clean(end.cause),
        end.now,
        failure::fingerprint(end.outcome, end.cause),
    )
    .fetch_one(conn)
    .await?;
    Ok(ended)
}

/// Ends an attempt that nobody was entitled to, and gives the run back the end that it had before. False, and nothing is
/// changed, if there is no earlier end: then the run itself was refused.
///
/// # Errors
/// The database fails.
pub async fn withdraw(conn: &mut PgConnection, run: RunId, end: End<'_>) -> Result<bool> {
    let withdrawn = sqlx::query_scalar!(
        "with earlier as ( \
             select outcome, cause, finished_at from attempts \
             where run_id = $1 and attempt < $2 and finished_at is not null and not withdrawn \
             order by attempt desc limit 1), \
         moved as ( \
             update runs r set state = 'finished', step = 'settle', outcome = e.outcome, cause = e.cause, \
                 finished_at = e.finished_at from earlier e \
             where r.id = $1 and r.attempt = $2 and r.state <> 'finished' returning r.id), \
         ended as ( \
             update attempts a set outcome = $3, cause = $4, finished_at = $5, withdrawn = true from moved \
             where a.run_id = moved.id and a.attempt = $2 and a.finished_at is null) \
         select exists (select from moved) as \"moved!\"",
        run.as_uuid(),
        attempt_number(end.attempt),
        end.outcome.as_str(),
        &clean(end.cause),
        end.now,
    )
    .fetch_one(conn)
    .await?;
    Ok(withdrawn)
}

/// What is found out about a run as it goes on; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Our branch.
    pub branch: Option<String>,
    /// The pinned base commit.
    pub base_sha: Option<String>,
    /// Head of our branch.
    pub head_sha: Option<String>,
    /// Our pull request.
    pub pr_number: Option<i64>,
    /// The sticky comment.
    pub comment_id: Option<i64>,
    /// When it counts as lost if nothing was heard.
    pub deadline_at: Option<DateTime<Utc>>,
}

/// Writes down what was found out.
///
/// # Errors
/// The database fails.
pub async fn set_facts(conn: &mut PgConnection, run: RunId, facts: Facts) -> Result<()> {
    sqlx::query!(
        "update runs set branch = coalesce($2, branch), base_sha = coalesce($3, base_sha), \
             head_sha = coalesce($4, head_sha), pr_number = coalesce($5, pr_number), \
             comment_id = coalesce($6, comment_id), deadline_at = coalesce($7, deadline_at) \
         where id = $1",
        run.as_uuid(),
        facts.branch,
        facts.base_sha,
        facts.head_sha,
        facts.pr_number,
        facts.comment_id,
        facts.deadline_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a run the title of its issue or pull request, where that was not known when it was asked for.
///
/// # Errors
/// The database fails.
pub async fn learn_title(conn: &mut PgConnection, run: RunId, title: &str) -> Result<()> {
    sqlx::query!(
        "update runs set subject_title = $2 where id = $1 and subject_title = ''",
        run.as_uuid(),
        &clean(title),
    )
    .execute(conn)
    .await?;
    Ok(())
}
