//! How long a run may go unheard of. Whoever moves a run also moves its deadline; beyond it the run is lost, whatever the
//! engine says.

use chrono::TimeDelta;

/// An undelivered start older than this is looked at before it is delivered: half of what the engine keeps closed
/// workflows for, at the least. Beyond that it could start a finished run again.
pub const START_MAX_AGE: TimeDelta = TimeDelta::hours(12);

/// A run that nothing was heard of for so long is lost. More than any step takes that is no Job.
pub const UNHEARD_LIMIT: TimeDelta = TimeDelta::hours(24);

/// The same for a run whose Job may take `job_secs`.
#[must_use]
pub fn unheard_limit(job_secs: u64) -> TimeDelta {
    let job = i64::try_from(job_secs).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::days(365));
    UNHEARD_LIMIT + job
}
